//! Making a parked process a template.

use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::ladder::Refusal;
use tokio::time::{Instant, sleep};

use crate::launcher::{FreezeError, Process, Template};

/// A thread that runs when it should be parked (a collector, a compiler) is given this long to come to rest.
const REST: Duration = Duration::from_secs(1);
/// First pause between two attempts; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(2);
/// What a process is refused for while one of its threads runs.
const RUNNING_THREAD: &str = "running_thread";

/// Whether that is no more than a process that has not come to rest, as any may on a busy machine: another one of
/// the same program may well be frozen.
pub(super) fn passes(refusal: &Refusal) -> bool {
    refusal.reason == RUNNING_THREAD
}

/// Freezes the process, and tries again for a while when all that is wrong is that it has not come to rest.
pub(super) async fn freeze(process: &dyn Process) -> Result<Arc<dyn Template>, FreezeError> {
    let (end, mut pause) = (Instant::now() + REST, PAUSE);
    loop {
        match process.freeze().await {
            Err(FreezeError::Refused(refusal)) if passes(&refusal) && Instant::now() < end => {
                sleep(pause).await;
                pause *= 2;
            }
            ended => return ended,
        }
    }
}

/// What the template has for itself, read where it may block.
pub(super) async fn private_bytes(template: &Arc<dyn Template>) -> u64 {
    let template = Arc::clone(template);
    tokio::task::spawn_blocking(move || template.private_bytes())
        .await
        .unwrap_or(0)
}
