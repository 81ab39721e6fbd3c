//! Control groups of slots, on cgroup v1, v2, or some controllers on each ("hybrid").
//!
//! Every hierarchy in use gets a folder `pilotlight-<name>` with one folder per slot in it. Nothing is kept open per
//! slot: a file is reached from its parent's descriptor in one short walk, so that thousands of slots cost no
//! descriptors, and a process other than the maker can use them. A slot is made with [`CgroupLimits::default`], and
//! a start writes only what differs: nothing for a function of 128 MB, one value for another size.

mod error;
mod folder;
mod hierarchy;
mod limits;
mod mounts;
mod parent;
mod v1;
mod v2;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

pub use self::error::CgroupError;
pub use self::limits::CgroupLimits;
pub use self::mounts::{Controller, Version};
pub use self::parent::Parent;

use self::folder::Folder;
use self::hierarchy::{Hierarchy, yield_cpu};

/// The cgroup of one slot. Dropping it does nothing; see [`Cgroup::delete`].
#[derive(Debug)]
pub struct Cgroup {
    hierarchies: Arc<[Hierarchy]>,
    name: String,
    applied: CgroupLimits,
    yields: bool,
}

/// What a process writes to each entrance of a cgroup to be in it, with all that it forks from then on.
pub(crate) const ENTER: &[u8] = b"0";

/// Hierarchies in use at most: one for each controller.
pub(crate) const MAX_ENTRANCES: usize = 4;

impl Cgroup {
    /// The entrances: files to which a process with one thread writes [`ENTER`]. Who has them needs no privilege. In v1 nobody
    /// waits then: the kernel holds up every fork and every end of a process while one is moved by another, for a grace
    /// period at times.
    ///
    /// # Errors
    /// The cgroup was deleted.
    pub(crate) fn entrances(&self) -> Result<Vec<OwnedFd>, CgroupError> {
        let file = |version| match version {
            Version::V1 => "tasks",
            Version::V2 => "cgroup.procs",
        };
        self.folders()
            .map(|(hierarchy, folder)| folder.open_to_write(file(hierarchy.version)))
            .collect()
    }

    /// Moves a process in, with all its threads. After an idle while this takes up to 10 ms per hierarchy, for the
    /// kernel waits for a grace period, unless a cgroup file system is mounted with `favordynmods`.
    ///
    /// # Errors
    /// There is no such process.
    pub fn attach(&self, pid: i32) -> Result<(), CgroupError> {
        self.folders()
            .try_for_each(|(_, folder)| folder.write("cgroup.procs", pid))
    }

    /// From now on it has its share of the CPU, like everybody.
    ///
    /// # Errors
    /// It is not made yet, or the kernel refuses.
    pub fn hurry(&mut self) -> Result<(), CgroupError> {
        if self.yields {
            let (_, folder) = self.with(Controller::Cpu)?;
            yield_cpu(&folder, false)?;
            self.yields = false;
        }
        Ok(())
    }

    /// Changes the limits, writing only those that differ from the ones in force.
    ///
    /// # Errors
    /// The kernel refuses, for instance a memory limit below what is in use.
    pub fn limit(&mut self, limits: &CgroupLimits) -> Result<(), CgroupError> {
        for (hierarchy, folder) in self.folders() {
            hierarchy.limit(&folder, limits, &self.applied)?;
        }
        self.applied = *limits;
        Ok(())
    }

    /// The processes inside.
    ///
    /// # Errors
    /// The cgroup was deleted.
    pub fn processes(&self) -> Result<Vec<i32>, CgroupError> {
        // They are in every hierarchy.
        let (_, folder) = self.with(Controller::Pids)?;
        folder.process_list()
    }

    /// The most memory ever in use, file cache included.
    ///
    /// # Errors
    /// The cgroup was deleted.
    pub fn memory_peak_bytes(&self) -> Result<u64, CgroupError> {
        match self.with(Controller::Memory)? {
            (Version::V1, folder) => v1::memory_peak_bytes(&folder),
            (Version::V2, folder) => v2::memory_peak_bytes(&folder),
        }
    }

    /// How many processes were killed because the memory limit was reached.
    ///
    /// # Errors
    /// The cgroup was deleted.
    pub fn oom_kills(&self) -> Result<u64, CgroupError> {
        match self.with(Controller::Memory)? {
            (Version::V1, folder) => v1::oom_kills(&folder),
            (Version::V2, folder) => v2::oom_kills(&folder),
        }
    }

    /// CPU time used, user and system, of all processes that were ever inside.
    ///
    /// # Errors
    /// The cgroup was deleted.
    pub fn cpu_usage(&self) -> Result<Duration, CgroupError> {
        match self.with(Controller::CpuUsage)? {
            (Version::V1, folder) => v1::cpu_usage(&folder),
            (Version::V2, folder) => v2::cpu_usage(&folder),
        }
    }

    /// Kills all processes inside, and keeps them from forking in the meantime. They may take a moment to die.
    ///
    /// # Errors
    /// The kernel refuses; that the cgroup is gone is no error.
    pub fn kill_all(&self) -> Result<(), CgroupError> {
        self.folders()
            .try_for_each(|(hierarchy, folder)| hierarchy.kill(&folder))
    }

    /// What has been killed ends as fast as the machine can: a killed process takes itself down, on the time of its
    /// cgroup, and a thousand of them on a small function's share would take a minute.
    ///
    /// # Errors
    /// The kernel refuses; that the cgroup is gone is no error.
    pub fn lift_quota(&self) -> Result<(), CgroupError> {
        self.folders()
            .try_for_each(|(hierarchy, folder)| hierarchy.lift(&folder))
    }

    /// Kills what is inside and deletes the cgroup. Blocks until the processes are gone.
    ///
    /// # Errors
    /// Processes are still there after ten seconds; the next start of the node sweeps them.
    pub fn delete(&self) -> Result<(), CgroupError> {
        self.folders()
            .try_for_each(|(hierarchy, folder)| hierarchy.remove(&folder))
    }

    fn folders(&self) -> impl Iterator<Item = (&Hierarchy, Folder<'_>)> {
        self.hierarchies
            .iter()
            .map(|hierarchy| (hierarchy, hierarchy.dir.folder(&self.name)))
    }

    fn with(&self, controller: Controller) -> Result<(Version, Folder<'_>), CgroupError> {
        let found = self
            .folders()
            .find(|(hierarchy, _)| hierarchy.has(controller));
        let found = found.map(|(hierarchy, folder)| (hierarchy.version, folder));
        found.ok_or(CgroupError::Missing { controller })
    }
}
