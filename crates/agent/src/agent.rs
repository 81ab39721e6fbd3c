//! The node agent: its handle, and what its parts share.

mod api;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::Runtime;
use pilotlight_model::error::Causes;
use pilotlight_model::ladder::Rung;
use pilotlight_model::logs::Logs;
use pilotlight_model::node::{InnerDoor, NodeError};
use pilotlight_policy::Policy;
use pilotlight_policy::policies::by_name;
use pilotlight_sandbox::Sandboxes;
use pilotlight_store::Store;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::config::{AgentError, Config};
use crate::environment;
use crate::event_log::EventLogWriter;
use crate::ladder::{Ladder, START_FIRST};
use crate::launcher::{LaunchError, Launcher, Sandboxed};
use crate::live::Live;
use crate::logs::{LogLimits, LogStore};
use crate::memory;
use crate::pool::{Call, Pool};
use crate::runtime::RuntimeImage;
use crate::start;

/// Compile steps that run at the same moment; each has a memory limit of its own.
const CONCURRENT_COMPILES: usize = 2;
/// Time that killed instances have to be gone at the end of a drain.
const KILL: Duration = Duration::from_secs(5);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A node agent. Cheap to clone; every clone is the same node.
#[derive(Clone)]
pub struct Agent {
    pub(crate) node: Arc<Node>,
    /// Runs the keep-alive policy's clock for as long as there is an agent.
    _clock: Arc<AbortOnDropHandle<()>>,
    /// Weighs idle instances, for policies that reckon with that.
    _weights: Arc<AbortOnDropHandle<()>>,
    /// Has the log store let go of what has been kept long enough.
    _expiry: Arc<AbortOnDropHandle<()>>,
    /// Keeps the zygotes for as long as there is an agent.
    _ladder: Arc<Vec<AbortOnDropHandle<()>>>,
}

/// What the parts of the agent share.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) runtimes: BTreeMap<Runtime, RuntimeImage>,
    pub(crate) launcher: Arc<dyn Launcher>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) ladder: Ladder,
    pub(crate) logs: LogStore,
    pub(crate) events: Option<EventLogWriter>,
    /// The policy, with its parameters.
    pub(crate) policy: String,
    pub(crate) compiles: Semaphore,
    pub(crate) live: Live,
    /// Serves what instances ask of the platform's API, if they may ask anything.
    pub(crate) inner_door: Option<Arc<dyn InnerDoor>>,
    /// Instances outlive the task that asked for them.
    pub(crate) handle: Handle,
}

impl Agent {
    /// Starts a node: its images come from `store`, its instances run in `sandboxes`, and reach the platform's API by
    /// `inner_door`, if there is one. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// The log store cannot be opened, or the machine does not say how much memory it has.
    pub fn start(
        config: Config,
        store: Arc<Store>,
        runtimes: BTreeMap<Runtime, RuntimeImage>,
        sandboxes: Sandboxes,
        inner_door: Option<Arc<dyn InnerDoor>>,
    ) -> Result<Self, AgentError> {
        let launcher = Sandboxed::new(sandboxes, store, config.resolv_conf.clone());
        Self::with_launcher(&config, runtimes, Arc::new(launcher), inner_door)
    }

    /// A node on that launcher. Must be called within a Tokio runtime.
    pub(crate) fn with_launcher(
        config: &Config,
        runtimes: BTreeMap<Runtime, RuntimeImage>,
        launcher: Arc<dyn Launcher>,
        inner_door: Option<Arc<dyn InnerDoor>>,
    ) -> Result<Self, AgentError> {
        let policy = by_name(&config.policy_name()).map_err(AgentError::Policy)?;
        Self::with_policy(config, runtimes, launcher, inner_door, policy)
    }

    /// The same, deciding by that policy, whatever its name.
    pub(crate) fn with_policy(
        config: &Config,
        runtimes: BTreeMap<Runtime, RuntimeImage>,
        launcher: Arc<dyn Launcher>,
        inner_door: Option<Arc<dyn InnerDoor>>,
        policy: Box<dyn Policy>,
    ) -> Result<Self, AgentError> {
        let folder = config.data_dir.join("logs");
        let bounds = LogLimits {
            group: config.limits.log_group_bytes,
            account: config.limits.account_log_bytes,
        };
        let logs = LogStore::open(&folder, bounds)
            .map_err(|source| AgentError::Logs { folder, source })?;
        let capacity_mb = match config.limits.node_memory_mb {
            0 => memory::for_instances_mb().map_err(AgentError::Memory)?,
            given => given,
        };
        let name = config.policy_name();
        let (event_log, events) = config.begin_event_log(&name)?.unzip();
        let node = Arc::new_cyclic(|this: &std::sync::Weak<Node>| {
            let this = this.clone();
            let pool = Pool::new(
                &config.limits,
                capacity_mb,
                policy,
                event_log,
                move |call| {
                    // Without a node an order is dropped, and its room with it.
                    if let Some(node) = this.upgrade() {
                        answer(node, call);
                    }
                },
            );
            let ladder = Ladder::new(&runtimes, &config.data_dir, launcher.forks());
            Node {
                name: config.node.clone(),
                runtimes,
                launcher,
                pool,
                ladder,
                logs,
                events,
                policy: name,
                compiles: Semaphore::new(CONCURRENT_COMPILES),
                live: Live::default(),
                inner_door,
                handle: Handle::current(),
            }
        });
        let clock = tokio::spawn(Arc::clone(&node.pool).keep_time());
        let weights = tokio::spawn(Arc::clone(&node.pool).keep_weights());
        let expiry = tokio::spawn(expire_logs(node.logs.clone()));
        let ladder = node.ladder.run(&node);
        Ok(Self {
            node,
            _clock: Arc::new(AbortOnDropHandle::new(clock)),
            _weights: Arc::new(AbortOnDropHandle::new(weights)),
            _expiry: Arc::new(AbortOnDropHandle::new(expiry)),
            _ladder: Arc::new(ladder),
        })
    }

    /// The node's log store, for the API that reads it.
    pub fn logs(&self) -> Arc<dyn Logs> {
        Arc::new(self.node.logs.clone())
    }

    /// Stops accepting invocations, lets running ones end for that long, then ends every instance and
    /// waits until what they logged is on disk.
    pub async fn drain(&self, within: Duration) {
        let pool = &self.node.pool;
        pool.drain();
        self.node.ladder.close();
        if tokio::time::timeout(within, pool.emptied()).await.is_err() {
            tracing::warn!(
                after_s = within.as_secs(),
                "running invocations are cut off"
            );
            pool.kill_all();
            if tokio::time::timeout(KILL, pool.emptied()).await.is_err() {
                tracing::error!("killed instances do not end");
            }
        }
        self.node.ladder.write_uses(&self.node).await;
        self.node.logs.written().await;
        if let Some(events) = &self.node.events {
            events.written().await;
        }
    }
}

impl Node {
    /// Whether its instances have an inner door.
    pub(crate) fn door(&self) -> environment::InnerDoor {
        match self.inner_door {
            Some(_) => environment::InnerDoor::Open,
            None => environment::InnerDoor::Absent,
        }
    }
}

/// Lets log lines go that have been kept long enough. Retention is counted in days.
async fn expire_logs(logs: LogStore) {
    let mut hours = tokio::time::interval(HOUR);
    loop {
        hours.tick().await;
        logs.expire();
    }
}

/// Does what the pool asks for.
fn answer(node: Arc<Node>, call: Call) {
    match call {
        Call::Start(order) => start::begin(node, *order),
        Call::GivenUp(rung) => node.ladder.count_given_up(rung),
        Call::Raise(spec, rung) => {
            node.ladder.missed_template(&node, &spec);
            if rung >= Rung::Spare {
                node.ladder.order_spare(&node, &spec);
            }
        }
        // Off the path: the request that took the spare comes first.
        Call::SpareTaken(spec) => {
            let handle = node.handle.clone();
            handle.spawn(async move {
                sleep(START_FIRST).await;
                node.ladder.order_spare(&node, &spec);
            });
        }
    }
}

impl Node {
    /// The image of a runtime, or why not.
    pub(crate) fn image(&self, runtime: Runtime) -> Result<&RuntimeImage, NodeError> {
        self.runtimes
            .get(&runtime)
            .ok_or_else(|| NodeError::Internal(format!("this node has no image of {runtime}")))
    }
}

/// The platform's failure as the caller sees it.
pub(crate) fn internal(error: &LaunchError) -> NodeError {
    NodeError::Internal(Causes(error).to_string())
}
