//! Files of cgroup v1 (Documentation/admin-guide/cgroup-v1 in the kernel's source).

use std::time::Duration;

use super::folder::Folder;
use super::{CgroupError, CgroupLimits};

/// What may wait in the TCP and UDP sockets of an instance. A start is not to write one limit more, so this is the same for
/// all.
const SOCKET_BYTES: u64 = 32 << 20;

/// With no swapping at the limit, one value limits memory and swap together, and a start writes one file, not two.
pub(super) fn prepare_memory(
    folder: &Folder<'_>,
    limits: &CgroupLimits,
) -> Result<(), CgroupError> {
    folder.write("memory.swappiness", 0)?;
    // What waits in sockets is not part of a function's memory in v1, and is not even counted without a limit.
    folder.write_if_present("memory.kmem.tcp.limit_in_bytes", SOCKET_BYTES)?;
    limit_memory(folder, limits)
}

pub(super) fn limit_memory(folder: &Folder<'_>, limits: &CgroupLimits) -> Result<(), CgroupError> {
    folder.write("memory.limit_in_bytes", limits.memory_bytes())
}

pub(super) fn prepare_cpu(folder: &Folder<'_>, limits: &CgroupLimits) -> Result<(), CgroupError> {
    folder.write("cpu.cfs_period_us", CgroupLimits::PERIOD_US)?;
    limit_cpu(folder, limits)
}

pub(super) fn limit_cpu(folder: &Folder<'_>, limits: &CgroupLimits) -> Result<(), CgroupError> {
    match limits.quota_us() {
        Some(quota) => folder.write("cpu.cfs_quota_us", quota),
        None => folder.write("cpu.cfs_quota_us", -1),
    }
}

/// No quota any more; that the cgroup is gone is no error.
pub(super) fn lift_cpu(folder: &Folder<'_>) -> Result<(), CgroupError> {
    folder.write_if_present("cpu.cfs_quota_us", -1)
}

pub(super) fn memory_peak_bytes(folder: &Folder<'_>) -> Result<u64, CgroupError> {
    folder.number("memory.max_usage_in_bytes")
}

pub(super) fn oom_kills(folder: &Folder<'_>) -> Result<u64, CgroupError> {
    folder.keyed_number("memory.oom_control", "oom_kill")
}

pub(super) fn cpu_usage(folder: &Folder<'_>) -> Result<Duration, CgroupError> {
    folder.number("cpuacct.usage").map(Duration::from_nanos)
}

/// There is no file that kills. Where the folder has the pids controller, forks fail from now on, so that one pass
/// over the list catches all but those which were just being made; deleting comes back for these.
pub(super) fn kill_all(folder: &Folder<'_>) -> Result<(), CgroupError> {
    folder.write_if_present("pids.max", 0)?;
    folder.kill_listed()
}
