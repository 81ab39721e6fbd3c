//! Tells the node how many instances of which versions are provisioned: after a start, and whenever the
//! catalog has changed. What is wanted is in the index; telling it again is harmless.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use pilotlight_model::{FunctionSpec, VersionKey};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::control::Parts;
use crate::restore;

/// What the node was told last.
type Told = HashMap<VersionKey, (Arc<FunctionSpec>, u32)>;

/// One revision of a version.
type Revision = (VersionKey, u64);

/// The worker; runs until stopped.
pub(crate) async fn run(parts: Arc<Parts>, stop: CancellationToken) {
    let mut told = Told::new();
    // A version is prepared first: then its instances are forked from its template, and cost next to nothing.
    let (mut under_way, mut prepared) = (HashSet::new(), HashSet::new());
    let mut preparing: JoinSet<Revision> = JoinSet::new();
    while !stop.is_cancelled() {
        let wanted = parts.catalog.index().provisions();
        release(&parts, &mut told, &wanted);
        prepared.retain(|(key, _): &Revision| wanted.contains_key(key));
        for (key, (spec, count)) in wanted {
            let revision = (key, spec.revision);
            if prepared.contains(&revision) {
                tell(&parts, &mut told, revision.0, spec, count);
            } else if under_way.insert(revision.clone()) {
                let parts = Arc::clone(&parts);
                preparing.spawn(async move {
                    restore::prepare(&parts, &revision.0).await;
                    revision
                });
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = parts.catalog.index().changed.notified() => {}
            Some(ended) = preparing.join_next() => match ended {
                Ok(revision) => {
                    under_way.remove(&revision);
                    prepared.insert(revision);
                }
                Err(panic) => tracing::error!(%panic, "a preparation panicked"),
            }
        }
    }
}

/// What is wanted no more goes.
fn release(parts: &Parts, told: &mut Told, wanted: &HashMap<VersionKey, (Arc<FunctionSpec>, u32)>) {
    told.retain(|key, (spec, _)| {
        let stays = wanted.contains_key(key);
        if !stays {
            parts.node.provision(spec, 0);
            tracing::info!(function = %key, "nothing provisioned any more");
        }
        stays
    });
}

fn tell(parts: &Parts, told: &mut Told, key: VersionKey, spec: Arc<FunctionSpec>, count: u32) {
    let news = |(last, before): &(Arc<FunctionSpec>, u32)| {
        last.revision != spec.revision || *before != count
    };
    if told.get(&key).is_none_or(news) {
        parts.node.provision(&spec, count);
        tracing::info!(function = %key, count, "provisioned");
        told.insert(key, (spec, count));
    }
}
