//! File systems: images, layers, /tmp, and putting a tree together. Every mount is detached: it has no place in the
//! file system and is gone with its descriptor.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount_change, move_mount,
    open_tree,
};
use rustix::thread::UnshareFlags;

use super::Check;
use super::scratch::Scratch;
use crate::mounts::new_mount;
use crate::sys::{loop_device, namespace};

/// An image with one file, "probe", that holds the line "pilotlight".
const IMAGE: &[u8] = include_bytes!("probe.erofs");
const CONTENT: &[u8] = b"pilotlight\n";

const SMALL: usize = 64 << 10;

pub(super) fn all(data_dir: &Path) -> Vec<Check> {
    let scratch = match Scratch::near(data_dir) {
        Ok(scratch) => scratch,
        Err(error) => {
            return vec![Check::fail(
                "data directory",
                error.to_string(),
                "choose one that can be written",
            )];
        }
    };
    vec![
        erofs(&scratch),
        Check::of(
            "overlay",
            overlay(&scratch),
            "use a kernel with overlayfs (CONFIG_OVERLAY_FS)",
        ),
        Check::of("tmpfs", tmpfs(), "use a kernel with tmpfs (CONFIG_TMPFS)"),
        Check::of(
            "mount tree",
            tree(&scratch),
            "use Linux 5.2 or newer, as root",
        ),
    ]
}

fn erofs(scratch: &Scratch) -> Check {
    const NAME: &str = "erofs";
    let directly = from_file(scratch);
    let Err(refusal) = directly else {
        return Check::ok(NAME, "mounted from a file");
    };
    match from_loop(scratch) {
        Ok(()) => Check::warn(
            NAME,
            format!("mounted by a loop device only; from a file: {refusal}"),
            "Linux 6.12 or newer (CONFIG_EROFS_FS_BACKED_BY_FILE) mounts code without loop devices",
        ),
        Err(error) => Check::fail(
            NAME,
            format!("from a file: {refusal}; by a loop device: {error}"),
            "use a kernel with EROFS (CONFIG_EROFS_FS): modprobe erofs loop",
        ),
    }
}

fn from_file(scratch: &Scratch) -> io::Result<()> {
    let path = scratch.file("image", IMAGE)?;
    expect_probe(&new_mount(
        "erofs",
        &[("source", &path)],
        MountAttrFlags::MOUNT_ATTR_RDONLY,
    )?)
}

fn from_loop(scratch: &Scratch) -> io::Result<()> {
    let path = scratch.file("image-for-loop", IMAGE)?;
    let file = std::fs::File::open(path)?;
    let (_device, path) = loop_device::over(file.as_fd())?;
    expect_probe(&new_mount(
        "erofs",
        &[("source", &path)],
        MountAttrFlags::MOUNT_ATTR_RDONLY,
    )?)
}

/// Layers are merged read-only, from lower directories alone.
fn overlay(scratch: &Scratch) -> io::Result<String> {
    let (first, second) = (scratch.folder("first")?, scratch.folder("second")?);
    std::fs::write(first.join("probe"), CONTENT)?;
    std::fs::write(second.join("probe"), b"hidden")?;
    std::fs::write(second.join("other"), CONTENT)?;
    let lower = format!("{}:{}", first.display(), second.display());
    let merged = new_mount(
        "overlay",
        &[("lowerdir", &lower)],
        MountAttrFlags::MOUNT_ATTR_RDONLY,
    )?;
    expect_probe(&merged)?;
    openat(
        &merged,
        "other",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    Ok("read-only, from lower directories".to_owned())
}

/// The size limit of /tmp holds.
fn tmpfs() -> io::Result<String> {
    let size = SMALL.to_string();
    let tmp = new_mount(
        "tmpfs",
        &[("size", &size)],
        MountAttrFlags::MOUNT_ATTR_NODEV,
    )?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
    let file = openat(&tmp, "fill", flags, Mode::RUSR | Mode::WUSR)?;
    let chunk = [0_u8; SMALL / 4];
    for _ in 0..5 {
        match rustix::io::write(&file, &chunk) {
            Err(Errno::NOSPC) => return Ok("size limit holds".to_owned()),
            written => written?,
        };
    }
    Err(io::Error::other(
        "more than the size limit could be written",
    ))
}

/// Clones a tree and puts it elsewhere, in a mount namespace of a thread that then ends.
fn tree(scratch: &Scratch) -> io::Result<String> {
    let (from, to) = (scratch.folder("from")?, scratch.folder("to")?);
    std::fs::write(from.join("probe"), CONTENT)?;
    let assemble = move || {
        namespace::unshare(UnshareFlags::NEWNS)?;
        mount_change(
            "/",
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )?;
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(CWD, &from, clone)?;
        move_mount(&tree, "", CWD, &to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        let moved = openat(
            CWD,
            &to,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        expect_probe(&moved)
    };
    let done = thread::spawn(assemble).join();
    done.unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))?;
    Ok("cloned and moved".to_owned())
}

fn expect_probe(root: &OwnedFd) -> io::Result<()> {
    let file = openat(
        root,
        "probe",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut content = [0_u8; 64];
    let length = rustix::io::read(&file, &mut content)?;
    if content[..length] == *CONTENT {
        Ok(())
    } else {
        Err(io::Error::other("the file there is not the one expected"))
    }
}
