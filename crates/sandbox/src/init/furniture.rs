//! What every sandbox has mounted besides its root: `/proc`, `/dev` and `/tmp`. Made and masked ahead of time in a corner
//! of init's mount namespace; the start only moves them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{
    FsPickFlags, MountAttrFlags, MountFlags, fsconfig_reconfigure, fsconfig_set_string, fspick,
    mount_remount,
};

use super::{Broken, step};
use crate::launcher::place;
use crate::mounts::{attach, clone_one, clone_tree, new_mount, switch_root};

/// What of /proc would tell about the host, or could harm it; Docker masks the same.
const MASKED_FILES: [&str; 7] = [
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "timer_list",
    "sysrq-trigger",
];
const MASKED_FOLDERS: [&str; 3] = ["acpi", "asound", "scsi"];
const READ_ONLY: [&str; 4] = ["bus", "fs", "irq", "sys"];

/// Of /dev/shm. What is in it also counts as the function's memory.
const SHM_SIZE: &str = "64m";

/// One inode for so many bytes of `/tmp`, so that empty files cannot fill the kernel's memory.
const TMP_BYTES_PER_INODE: u64 = 4096;

/// The prepared mounts.
#[derive(Debug)]
pub(super) struct Furniture {
    proc: OwnedFd,
    dev: OwnedFd,
    tmp: OwnedFd,
}

impl Furniture {
    /// Makes them; `/tmp` belongs to that user and group.
    pub(super) fn make(owner: u32) -> Result<Furniture, Broken> {
        let proc = make_proc().map_err(step("mount /proc"))?;
        let dev = make_dev().map_err(step("mount /dev"))?;
        let tmp = make_tmp(owner).map_err(step("mount /tmp"))?;
        Ok(Furniture { proc, dev, tmp })
    }

    /// Opens a file of the sandbox's /proc.
    pub(super) fn open_proc(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        Ok(openat(
            &self.proc,
            path,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
        )?)
    }

    /// Moves everything into the function's root, which becomes the root of every process of the sandbox.
    pub(super) fn move_into(self, root: OwnedFd, tmp_bytes: u64) -> Result<(), Broken> {
        attach(&root, Path::new(place::NEW_ROOT)).map_err(step("mount the root"))?;
        let within = |name: &str| Path::new(place::NEW_ROOT).join(name);
        attach(&self.proc, &within("proc")).map_err(step("move /proc"))?;
        attach(&self.dev, &within("dev")).map_err(step("move /dev"))?;
        resize_tmp(tmp_bytes).map_err(step("size /tmp"))?;
        attach(&self.tmp, &within("tmp")).map_err(step("move /tmp"))?;
        switch_root(Path::new(place::NEW_ROOT)).map_err(step("switch the root"))
    }
}

fn make_proc() -> io::Result<OwnedFd> {
    let quiet = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let proc = new_mount("proc", &[], quiet)?;
    let top = Path::new(place::PROC);
    attach(&proc, top)?;
    for name in MASKED_FILES {
        where_it_exists(&top.join(name), |target| {
            attach(clone_one(Path::new("/dev/null"))?, target)
        })?;
    }
    for name in MASKED_FOLDERS {
        where_it_exists(&top.join(name), |target| {
            attach(clone_one(Path::new(place::MASK))?, target)
        })?;
    }
    for name in READ_ONLY {
        where_it_exists(&top.join(name), |target| {
            attach(clone_one(target)?, target)?;
            let flags =
                MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            Ok(mount_remount(target, MountFlags::BIND | flags, c"")?)
        })?;
    }
    Ok(proc)
}

/// Which files /proc has depends on the kernel's configuration.
fn where_it_exists(path: &Path, act: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    if path.try_exists()? {
        act(path)
    } else {
        Ok(())
    }
}

fn make_dev() -> io::Result<OwnedFd> {
    let dev = clone_tree(Path::new("/dev"))?;
    let top = Path::new(place::DEV);
    attach(&dev, top)?;
    let quiet = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let shm = new_mount(
        "tmpfs",
        &[("mode", "1777"), ("size", SHM_SIZE), ("nr_inodes", "16k")],
        quiet,
    )?;
    attach(shm, &top.join("shm"))?;
    Ok(dev)
}

fn make_tmp(owner: u32) -> io::Result<OwnedFd> {
    let quiet = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let owner = owner.to_string();
    // Some limit from the start: the kernel refuses to limit inodes later where they were not.
    let options = [
        ("mode", "700"),
        ("uid", &*owner),
        ("gid", &*owner),
        ("size", "1m"),
        ("nr_inodes", "1k"),
    ];
    let tmp = new_mount("tmpfs", &options, quiet)?;
    attach(&tmp, Path::new(place::TMP))?;
    Ok(tmp)
}

fn resize_tmp(bytes: u64) -> io::Result<()> {
    let context = fspick(CWD, place::TMP, FsPickFlags::FSPICK_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "size", bytes.to_string())?;
    fsconfig_set_string(
        context.as_fd(),
        "nr_inodes",
        (bytes / TMP_BYTES_PER_INODE).max(16).to_string(),
    )?;
    Ok(fsconfig_reconfigure(context.as_fd())?)
}
