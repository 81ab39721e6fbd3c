//! Files of cgroup v2 (Documentation/admin-guide/cgroup-v2.rst in the kernel's source).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::folder::Folder;
use super::{CgroupError, CgroupLimits, Controller};

/// How often processes are moved out of the way before [`enable`] gives up: each time some may have been forked.
const MAX_EVACUATIONS: u32 = 10;

/// Where to put the node's folder: into our own cgroup where systemd delegated that to us (`Delegate=yes` in the
/// unit, told by an extended attribute), else into the root of the mount.
pub(super) fn base(mount: &Path) -> PathBuf {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .unwrap_or_default();
    let own = mount.join(own);
    let is_delegated = |attribute| {
        let mut value = [0_u8; 8];
        let length = rustix::fs::getxattr(&own, attribute, &mut value[..]);
        length.is_ok_and(|length| value[..length] == *b"1")
    };
    if ["trusted.delegate", "user.delegate"]
        .into_iter()
        .any(is_delegated)
    {
        own
    } else {
        mount.to_owned()
    }
}

/// Hands the controllers on to the folders in `path`. The kernel refuses that while processes are in `path` itself,
/// unless it is the machine's root; this is so in a container and in a delegated cgroup. They are moved into a folder
/// `main` beside ours then.
pub(super) fn enable(path: &Path, controllers: &[Controller]) -> Result<(), CgroupError> {
    let names = controllers
        .iter()
        .filter(|controller| **controller != Controller::CpuUsage);
    enable_named(
        path,
        &names
            .map(|controller| controller.name())
            .collect::<Vec<_>>(),
    )
}

fn enable_named(path: &Path, controllers: &[&str]) -> Result<(), CgroupError> {
    let file = path.join("cgroup.subtree_control");
    let failed = |action| {
        let path = file.clone();
        move |source| CgroupError::Io {
            action,
            path,
            source,
        }
    };
    let enabled = fs::read_to_string(&file).map_err(failed("read"))?;
    let missing = controllers
        .iter()
        .filter(|name| !enabled.split_whitespace().any(|on| on == **name));
    let request = missing
        .map(|name| format!("+{name}"))
        .collect::<Vec<_>>()
        .join(" ");
    if request.is_empty() {
        return Ok(());
    }
    for _ in 0..MAX_EVACUATIONS {
        match fs::write(&file, &request) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                evacuate(path).map_err(failed("make way for"))?
            }
            written => return written.map_err(failed("write")),
        }
    }
    Err(CgroupError::Busy {
        path: path.to_owned(),
    })
}

fn evacuate(path: &Path) -> io::Result<()> {
    let refuge = path.join("main");
    match fs::create_dir(&refuge) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for pid in fs::read_to_string(path.join("cgroup.procs"))?.lines() {
        match fs::write(refuge.join("cgroup.procs"), pid) {
            // It ended in the meantime.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            moved => moved?,
        }
    }
    Ok(())
}

/// When memory runs out, the whole instance goes: a function of several processes must not go on with some of them.
pub(super) fn prepare_memory(
    folder: &Folder<'_>,
    limits: &CgroupLimits,
) -> Result<(), CgroupError> {
    folder.write_if_present("memory.swap.max", 0)?;
    folder.write_if_present("memory.oom.group", 1)?;
    limit_memory(folder, limits)
}

pub(super) fn limit_memory(folder: &Folder<'_>, limits: &CgroupLimits) -> Result<(), CgroupError> {
    folder.write("memory.max", limits.memory_bytes())
}

pub(super) fn limit_cpu(folder: &Folder<'_>, limits: &CgroupLimits) -> Result<(), CgroupError> {
    let period = CgroupLimits::PERIOD_US;
    match limits.quota_us() {
        Some(quota) => folder.write("cpu.max", format_args!("{quota} {period}")),
        None => folder.write("cpu.max", format_args!("max {period}")),
    }
}

/// No quota any more; that the cgroup is gone is no error.
pub(super) fn lift_cpu(folder: &Folder<'_>) -> Result<(), CgroupError> {
    folder.write_if_present("cpu.max", "max")
}

/// Kernels before 5.19 tell only what is in use now.
pub(super) fn memory_peak_bytes(folder: &Folder<'_>) -> Result<u64, CgroupError> {
    match folder.number("memory.peak") {
        Err(error) if error.is_not_found() => folder.number("memory.current"),
        peak => peak,
    }
}

pub(super) fn oom_kills(folder: &Folder<'_>) -> Result<u64, CgroupError> {
    folder.keyed_number("memory.events", "oom_kill")
}

pub(super) fn cpu_usage(folder: &Folder<'_>) -> Result<Duration, CgroupError> {
    folder
        .keyed_number("cpu.stat", "usage_usec")
        .map(Duration::from_micros)
}

/// Kernels before 5.14 have no file that kills.
pub(super) fn kill_all(folder: &Folder<'_>) -> Result<(), CgroupError> {
    match folder.write("cgroup.kill", 1) {
        Err(error) if error.is_not_found() => folder.kill_listed(),
        killed => killed,
    }
}

#[cfg(test)]
mod tests;
