//! Files of cgroup v1 (Documentation/admin-guide/cgroup-v1 in the kernel's source).

use std::time::Duration;

use super::folder::Folder;
use super::{CgroupError, CgroupLimits};

/// With no swapping at the limit, one value limits memory and swap together, and a start writes one file, not two.
pub(super) fn prepare_memory(
    folder: &Folder<'_>,
    limits: &CgroupLimits,
) -> Result<(), CgroupError> {
    folder.write("memory.swappiness", 0)?;
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
