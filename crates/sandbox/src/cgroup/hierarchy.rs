//! One mounted hierarchy: the folders in it, made, limited, emptied and deleted.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::folder::{Dir, Folder};
use super::mounts::Mount;
use super::{CgroupError, CgroupLimits, Controller, Version, v1, v2};

/// How long [`Hierarchy::remove`] waits for killed processes to be gone.
const DELETE_PATIENCE: Duration = Duration::from_secs(10);
const DELETE_FIRST_PAUSE: Duration = Duration::from_millis(1);
const DELETE_LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// One mounted hierarchy and the controllers we use there.
#[derive(Debug)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    pub(super) controllers: Vec<Controller>,
    pub(super) dir: Dir,
}

impl Hierarchy {
    /// Makes the folder of the node called `name` where `mount` is.
    pub(super) fn open(mount: Mount, name: &str) -> Result<Hierarchy, CgroupError> {
        let path = match mount.version {
            Version::V1 => folder_of(&mount.point, name)?,
            Version::V2 => {
                let base = v2::base(&mount.point);
                v2::enable(&base, &mount.controllers)?;
                let path = folder_of(&base, name)?;
                v2::enable(&path, &mount.controllers)?;
                path
            }
        };
        Ok(Hierarchy {
            version: mount.version,
            controllers: mount.controllers,
            dir: Dir::open(path)?,
        })
    }

    pub(super) fn has(&self, controller: Controller) -> bool {
        self.controllers.contains(&controller)
    }

    /// Makes the folder; when a setting is refused it is deleted again.
    pub(super) fn make(
        &self,
        folder: &Folder<'_>,
        limits: &CgroupLimits,
    ) -> Result<(), CgroupError> {
        folder.make()?;
        let prepared =
            self.controllers
                .iter()
                .try_for_each(|controller| match (controller, self.version) {
                    (Controller::Memory, Version::V1) => v1::prepare_memory(folder, limits),
                    (Controller::Memory, Version::V2) => v2::prepare_memory(folder, limits),
                    (Controller::Cpu, version) => {
                        match version {
                            Version::V1 => v1::prepare_cpu(folder, limits)?,
                            Version::V2 => v2::limit_cpu(folder, limits)?,
                        }
                        yield_cpu(folder, true)
                    }
                    (Controller::Pids, _) => limit_pids(folder, limits),
                    (Controller::CpuUsage, _) => Ok(()),
                });
        if prepared.is_err() {
            let _ = folder.try_delete();
        }
        prepared
    }

    /// Writes those limits that differ from the ones in force.
    pub(super) fn limit(
        &self,
        folder: &Folder<'_>,
        limits: &CgroupLimits,
        applied: &CgroupLimits,
    ) -> Result<(), CgroupError> {
        if self.has(Controller::Memory) && limits.memory_mb != applied.memory_mb {
            match self.version {
                Version::V1 => v1::limit_memory(folder, limits)?,
                Version::V2 => v2::limit_memory(folder, limits)?,
            }
        }
        if self.has(Controller::Cpu) && limits.cpu_milli != applied.cpu_milli {
            match self.version {
                Version::V1 => v1::limit_cpu(folder, limits)?,
                Version::V2 => v2::limit_cpu(folder, limits)?,
            }
        }
        if self.has(Controller::Pids) && limits.pids != applied.pids {
            limit_pids(folder, limits)?;
        }
        Ok(())
    }

    /// Kills what is inside, and lets it end as fast as the machine can.
    pub(super) fn kill(&self, folder: &Folder<'_>) -> Result<(), CgroupError> {
        match self.version {
            Version::V1 => v1::kill_all(folder)?,
            Version::V2 => v2::kill_all(folder)?,
        }
        self.lift(folder)
    }

    /// Takes the CPU quota away, where this hierarchy has it.
    pub(super) fn lift(&self, folder: &Folder<'_>) -> Result<(), CgroupError> {
        match self.version {
            _ if !self.has(Controller::Cpu) => Ok(()),
            Version::V1 => v1::lift_cpu(folder),
            Version::V2 => v2::lift_cpu(folder),
        }
    }

    /// Kills and deletes, again and again: a killed process keeps the folder busy until it has left the kernel's
    /// lists, and one that was just forking shows up late.
    pub(super) fn remove(&self, folder: &Folder<'_>) -> Result<(), CgroupError> {
        let deadline = Instant::now() + DELETE_PATIENCE;
        let mut pause = DELETE_FIRST_PAUSE;
        while !folder.try_delete()? {
            if Instant::now() > deadline {
                return Err(CgroupError::Busy {
                    path: folder.path(),
                });
            }
            self.kill(folder)?;
            thread::sleep(pause);
            pause = (pause * 2).min(DELETE_LONGEST_PAUSE);
        }
        Ok(())
    }
}

/// pids.max is the same file in both versions.
fn limit_pids(folder: &Folder<'_>, limits: &CgroupLimits) -> Result<(), CgroupError> {
    folder.write("pids.max", limits.pids_max())
}

/// So is cpu.idle, in kernels that have it, from 5.15 on.
pub(super) fn yield_cpu(folder: &Folder<'_>, yields: bool) -> Result<(), CgroupError> {
    match folder.write("cpu.idle", i32::from(yields)) {
        // An older one, unless there is no cgroup either.
        Err(error) if error.is_not_found() => folder.process_list().map(drop),
        written => written,
    }
}

fn folder_of(base: &Path, name: &str) -> Result<PathBuf, CgroupError> {
    let valid = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !valid {
        return Err(CgroupError::Name {
            name: name.to_owned(),
        });
    }
    let path = base.join(format!("pilotlight-{name}"));
    match std::fs::create_dir(&path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => Err(CgroupError::Io {
            action: "make",
            path,
            source,
        }),
        _ => Ok(path),
    }
}
