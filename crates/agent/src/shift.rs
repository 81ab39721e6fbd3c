//! Requests are about to move to another version: it gets its share of what the other has ready.

use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::node::Shift;
use tokio::time::sleep;

use crate::pool::Pool;

/// How often it is looked whether the instances are there. Who waits is the change of an alias, which waits for the disk,
/// too.
const LOOK: Duration = Duration::from_millis(5);

/// Makes instances of the new version; returns when they are there, or none is being made any more.
pub(crate) async fn run(pool: &Arc<Pool>, shift: &Shift) {
    let wanted = pool.shift(shift);
    while pool.is_making(&shift.to.key, wanted) {
        sleep(LOOK).await;
    }
    tracing::info!(from = %shift.from.key, to = %shift.to.key, part = shift.part, instances = wanted, "requests move");
}
