//! Control groups of slots, on cgroup v1, v2, or some controllers on each ("hybrid").
//!
//! Every hierarchy in use gets a folder `pilotlight-<name>` with one folder per slot in it. Nothing is kept open per
//! slot: a file is reached from its parent's descriptor in one short walk, so that thousands of slots cost no
//! descriptors, and a process other than the maker can use them. A slot is made with [`CgroupLimits::default`], and
//! a start writes only what differs: nothing for a function of 128 MB, one value for another size.

mod error;
mod folder;
mod limits;
mod mounts;
mod v1;
mod v2;

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

pub use self::error::CgroupError;
pub use self::limits::CgroupLimits;
pub use self::mounts::{Controller, Version};

use self::folder::{Dir, Folder};
use self::mounts::Mount;

/// How long [`Cgroup::delete`] waits for killed processes to be gone.
const DELETE_PATIENCE: Duration = Duration::from_secs(10);
const DELETE_FIRST_PAUSE: Duration = Duration::from_millis(1);
const DELETE_LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The folders that hold all slots of one node. Cloning gives another handle.
#[derive(Debug, Clone)]
pub struct Parent {
    hierarchies: Arc<[Hierarchy]>,
}

/// One mounted hierarchy and the controllers we use there.
#[derive(Debug)]
struct Hierarchy {
    version: Version,
    controllers: Vec<Controller>,
    dir: Dir,
}

impl Parent {
    /// Finds the controllers, makes the folders of the node called `name`, and sweeps: what is in them from an
    /// earlier run is killed and deleted.
    ///
    /// # Errors
    /// A controller is missing, a folder cannot be made, or a leftover does not go away.
    pub fn open(name: &str) -> Result<Parent, CgroupError> {
        let parent = Parent::join(name)?;
        parent.sweep()?;
        Ok(parent)
    }

    /// Like [`Parent::open`] for a second process of a node: what is there stays.
    ///
    /// # Errors
    /// As for [`Parent::open`].
    pub fn join(name: &str) -> Result<Parent, CgroupError> {
        let hierarchies = mounts::in_use()?
            .into_iter()
            .map(|mount| Hierarchy::open(mount, name));
        Ok(Parent {
            hierarchies: hierarchies.collect::<Result<_, _>>()?,
        })
    }

    /// What another process of the node needs to make cgroups: a word and a descriptor of each hierarchy.
    pub(crate) fn hand_over(&self) -> impl Iterator<Item = ([u8; 2], BorrowedFd<'_>)> {
        self.hierarchies.iter().map(|hierarchy| {
            let controllers = hierarchy.controllers.iter();
            let bits = controllers.fold(0, |bits, controller| bits | controller.bit());
            let version = u8::from(hierarchy.version == Version::V2);
            ([version, bits], hierarchy.dir.as_fd())
        })
    }

    /// See [`Parent::hand_over`]. Needs /proc.
    pub(crate) fn take_over(
        handed: impl Iterator<Item = ([u8; 2], io::Result<OwnedFd>)>,
    ) -> io::Result<Parent> {
        let hierarchies = handed.map(|([version, bits], fd)| {
            Ok(Hierarchy {
                version: match version {
                    0 => Version::V1,
                    _ => Version::V2,
                },
                controllers: Controller::ALL
                    .into_iter()
                    .filter(|controller| bits & controller.bit() != 0)
                    .collect(),
                dir: Dir::take_over(fd?)?,
            })
        });
        Ok(Parent {
            hierarchies: hierarchies.collect::<io::Result<_>>()?,
        })
    }

    /// How many entrances each cgroup has.
    pub(crate) fn entrances(&self) -> usize {
        self.hierarchies.len()
    }

    /// Where each controller was found: the version of its hierarchy and our folder there.
    pub fn controllers(&self) -> impl Iterator<Item = (Controller, Version, &Path)> {
        let all = self.hierarchies.iter();
        all.flat_map(|one| {
            one.controllers
                .iter()
                .map(|controller| (*controller, one.version, one.dir.path()))
        })
    }

    /// Makes the cgroup of slot `id`, with [`CgroupLimits::default`]. It yields, until [`Cgroup::hurry`]: whoever else wants
    /// a CPU gets it at once, and what is left over is the cgroup's.
    ///
    /// # Errors
    /// It exists, or the kernel refuses a setting. Nothing is left then.
    pub fn create(&self, id: u32) -> Result<Cgroup, CgroupError> {
        let cgroup = self.slot(id);
        for (made, (hierarchy, folder)) in cgroup.folders().enumerate() {
            if let Err(error) = hierarchy.make(&folder, &cgroup.applied) {
                // The first error is the one to tell; the next start sweeps what stays.
                let _ = cgroup
                    .folders()
                    .take(made)
                    .try_for_each(|(hierarchy, folder)| hierarchy.remove(&folder));
                return Err(error);
            }
        }
        Ok(cgroup)
    }

    /// The cgroup of slot `id` that [`Parent::create`] made, in this process or another of the node.
    #[must_use]
    pub fn slot(&self, id: u32) -> Cgroup {
        Cgroup {
            hierarchies: Arc::clone(&self.hierarchies),
            name: id.to_string(),
            applied: CgroupLimits::default(),
            yields: true,
        }
    }

    /// Kills and deletes everything in the node's folders.
    ///
    /// # Errors
    /// A process does not die.
    pub fn sweep(&self) -> Result<(), CgroupError> {
        for hierarchy in self.hierarchies.iter() {
            for name in hierarchy.dir.children()? {
                hierarchy.remove(&hierarchy.dir.folder(&name))?;
            }
        }
        Ok(())
    }

    /// Sweeps, then deletes the node's folders too.
    ///
    /// # Errors
    /// A process does not die, or another process of the node made a cgroup in the meantime.
    pub fn delete(self) -> Result<(), CgroupError> {
        self.sweep()?;
        for hierarchy in self.hierarchies.iter() {
            hierarchy.dir.delete()?;
        }
        Ok(())
    }
}

impl Hierarchy {
    fn open(mount: Mount, name: &str) -> Result<Hierarchy, CgroupError> {
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

    fn has(&self, controller: Controller) -> bool {
        self.controllers.contains(&controller)
    }

    /// Makes the folder; when a setting is refused it is deleted again.
    fn make(&self, folder: &Folder<'_>, limits: &CgroupLimits) -> Result<(), CgroupError> {
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

    /// Kills what is inside, and lets it end as fast as the machine can.
    fn kill(&self, folder: &Folder<'_>) -> Result<(), CgroupError> {
        match self.version {
            Version::V1 => v1::kill_all(folder)?,
            Version::V2 => v2::kill_all(folder)?,
        }
        self.lift(folder)
    }

    /// Takes the CPU quota away, where this hierarchy has it.
    fn lift(&self, folder: &Folder<'_>) -> Result<(), CgroupError> {
        match self.version {
            _ if !self.has(Controller::Cpu) => Ok(()),
            Version::V1 => v1::lift_cpu(folder),
            Version::V2 => v2::lift_cpu(folder),
        }
    }

    /// Kills and deletes, again and again: a killed process keeps the folder busy until it has left the kernel's
    /// lists, and one that was just forking shows up late.
    fn remove(&self, folder: &Folder<'_>) -> Result<(), CgroupError> {
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
            if hierarchy.has(Controller::Memory) && limits.memory_mb != self.applied.memory_mb {
                match hierarchy.version {
                    Version::V1 => v1::limit_memory(&folder, limits)?,
                    Version::V2 => v2::limit_memory(&folder, limits)?,
                }
            }
            if hierarchy.has(Controller::Cpu) && limits.cpu_milli != self.applied.cpu_milli {
                match hierarchy.version {
                    Version::V1 => v1::limit_cpu(&folder, limits)?,
                    Version::V2 => v2::limit_cpu(&folder, limits)?,
                }
            }
            if hierarchy.has(Controller::Pids) && limits.pids != self.applied.pids {
                limit_pids(&folder, limits)?;
            }
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

/// pids.max is the same file in both versions.
fn limit_pids(folder: &Folder<'_>, limits: &CgroupLimits) -> Result<(), CgroupError> {
    folder.write("pids.max", limits.pids_max())
}

/// So is cpu.idle, in kernels that have it, from 5.15 on.
fn yield_cpu(folder: &Folder<'_>, yields: bool) -> Result<(), CgroupError> {
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
