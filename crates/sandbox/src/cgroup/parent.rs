//! The folders that hold the cgroups of a node's slots.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use super::folder::Dir;
use super::hierarchy::Hierarchy;
use super::{Cgroup, CgroupError, CgroupLimits, Controller, Version, mounts};

/// The folders that hold all slots of one node. Cloning gives another handle.
#[derive(Debug, Clone)]
pub struct Parent {
    hierarchies: Arc<[Hierarchy]>,
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
