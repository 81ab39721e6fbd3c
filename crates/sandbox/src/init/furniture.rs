//! What every sandbox has mounted besides its root: `/proc`, `/dev` and `/tmp`. Made and masked ahead of time in a corner
//! of init's mount namespace; the start only moves them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{
    FsPickFlags, MountAttrFlags, MountFlags, UnmountFlags, fsconfig_reconfigure,
    fsconfig_set_string, fspick, mount_remount, unmount,
};
use rustix::process::{chdir, pivot_root};

use super::{Broken, step};
use crate::launcher::place;
use crate::mounts::{attach, clone_one, clone_tree, new_mount};

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

/// Written to, it decides the next process id (proc_sys_kernel(5)).
const LAST_PID: &str = "sys/kernel/ns_last_pid";

/// Of /dev/shm. What is in it also counts as the function's memory.
const SHM_SIZE: &str = "64m";

/// What `/tmp` is made with; other sizes cost the start a few calls.
const USUAL_TMP_BYTES: u64 = 512 << 20;

/// Files in `/tmp`: as many as fill the usual size with a page each. What the kernel needs for them counts as the
/// function's memory.
const TMP_INODES: &str = "128k";

/// The prepared mounts.
#[derive(Debug)]
pub(super) struct Furniture {
    /// Inside a template.
    nested: bool,
    /// Where the last process id stands, from which the kernel counts on: open only if `nested`.
    last_pid: Option<OwnedFd>,
    proc: OwnedFd,
    dev: OwnedFd,
    tmp: OwnedFd,
}

impl Furniture {
    /// Makes them; `/tmp` belongs to that user and group.
    pub(super) fn make(owner: u32, nested: bool) -> Result<Furniture, Broken> {
        let proc = mount_proc().map_err(step("mount /proc"))?;
        // Before it becomes read-only.
        let last_pid = nested
            .then(|| {
                openat(
                    &proc,
                    LAST_PID,
                    OFlags::WRONLY | OFlags::CLOEXEC,
                    Mode::empty(),
                )
            })
            .transpose()
            .map_err(step("open ns_last_pid"))?;
        mask_proc().map_err(step("mask /proc"))?;
        let dev = make_dev().map_err(step("mount /dev"))?;
        let tmp = make_tmp(owner).map_err(step("mount /tmp"))?;
        if !nested {
            // It has been cloned as often as it will be; nothing but an empty folder stays of the old root. (In a mount
            // namespace of another owner it is locked, and goes with the old root.)
            unmount("/dev", UnmountFlags::DETACH).map_err(step("let go of the launcher's /dev"))?;
        }
        Ok(Furniture {
            nested,
            last_pid,
            proc,
            dev,
            tmp,
        })
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

    /// The file that says which process id was the last.
    pub(super) fn last_pid(&self) -> io::Result<&OwnedFd> {
        self.last_pid
            .as_ref()
            .ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// Moves everything into the function's root, which becomes the root of every process of the sandbox.
    pub(super) fn move_into(self, root: OwnedFd, tmp_bytes: u64) -> Result<(), Broken> {
        attach(&root, Path::new(place::NEW_ROOT)).map_err(step("mount the root"))?;
        if tmp_bytes != USUAL_TMP_BYTES {
            resize_tmp(tmp_bytes).map_err(step("size /tmp"))?;
        }
        chdir(place::NEW_ROOT).map_err(step("switch the root"))?;
        // Where /proc will cover the old root, an empty tmpfs, for good. To unmount it would wait for a grace period of the
        // kernel, at times for 60 ms. In a nest there is a /proc in it that is not ours, and nobody waits: there the old root
        // lies on top of the new one (pivot_root(2), "pivot_root(".", ".")"), until all is out of it.
        let old_root = if self.nested { "." } else { "proc" };
        pivot_root(".", old_root).map_err(step("switch the root"))?;
        attach(&self.proc, Path::new("proc")).map_err(step("move /proc"))?;
        attach(&self.dev, Path::new("dev")).map_err(step("move /dev"))?;
        attach(&self.tmp, Path::new("tmp")).map_err(step("move /tmp"))?;
        if self.nested {
            unmount(".", UnmountFlags::DETACH).map_err(step("let go of the old root"))?;
        }
        chdir("/").map_err(step("switch the root"))
    }
}

fn mount_proc() -> io::Result<OwnedFd> {
    let quiet = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let proc = new_mount::<&str>("proc", &[], quiet)?;
    attach(&proc, Path::new(place::PROC))?;
    Ok(proc)
}

fn mask_proc() -> io::Result<()> {
    let top = Path::new(place::PROC);
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
    Ok(())
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
    let size = USUAL_TMP_BYTES.to_string();
    let options = [
        ("mode", "700"),
        ("uid", &*owner),
        ("gid", &*owner),
        ("size", &*size),
        ("nr_inodes", TMP_INODES),
    ];
    let tmp = new_mount("tmpfs", &options, quiet)?;
    attach(&tmp, Path::new(place::TMP))?;
    Ok(tmp)
}

fn resize_tmp(bytes: u64) -> io::Result<()> {
    let context = fspick(CWD, place::TMP, FsPickFlags::FSPICK_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "size", bytes.to_string())?;
    Ok(fsconfig_reconfigure(context.as_fd())?)
}
