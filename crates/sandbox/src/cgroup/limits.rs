//! How much an instance may use.

/// Memory with which AWS Lambda gives one whole CPU; others in proportion.
const MB_PER_CPU: u64 = 1769;

/// Below this share a start would be slower than any caller waits: 1 ms in each period, the least the kernel takes.
const LEAST_CPU_MILLI: u64 = 50;

/// What a sandbox needs besides the function: its init process, page tables and sockets in the kernel.
const HEADROOM_MB: u64 = 8;

/// The sandbox's init process.
const HEADROOM_PIDS: u32 = 1;

/// The limits of one cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgroupLimits {
    /// Memory of the function, in MiB. The sandbox's own 8 MiB come on top. Files on a tmpfs count.
    pub memory_mb: u32,
    /// CPU time per time, in thousandths of one CPU; `None` is no limit.
    pub cpu_milli: Option<u32>,
    /// Processes and threads of the function. The sandbox's own one comes on top.
    pub pids: u32,
}

/// What slots are made with: the smallest function, booting.
impl Default for CgroupLimits {
    fn default() -> CgroupLimits {
        CgroupLimits::booting(128)
    }
}

impl CgroupLimits {
    /// Processes and threads of an instance, as on AWS Lambda.
    pub const PIDS: u32 = 1024;

    /// The period in which a share of the CPU is given, in microseconds. The kernel's default of 100 ms would make
    /// a small function that used up its share wait for most of that; this is also the shortest with which the
    /// least share still is a valid quota.
    pub(super) const PERIOD_US: u64 = 20_000;

    /// While an instance boots: all CPUs, as on AWS Lambda.
    #[must_use]
    pub fn booting(memory_mb: u32) -> CgroupLimits {
        CgroupLimits {
            memory_mb,
            cpu_milli: None,
            pids: CgroupLimits::PIDS,
        }
    }

    /// While an instance serves: CPU in proportion to memory, 1,769 MB for one.
    #[must_use]
    pub fn serving(memory_mb: u32) -> CgroupLimits {
        let share = (u64::from(memory_mb) * 1000 / MB_PER_CPU).max(LEAST_CPU_MILLI);
        CgroupLimits {
            cpu_milli: u32::try_from(share).ok(),
            ..CgroupLimits::booting(memory_mb)
        }
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        (u64::from(self.memory_mb) + HEADROOM_MB) << 20
    }

    pub(super) fn pids_max(&self) -> u32 {
        self.pids.saturating_add(HEADROOM_PIDS)
    }

    /// CPU time in each period, in microseconds.
    pub(super) fn quota_us(&self) -> Option<u64> {
        let milli = u64::from(self.cpu_milli?).max(LEAST_CPU_MILLI);
        Some(milli * CgroupLimits::PERIOD_US / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_in_proportion_to_memory() {
        let milli = |memory_mb| CgroupLimits::serving(memory_mb).cpu_milli;
        assert_eq!(milli(1769), Some(1000));
        assert_eq!(milli(128), Some(72));
        assert_eq!(milli(10_240), Some(5788));
        assert_eq!(milli(1), Some(50));
        assert_eq!(CgroupLimits::serving(1).quota_us(), Some(1000));
        assert_eq!(CgroupLimits::booting(128).quota_us(), None);
    }

    #[test]
    fn the_sandbox_itself_comes_on_top() {
        let limits = CgroupLimits::booting(128);
        assert_eq!(limits.memory_bytes(), 136 << 20);
        assert_eq!(limits.pids_max(), 1025);
    }
}
