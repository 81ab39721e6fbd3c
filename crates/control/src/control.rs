//! The control plane's handle: opens it, wires its parts, and implements the traits through which the
//! gateway reaches it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pilotlight_model::concurrency::Admit;
use pilotlight_model::function_policy::Policy;
use pilotlight_model::logs::Logs;
use pilotlight_model::names::Target;
use pilotlight_model::node::{
    Api, BoxFuture, Caller, Directory, EventQueue, Node, QueuedEvent, Resolved, Route,
};
use pilotlight_model::url::FunctionUrl;
use pilotlight_model::{
    AccountId, ErrorKind, FunctionName, LambdaError, Region, UrlId, VersionKey,
};
use pilotlight_store::Store;
use tokio::sync::Notify;
use tokio::task::JoinError;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::catalog::{Catalog, CatalogError, OpenError};
use crate::config::Config;
use crate::deliveries::Deliveries;
use crate::metrics::Metrics;
use crate::packages::Packages;
use crate::sealing::SealingKey;
use crate::{api, chains, deliveries, deploy, events, logs, provision, restore, schedules};

/// The control plane. Dropping it stops its workers where they are; [`Control::drain`] lets them end.
pub struct Control {
    parts: Arc<Parts>,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

/// What the parts of the control plane share.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) catalog: Catalog,
    pub(crate) packages: Packages,
    pub(crate) node: Arc<dyn Node>,
    /// Says which events may be delivered now.
    pub(crate) admit: Arc<dyn Admit>,
    /// What functions have logged.
    pub(crate) logs: Arc<dyn Logs>,
    /// The node's name, which stays the same.
    pub(crate) node_name: String,
    pub(crate) metrics: Metrics,
    pub(crate) queue: events::Queue,
    /// What is told of events outside the platform.
    pub(crate) deliveries: Deliveries,
    /// Signs download URLs.
    pub(crate) secret: String,
    /// Something waits to be made ready.
    pub(crate) unsettled: Notify,
    /// A schedule was made, changed, or is to go.
    pub(crate) schedules_changed: Notify,
    /// The next firings of schedules are others than before.
    pub(crate) upcoming_changed: Notify,
    /// A chain was declared, or is no more.
    pub(crate) chains_changed: Notify,
    /// There are firings to be seen to.
    pub(crate) firings_changed: Notify,
    /// Something in the store may be no longer needed.
    pub(crate) unreferenced: Notify,
}

impl Parts {
    /// The version that one invocation gets.
    pub(crate) fn resolve(
        &self,
        account: &AccountId,
        region: &Region,
        name: &FunctionName,
        qualifier: Option<&str>,
    ) -> Result<Resolved, LambdaError> {
        let draw = || self.config.chance.draw();
        let index = self.catalog.index();
        index.resolve(account, region, name, qualifier, draw)
    }

    /// All versions that invocations of it get.
    pub(crate) fn routes(&self, target: &Target) -> Result<Vec<Route>, LambdaError> {
        self.catalog.index().routes(target)
    }

    /// Schedules were made, changed, or are to go.
    pub(crate) fn note_schedules(&self) {
        self.schedules_changed.notify_one();
        self.upcoming_changed.notify_one();
    }
}

impl Control {
    /// Opens the catalog in the data directory and takes up what the last run left undone. What it invokes
    /// itself, `admit` has admitted. Needs a tokio runtime.
    pub async fn open(
        config: Config,
        store: Arc<Store>,
        node: Arc<dyn Node>,
        admit: Arc<dyn Admit>,
        logs: Arc<dyn Logs>,
    ) -> Result<Arc<Self>, OpenError> {
        let (data_dir, key_file) = (config.data_dir.clone(), config.key_file.clone());
        let concurrency = config.limits.account_concurrency;
        let open = move || Catalog::open(&data_dir, SealingKey::open(&key_file)?, concurrency);
        let catalog = tokio::task::spawn_blocking(open)
            .await
            .map_err(|panic| OpenError::Read(Box::new(panic)))??;
        // Two random UUIDs hold 244 random bits.
        let fresh = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let (secret, (events, messages)) = catalog
            .write(move |session| {
                let secret = session.setting("download-secret", &fresh)?;
                let waiting = (session.event_entries()?, session.delivery_entries()?);
                Ok::<_, CatalogError>((secret, waiting))
            })
            .await?;
        let metrics = Metrics::default();
        let queued = events.len();
        let parts = Arc::new(Parts {
            packages: Packages::new(store, config.publishes),
            queue: events::Queue::new(&config, events, metrics.clone()),
            deliveries: Deliveries::new(&config, messages, metrics.clone())
                .map_err(OpenError::Thread)?,
            config,
            catalog,
            node_name: node.status().node,
            node,
            admit,
            logs,
            metrics,
            secret,
            unsettled: Notify::new(),
            schedules_changed: Notify::new(),
            upcoming_changed: Notify::new(),
            chains_changed: Notify::new(),
            firings_changed: Notify::new(),
            unreferenced: Notify::new(),
        });
        logs::tell_retention(&parts).await?;
        // What a crash left published but unnamed.
        parts.unreferenced.notify_one();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(restore::run(Arc::clone(&parts), stop.clone()));
        tasks.spawn(provision::run(Arc::clone(&parts), stop.clone()));
        tasks.spawn(deploy::run(Arc::clone(&parts), stop.clone()));
        tasks.spawn(deploy::collect(Arc::clone(&parts), stop.clone()));
        tasks.spawn(events::run(Arc::clone(&parts), stop.clone()));
        tasks.spawn(deliveries::run(Arc::clone(&parts), stop.clone()));
        tasks.spawn(schedules::run(Arc::clone(&parts), stop.clone()));
        tasks.spawn(chains::run(Arc::clone(&parts), stop.clone()));
        tasks.spawn(schedules::foretell(Arc::clone(&parts), stop.clone()));
        tasks.spawn(schedules::run_firings(Arc::clone(&parts), stop.clone()));
        tracing::info!(
            versions = parts.catalog.index().len(),
            queued,
            "control plane open"
        );
        let _stop_when_dropped = stop.clone().drop_guard();
        Ok(Arc::new(Self {
            parts,
            tasks,
            stop,
            _stop_when_dropped,
        }))
    }

    /// Stops taking up work and waits until what runs has ended, at most `deadline` long. What is cut off
    /// is taken up again at the next open.
    pub async fn drain(&self, deadline: Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(deadline, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("control plane cut off work at the drain's deadline");
        }
    }

    /// What the control plane counts.
    pub fn metrics(&self) -> &Metrics {
        &self.parts.metrics
    }
}

impl Api for Control {
    /// The operation is carried to its end even if the client goes away meanwhile.
    fn handle(
        &self,
        caller: Caller,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, http::Response<Bytes>> {
        let answer = self
            .tasks
            .spawn(api::answer(Arc::clone(&self.parts), caller, request));
        Box::pin(async move {
            let answer = answer.await.map_or_else(panicked, Ok);
            answer.unwrap_or_else(|error| error.response())
        })
    }
}

impl Directory for Control {
    fn resolve(
        &self,
        account: &AccountId,
        region: &Region,
        name: &FunctionName,
        qualifier: Option<&str>,
    ) -> Result<Resolved, LambdaError> {
        self.parts.resolve(account, region, name, qualifier)
    }

    fn routes(&self, target: &Target) -> Result<Vec<Route>, LambdaError> {
        self.parts.routes(target)
    }

    fn policy(&self, target: &Target) -> Arc<Policy> {
        self.parts.catalog.index().policy(target)
    }

    fn function_url(&self, id: &UrlId) -> Option<Arc<FunctionUrl>> {
        self.parts.catalog.index().url(id)
    }

    fn may_loop<'a>(&'a self, version: &'a VersionKey) -> BoxFuture<'a, bool> {
        Box::pin(events::may_loop(&self.parts, version))
    }
}

impl EventQueue for Control {
    /// Carried to its end even if the client goes away meanwhile: half of it would leave an event that
    /// nobody was woken for, or a place in the queue that nobody gives back.
    fn enqueue(&self, event: QueuedEvent) -> BoxFuture<'_, Result<(), LambdaError>> {
        let kept = self
            .tasks
            .spawn(events::enqueue(Arc::clone(&self.parts), event));
        Box::pin(async move { kept.await.unwrap_or_else(panicked) })
    }
}

fn panicked<T>(panic: JoinError) -> Result<T, LambdaError> {
    tracing::error!(%panic, "an operation panicked");
    Err(LambdaError::new(
        ErrorKind::Service,
        "An internal error occurred.",
    ))
}
