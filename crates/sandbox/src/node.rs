//! What all slots of a node share, and the making and disposing of sandboxes.

use std::io;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, pidfd_send_signal};

use crate::cgroup::{Cgroup, CgroupError, CgroupLimits, Parent};
use crate::channel::Channel;
use crate::config::Config;
use crate::error::SlotError;
use crate::identity::{IdMap, Users};
use crate::impatience::Impatience;
use crate::launcher::{BirthError, Launcher, Nest, Setting};
use crate::network::{NetworkConfig, NetworkError, Router, Subnet, SubnetError, host_resolvers};
use crate::seccomp::Knock;
use crate::template::builders::Builders;

/// Why sandboxes cannot be made on this machine.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The process that forks sandboxes.
    #[error("cannot start the launcher; does main call launcher_main_if_asked?")]
    Launcher(#[source] io::Error),
    /// Control groups.
    #[error("cannot set up control groups")]
    Cgroup(#[from] CgroupError),
    /// The router.
    #[error("cannot set up the network")]
    Network(#[from] NetworkError),
    /// The configured addresses.
    #[error("the subnet does not serve")]
    Subnet(#[from] SubnetError),
    /// The configured ids.
    #[error("user ids from {uid_base} on leave no room for {max_slots} slots")]
    Users {
        /// As configured.
        uid_base: u32,
        /// As configured.
        max_slots: u32,
    },
    /// A thread.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// The shared parts.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) launcher: Launcher,
    pub(crate) cgroups: Parent,
    /// With which the helpers of templates pass the filter of system calls.
    pub(crate) knock: Knock,
    /// Sandboxes at one time.
    pub(crate) max_slots: u32,
    uid_base: u32,
    ids: Arc<Ids>,
    /// As deep as there are ids, so that sending never waits.
    remains: SyncSender<Remains>,
    impatience: Impatience,
    /// Who may build a berth now.
    pub(crate) berths: Builders,
    /// `None` after [`Node::close`].
    router: Mutex<Option<Router>>,
}

impl Node {
    /// Sweeps what an earlier node of that name left, and starts. Blocks.
    pub(crate) fn start(config: &Config) -> Result<Arc<Node>, StartError> {
        let Config {
            uid_base,
            max_slots,
            ..
        } = *config;
        let last_uid = max_slots
            .checked_mul(2)
            .and_then(|ids| uid_base.checked_add(ids));
        // The largest number means "no user".
        if uid_base == 0 || last_uid.is_none() {
            return Err(StartError::Users {
                uid_base,
                max_slots,
            });
        }
        let subnet = Subnet::new(config.subnet.0, config.subnet.1)?;
        let knock = Knock::random().map_err(StartError::Launcher)?;
        let cgroups = Parent::open(&config.name)?;
        let network = NetworkConfig {
            name: config.name.clone(),
            subnet,
            resolvers: host_resolvers(),
        };
        let router = Router::start(&network)?;
        let launched = router.trunk().and_then(|trunk| {
            Launcher::start(Setting {
                knock,
                cgroups: cgroups.clone(),
                trunk,
            })
        });
        let launcher = match launched {
            Ok(launcher) => launcher,
            Err(error) => {
                // The first error is the one to tell; what stays is swept by the next start.
                let _ = router.stop();
                return Err(StartError::Launcher(error));
            }
        };
        let cpus = thread::available_parallelism().map_or(1, NonZero::get);
        let ids = Arc::new(Ids::new(max_slots));
        let (remains, to_dispose) = sync_channel(max_slots as usize);
        let returns = Arc::clone(&ids);
        thread::Builder::new()
            .name("disposal".into())
            .spawn(move || dispose(&to_dispose, &returns))
            .map_err(StartError::Thread)?;
        Ok(Arc::new(Node {
            launcher,
            cgroups,
            knock,
            max_slots,
            uid_base,
            ids,
            remains,
            berths: Builders::new(cpus),
            impatience: Impatience::start(max_slots).map_err(StartError::Thread)?,
            router: Mutex::new(Some(router)),
        }))
    }

    pub(crate) fn users(&self, id: u32) -> Users {
        Users::of_slot(self.uid_base, id)
    }

    /// All ids of sandboxes, as a program's user namespace has them.
    pub(crate) fn user_ids(&self) -> IdMap {
        IdMap::of_node(self.uid_base, self.max_slots)
    }

    /// Waits until all sandboxes are gone, then deletes what they shared. Blocks.
    pub(crate) fn close(&self, patience: Duration) {
        let launcher = self.launcher.stop();
        let gone = self.ids.wait_for_all(patience);
        drop(launcher);
        if !gone {
            tracing::warn!("sandboxes are still there; the next start deletes them");
            return;
        }
        let router = self
            .router
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Err(error)) = router.map(Router::stop) {
            tracing::warn!(%error, "the network is left to the next start");
        }
        if let Err(error) = self.cgroups.clone().delete() {
            tracing::warn!(%error, "control groups are left to the next start");
        }
    }
}

/// A sandbox: its processes and all that belongs to it. Dropping it kills them at once; deleting the rest, which takes
/// long, is left to a thread.
#[derive(Debug)]
pub(crate) struct Sandbox {
    node: Arc<Node>,
    /// `None` only while it is being dropped.
    remains: Option<Remains>,
    pub(crate) pid: i32,
}

#[derive(Debug)]
struct Remains {
    id: u32,
    pidfd: OwnedFd,
    /// Locked for single reads and writes of its files, and to delete it.
    cgroup: Arc<Mutex<Cgroup>>,
}

impl Sandbox {
    /// Has one built, with its control group, its network and its init, which makes the rest. Blocks.
    pub(crate) fn build(
        node: &Arc<Node>,
        ids: &IdMap,
        nest: Option<Nest<'_>>,
    ) -> Result<(Sandbox, [Channel; 2]), SlotError> {
        match Sandbox::try_to_build(node, ids, nest) {
            Err(BirthError::Again(_)) => Sandbox::try_to_build(node, ids, nest),
            built => built,
        }
        .map_err(|error| match error {
            BirthError::Exhausted => SlotError::Exhausted {
                max: node.max_slots,
            },
            BirthError::Stopped => SlotError::Closed,
            BirthError::Again(error) | BirthError::Talk(error) => SlotError::Fork(error),
            BirthError::Failed(failure) => failure.into(),
        })
    }

    fn try_to_build(
        node: &Arc<Node>,
        ids: &IdMap,
        nest: Option<Nest<'_>>,
    ) -> Result<(Sandbox, [Channel; 2]), BirthError> {
        let id = node.ids.lock().pop().ok_or(BirthError::Exhausted)?;
        let cgroup = Arc::new(Mutex::new(node.cgroups.slot(id)));
        node.impatience.watch(&cgroup);
        match node.launcher.build(id, node.users(id), ids, nest) {
            Ok(newborn) => {
                let sandbox = Sandbox {
                    node: Arc::clone(node),
                    remains: Some(Remains {
                        id,
                        pidfd: newborn.pidfd,
                        cgroup,
                    }),
                    pid: newborn.pid,
                };
                Ok((sandbox, [newborn.control, newborn.program]))
            }
            Err(error) => {
                match node.cgroups.slot(id).delete() {
                    Ok(()) => node.ids.give_back(id),
                    Err(error) => tracing::error!(id, %error, "a sandbox cannot be deleted"),
                }
                Err(error)
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.remains().id
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    pub(crate) fn limit(&self, limits: &CgroupLimits) -> Result<(), CgroupError> {
        self.with_cgroup(|cgroup| cgroup.limit(limits))
    }

    /// See [`Cgroup::hurry`].
    pub(crate) fn hurry(&self) -> Result<(), CgroupError> {
        self.with_cgroup(Cgroup::hurry)
    }

    pub(crate) fn with_cgroup<T>(&self, work: impl FnOnce(&mut Cgroup) -> T) -> T {
        let cgroup = self.remains().cgroup.lock();
        work(&mut cgroup.unwrap_or_else(PoisonError::into_inner))
    }

    /// Kills every process: init's end is that of its PID namespace.
    pub(crate) fn kill(&self) {
        // It may have ended already.
        let _ = pidfd_send_signal(&self.remains().pidfd, Signal::KILL);
        // Without, it takes longer.
        let _ = self.with_cgroup(|cgroup| cgroup.lift_quota());
    }

    fn remains(&self) -> &Remains {
        self.remains.as_ref().expect("only dropping takes it")
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.kill();
        let remains = self.remains.take().expect("dropped once");
        // Neither full, as there are no more of them than ids, nor closed, as the thread lives as long as the node.
        let _ = self.node.remains.try_send(remains);
    }
}

/// How long killed processes may take to end. Longer means that the kernel is stuck with one.
const DEATH_PATIENCE: rustix::time::Timespec = rustix::time::Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};

/// Deletes what sandboxes leave, until the node is gone.
fn dispose(to_dispose: &Receiver<Remains>, ids: &Ids) {
    for Remains { id, pidfd, cgroup } in to_dispose {
        let mut source = [rustix::event::PollFd::new(
            &pidfd,
            rustix::event::PollFlags::IN,
        )];
        let ended = rustix::event::poll(&mut source, Some(&DEATH_PATIENCE));
        let cgroup = cgroup.lock().unwrap_or_else(PoisonError::into_inner);
        match (ended, cgroup.delete()) {
            (Ok(1..), Ok(())) => ids.give_back(id),
            // Its id stays taken, so that nothing new meets what is left.
            (_, Err(error)) => tracing::error!(id, %error, "a sandbox cannot be deleted"),
            _ => tracing::error!(id, "a sandbox does not end"),
        }
    }
}

/// Free numbers of slots.
#[derive(Debug)]
struct Ids {
    all: usize,
    /// Held to push or pop.
    free: Mutex<Vec<u32>>,
    given_back: Condvar,
}

impl Ids {
    fn new(count: u32) -> Ids {
        Ids {
            all: count as usize,
            free: Mutex::new((0..count).rev().collect()),
            given_back: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u32>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, id: u32) {
        self.lock().push(id);
        self.given_back.notify_all();
    }

    /// Whether all are free within that time.
    fn wait_for_all(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut free = self.lock();
        while free.len() < self.all {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            free = self
                .given_back
                .wait_timeout(free, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }
}
