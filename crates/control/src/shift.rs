//! Before an alias moves requests, the node makes ready what it moves them to: the new version gets its share of what
//! the old one has, and the first of its requests finds it.

use std::sync::Arc;

use pilotlight_model::node::Shift;
use pilotlight_model::{Routing, Version, VersionKey};
use tokio::task::JoinSet;

use crate::control::Parts;

/// Has the node make ready what moves when an alias of the function changes so. It never fails, and never takes longer
/// than is configured: what is not ready by then is made ready while requests come.
pub(crate) async fn make_ready(
    parts: &Arc<Parts>,
    function: &VersionKey,
    before: Routing,
    after: Routing,
) {
    let serving = |version: Version| {
        let key = VersionKey {
            version,
            ..function.clone()
        };
        parts.catalog.index().serving(&key)
    };
    let mut shifts = JoinSet::new();
    for moved in before.moves(&after) {
        let (Some(from), Some(to)) = (serving(moved.from), serving(moved.to)) else {
            continue;
        };
        let node = Arc::clone(&parts.node);
        shifts.spawn(async move {
            let shift = Shift {
                from,
                to,
                part: moved.part,
                share: moved.share,
            };
            node.shift(shift).await;
        });
    }
    let all = async { while shifts.join_next().await.is_some() {} };
    let patience = parts.config.shift_patience;
    if tokio::time::timeout(patience, all).await.is_err() {
        tracing::info!(
            %function,
            after_ms = patience.as_millis(),
            "an alias moves requests before all is ready that it moves them to"
        );
    }
    // What is under way goes on.
    shifts.detach_all();
}
