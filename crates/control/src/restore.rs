//! After a start the node has nothing in place: what was ready before is prepared again, in the background,
//! so that no first request pays for it.

use std::sync::Arc;

use pilotlight_model::node::NodeError;
use pilotlight_model::{FunctionSpec, VersionKey};
use tokio_util::sync::CancellationToken;

use crate::control::Parts;

/// Prepares what serves, one after the other, what was used most first, until the node is full. A node does
/// by itself, at a start, what has not been prepared, so nothing waits for this and nothing is tried twice.
pub(crate) async fn run(parts: Arc<Parts>, stop: CancellationToken) {
    stop.run_until_cancelled(restore(&parts)).await;
}

async fn restore(parts: &Parts) {
    let mut keys = parts.catalog.index().keys();
    parts.node.most_used_first(&mut keys);
    for (done, key) in keys.iter().enumerate() {
        let restored = carry_out(parts, key, |spec| parts.node.restore(spec)).await;
        match restored {
            Ok(true) => {}
            Ok(false) => {
                let left = keys.len() - done;
                tracing::info!(
                    done,
                    left,
                    "the node is full: the rest is prepared when it is used"
                );
                return;
            }
            Err(Draining) => return,
        }
    }
}

/// Prepares what serves under that key, if anything does.
pub(crate) async fn prepare(parts: &Parts, key: &VersionKey) {
    let prepare = async |spec| parts.node.prepare(spec).await.map(|()| true);
    // A node that drains has other things to do.
    let _ = carry_out(parts, key, prepare).await;
}

/// The node ends.
struct Draining;

/// Whether the node had room for it. What cannot be prepared is told, and left to its first start.
async fn carry_out<F>(
    parts: &Parts,
    key: &VersionKey,
    prepare: impl FnOnce(Arc<FunctionSpec>) -> F,
) -> Result<bool, Draining>
where
    F: Future<Output = Result<bool, NodeError>>,
{
    let index = parts.catalog.index();
    // Looked up now: it may have been changed or deleted while others were prepared.
    let Some(spec) = index.serving(key) else {
        return Ok(true);
    };
    let room = match prepare(spec).await {
        Ok(room) => room,
        Err(NodeError::Draining) => return Err(Draining),
        Err(error) => {
            tracing::warn!(%error, function = %key, "function not prepared");
            true
        }
    };
    // Deleted meanwhile: what was prepared goes too.
    if index.serving(key).is_none() {
        parts.node.retire(key);
    }
    Ok(room)
}
