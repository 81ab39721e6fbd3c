//! How many berths are built at one time. A berth takes a CPU for some milliseconds, so that more than there are CPUs
//! would be ready no sooner, and in everybody's way.
//!
//! What a start waits for and what nobody waits for yet have builders of their own: a hundred functions that get their
//! berths in the background cost the start of another none of its turns, and little of the CPU, since a sandbox that
//! is built ahead yields.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Who wants a berth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// A start that waits for it.
    Start,
    /// Nobody yet.
    Stock,
}

/// Permits to build, one for each berth.
#[derive(Debug)]
pub(crate) struct Builders {
    start: Arc<Semaphore>,
    stock: Arc<Semaphore>,
}

impl Builders {
    /// As many for each demand as there are CPUs.
    pub(crate) fn new(cpus: usize) -> Builders {
        let permits = || Arc::new(Semaphore::new(cpus));
        Builders {
            start: permits(),
            stock: permits(),
        }
    }

    /// Waits, behind others of the same demand.
    pub(crate) async fn permit(
        &self,
        demand: Demand,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        let permits = match demand {
            Demand::Start => &self.start,
            Demand::Stock => &self.stock,
        };
        Arc::clone(permits).acquire_owned().await
    }
}
