//! Makes created and changed functions ready, off the API's path: compile, publish, prepare on the node,
//! and only then show the new revision to invocations. Which functions wait is in the catalog, so that a
//! restart takes them up again; every step can be repeated.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::error::Causes;
use pilotlight_model::node::{Folder, NodeError};
use pilotlight_model::{FunctionSpec, LambdaError, VersionKey};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::api::tags::keep_alive;
use crate::catalog::CatalogError;
use crate::catalog::record::{Code, Record};
use crate::control::Parts;
use crate::layers;
use crate::lifecycle::Reason;

/// Waits before a node without room is asked again; then the deploy has failed.
const NO_ROOM_WAITS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(8),
    Duration::from_secs(30),
];

/// Rest after a fault of the catalog.
const FAULT_REST: Duration = Duration::from_secs(5);

/// The worker: as many deploys at a time as configured, until stopped; then it lets those end.
pub(crate) async fn run(parts: Arc<Parts>, stop: CancellationToken) {
    let room = parts.config.deploys.max(1);
    let mut running: JoinSet<bool> = JoinSet::new();
    let mut changes: HashMap<Id, (VersionKey, u64)> = HashMap::new();
    // Revisions that the draining node refused, or whose deploy panicked; they wait for the next start.
    let mut left: HashSet<u64> = HashSet::new();
    while !stop.is_cancelled() {
        for record in waiting(&parts, room + left.len()).await {
            let (key, revision) = (record.key.clone(), record.revision);
            // One revision of a function at a time: what an older one prepares must not come last.
            let busy = changes.values().any(|(running, _)| *running == key);
            if changes.len() < room && !left.contains(&revision) && !busy {
                let task = running.spawn(deploy(Arc::clone(&parts), record));
                changes.insert(task.id(), (key, revision));
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = parts.unsettled.notified() => {}
            Some(ended) = running.join_next_with_id() => {
                let (id, settled) = match ended {
                    Ok(ended) => ended,
                    Err(panic) => {
                        tracing::error!(%panic, "a deploy panicked");
                        (panic.id(), false)
                    }
                };
                if let Some((_, revision)) = changes.remove(&id).filter(|_| !settled) {
                    left.insert(revision);
                }
            }
        }
    }
    while running.join_next().await.is_some() {}
}

/// The collector: removes from the store what no version needs any more.
pub(crate) async fn collect(parts: Arc<Parts>, stop: CancellationToken) {
    let collected = async {
        loop {
            parts.unreferenced.notified().await;
            let live = async || {
                parts
                    .catalog
                    .write(|session| session.forget_layer_images())
                    .await?;
                let mut live = parts.catalog.read(|session| session.artifacts()).await?;
                live.extend(parts.catalog.index().images());
                live.extend(parts.config.runtimes.values().cloned());
                Ok::<_, CatalogError>(live)
            };
            if let Err(error) = parts.packages.collect(live).await {
                tracing::error!(error = %Causes(&error), "store not collected");
            }
            tokio::time::sleep(parts.config.collect_rest).await;
        }
    };
    stop.run_until_cancelled(collected).await;
}

async fn waiting(parts: &Parts, limit: usize) -> Vec<Record> {
    match parts
        .catalog
        .read(move |session| session.unsettled(limit))
        .await
    {
        Ok(records) => records,
        Err(error) => {
            let error: CatalogError = error;
            tracing::error!(
                error = %Causes(&error),
                "cannot see which functions wait"
            );
            tokio::time::sleep(FAULT_REST).await;
            parts.unsettled.notify_one();
            Vec::new()
        }
    }
}

/// Why a revision was not made ready.
pub(crate) enum Failure {
    /// It has been changed or deleted meanwhile.
    Superseded,
    /// The node is going away: at the next start.
    Later,
    /// It cannot be.
    Final(Reason),
}

impl From<LambdaError> for Failure {
    fn from(error: LambdaError) -> Self {
        Failure::Final(internal(error.message))
    }
}

fn internal(text: String) -> Reason {
    Reason {
        text,
        code: "InternalError".to_owned(),
    }
}

/// Makes one revision ready; `false` when it is left for the next start.
async fn deploy(parts: Arc<Parts>, record: Record) -> bool {
    let (key, revision) = (record.key.clone(), record.revision);
    let outcome = match make_ready(&parts, record).await {
        Ok(spec) => Ok(spec),
        Err(Failure::Final(reason)) => Err(reason),
        Err(Failure::Superseded) => {
            // What was published for it has no row, and the change may have been collected for already.
            parts.unreferenced.notify_one();
            return true;
        }
        Err(Failure::Later) => return false,
    };
    match &outcome {
        Ok(_) => {
            parts.metrics.deploys.inc();
            tracing::info!(function = %key, revision, "function ready");
        }
        Err(reason) => {
            parts.metrics.deploys_failed.inc();
            tracing::warn!(function = %key, revision, reason = reason.text, "function not ready");
        }
    }
    match settle(&parts, key.clone(), revision, outcome).await {
        Ok(true) => parts.unreferenced.notify_one(),
        // Deleted meanwhile: what was prepared goes too.
        Ok(false) => parts.node.retire(&key),
        Err(error) => {
            tracing::error!(
                error = %Causes(&error),
                function = %key, "a deploy's end could not be written"
            );
            // It still waits in the catalog, and is made ready once more.
            tokio::time::sleep(FAULT_REST).await;
        }
    }
    true
}

async fn make_ready(parts: &Parts, mut record: Record) -> Result<Arc<FunctionSpec>, Failure> {
    // What is edited has no byte code: it would be that of the source as it was.
    let compiles = record.settings.live_code.is_none();
    if compiles && record.code.compiled != Some(record.settings.runtime.image()) {
        record.code = compiled(parts, &record).await?;
    }
    let layers = layers::images(parts, &record).await?;
    let key = record.key.clone();
    let tags = parts
        .catalog
        .read(move |session| Ok::<_, LambdaError>(session.tags(&key)?))
        .await?;
    let spec = Arc::new(record.spec(keep_alive(&tags)?, layers));
    let mut waits = NO_ROOM_WAITS.iter();
    loop {
        match parts.node.prepare(Arc::clone(&spec)).await {
            Ok(()) => return Ok(spec),
            Err(NodeError::Draining) => return Err(Failure::Later),
            Err(NodeError::Overloaded) if let Some(wait) = waits.next() => {
                tokio::time::sleep(*wait).await;
            }
            Err(NodeError::InitFailed(status)) => {
                return Err(Failure::Final(Reason {
                    text: format!("The function's initialization failed. {status}"),
                    code: "FunctionError".to_owned(),
                }));
            }
            Err(error) => return Err(Failure::Final(internal(error.to_string()))),
        }
    }
}

/// The code with byte code added, kept alive by the row before it is used. Code that cannot be compiled
/// runs uncompiled, only slower.
async fn compiled(parts: &Parts, record: &Record) -> Result<Code, Failure> {
    let (runtime, mut code) = (record.settings.runtime.image(), record.code.clone());
    let held = parts.packages.hold().await;
    if !parts.packages.contains(&code.draft) {
        code.draft = parts
            .packages
            .publish(&code.package, Vec::new(), &held)
            .await?;
    }
    drop(held);
    let task = Folder::Task;
    let files = match parts.node.compile(runtime, code.draft.clone(), task).await {
        Ok(compiled) => {
            code.compiled = Some(runtime);
            compiled.files
        }
        Err(NodeError::Draining) => return Err(Failure::Later),
        Err(error) => {
            tracing::warn!(%error, function = %record.key, "code stays uncompiled");
            code.compiled = None;
            Vec::new()
        }
    };
    let held = parts.packages.hold().await;
    code.image = if files.is_empty() {
        code.draft.clone()
    } else {
        parts.packages.publish(&code.package, files, &held).await?
    };
    let (key, revision, written) = (record.key.clone(), record.revision, code.clone());
    let current = parts
        .catalog
        .write(move |session| {
            let Some(mut record) = session.find(&key)?.filter(|it| it.revision == revision) else {
                return Ok(false);
            };
            record.code = written;
            session.update(&record)?;
            Ok::<_, LambdaError>(true)
        })
        .await?;
    drop(held);
    if current {
        Ok(code)
    } else {
        Err(Failure::Superseded)
    }
}

/// Writes how it ended, unless the function has been changed meanwhile; `false` when it has been deleted.
async fn settle(
    parts: &Parts,
    key: VersionKey,
    revision: u64,
    outcome: Result<Arc<FunctionSpec>, Reason>,
) -> Result<bool, CatalogError> {
    parts
        .catalog
        .write(move |session| {
            let Some(mut record) = session.find(&key)? else {
                return Ok(false);
            };
            if record.revision == revision {
                let (serving, reason) = match outcome {
                    Ok(spec) => (Some(spec), None),
                    Err(reason) => (record.serving.take(), Some(reason)),
                };
                record.serving = serving;
                record.lifecycle = record.lifecycle.settle(reason);
                record.revision_id = Uuid::new_v4();
                session.update(&record)?;
            }
            Ok(true)
        })
        .await
}
