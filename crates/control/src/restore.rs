//! After a start the node has nothing in place: what was ready before is prepared again, in the background,
//! so that no first request pays for it.

use std::sync::Arc;

use pilotlight_model::VersionKey;
use pilotlight_model::node::NodeError;
use tokio_util::sync::CancellationToken;

use crate::control::Parts;

/// Prepares every function that serves, one after the other, those that were used most first. A node does by itself, at a start, what has
/// not been prepared, so nothing waits for this and nothing is tried twice.
pub(crate) async fn run(parts: Arc<Parts>, stop: CancellationToken) {
    stop.run_until_cancelled(restore(&parts)).await;
}

async fn restore(parts: &Parts) {
    let index = parts.catalog.index();
    let mut keys = index.keys();
    parts.node.most_used_first(&mut keys);
    for key in keys {
        if !prepare(parts, &key).await {
            return;
        }
    }
}

/// Prepares what serves under that key, if anything does. False once the node drains.
pub(crate) async fn prepare(parts: &Parts, key: &VersionKey) -> bool {
    let index = parts.catalog.index();
    // Looked up now: it may have been changed or deleted while others were prepared.
    let Some(spec) = index.serving(key) else {
        return true;
    };
    match parts.node.prepare(spec).await {
        Ok(()) => {}
        Err(NodeError::Draining) => return false,
        Err(error) => tracing::warn!(%error, function = %key, "function not prepared"),
    }
    // Deleted meanwhile: what was prepared goes too.
    if index.serving(key).is_none() {
        parts.node.retire(key);
    }
    true
}
