//! The sandboxes of a node: a pool of slots that refills itself off the path.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::task::{AbortHandle, spawn_blocking};

use crate::config::Config;
use crate::error::SlotError;
use crate::node::{Node, StartError};
use crate::slot::Slot;

/// Slots under construction at one time. Most of that is waiting for the kernel, so it may be more than there are CPUs;
/// but each holds a thread.
const MAX_BUILDS: usize = 16;

/// After a slot could not be built for the pool.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The start that took a slot has the CPUs for so long, unless the pool runs low.
const PAUSE_BEFORE_REFILL: Duration = Duration::from_millis(50);

/// How long shutdown waits for sandboxes to be deleted.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(20);

/// A handle on all sandboxes of a node. When the last one is dropped the pool is deleted; processes live on.
#[derive(Debug, Clone)]
pub struct Sandboxes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    builder: Arc<Builder>,
    pool: Arc<Pool>,
    filler: AbortHandle,
}

/// Builds slots on threads that may block.
#[derive(Debug)]
struct Builder {
    node: Arc<Node>,
    permits: Semaphore,
}

#[derive(Debug)]
struct Pool {
    size: usize,
    /// Held to push or pop. `None` after shutdown.
    slots: Mutex<Option<VecDeque<Slot>>>,
    taken: Notify,
}

impl Sandboxes {
    /// Sweeps what an earlier run of that name left on this machine, starts the launcher and the router, and begins to
    /// fill the pool. The program's `main` has to call [`launcher_main_if_asked`](crate::launcher_main_if_asked).
    ///
    /// # Errors
    /// What the machine lacks.
    pub async fn start(config: Config) -> Result<Sandboxes, StartError> {
        let size = config.pool_size;
        let node = spawn_blocking(move || Node::start(&config)).await;
        let node = node.map_err(|error| StartError::Thread(error.into()))??;
        let builder = Arc::new(Builder {
            node,
            permits: Semaphore::new(MAX_BUILDS),
        });
        let pool = Arc::new(Pool {
            size,
            slots: Mutex::new(Some(VecDeque::new())),
            taken: Notify::new(),
        });
        let filler = tokio::spawn(fill(Arc::clone(&builder), Arc::clone(&pool))).abort_handle();
        Ok(Sandboxes(Arc::new(Inner {
            builder,
            pool,
            filler,
        })))
    }

    /// An empty sandbox: one from the pool, else one that is built now.
    ///
    /// # Errors
    /// As many as may be are in use, or one cannot be built.
    pub async fn slot(&self) -> Result<Slot, SlotError> {
        match self.0.pool.take()? {
            Some(slot) => Ok(slot),
            None => self.0.builder.build().await,
        }
    }

    /// Slots that wait in the pool.
    #[must_use]
    pub fn pooled(&self) -> usize {
        self.0.pool.lock().as_ref().map_or(0, VecDeque::len)
    }

    /// Deletes the pool, waits until every slot and process that was dropped is gone, and deletes what they shared. No
    /// slot can be had from then on.
    pub async fn shutdown(&self) {
        self.0.filler.abort();
        let slots = self.0.pool.lock().take();
        drop(slots);
        // Builds under way end as slots that nobody gets.
        let _ = self.0.builder.permits.acquire_many(MAX_BUILDS as u32).await;
        let node = Arc::clone(&self.0.builder.node);
        if let Err(error) = spawn_blocking(move || node.close(SHUTDOWN_PATIENCE)).await {
            tracing::error!(%error, "shutting sandboxes down was cut off");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.filler.abort();
        // The filler may be in the middle of a build, so the slots cannot wait for its end.
        drop(self.pool.lock().take());
    }
}

impl Builder {
    async fn build(&self) -> Result<Slot, SlotError> {
        let permit = self
            .permits
            .acquire()
            .await
            .map_err(|_| SlotError::Closed)?;
        let node = Arc::clone(&self.node);
        let built = spawn_blocking(move || Slot::build(&node)).await;
        drop(permit);
        built.map_err(|error| SlotError::Channel(error.into()))?
    }
}

impl Pool {
    /// A slot that is fit, if there is one.
    fn take(&self) -> Result<Option<Slot>, SlotError> {
        loop {
            let slot = self.lock().as_mut().ok_or(SlotError::Closed)?.pop_front();
            self.taken.notify_one();
            match slot {
                Some(slot) if !slot.is_alive() => {
                    tracing::warn!("a slot died in the pool");
                }
                slot => return Ok(slot),
            }
        }
    }

    /// Adds a slot; after shutdown that deletes it.
    fn add(&self, mut slot: Slot) {
        slot.pooled = true;
        if let Some(slots) = self.lock().as_mut() {
            slots.push_back(slot);
        }
    }

    fn is_half_empty(&self) -> bool {
        self.lock()
            .as_ref()
            .is_some_and(|slots| 2 * slots.len() <= self.size)
    }

    fn is_full(&self) -> bool {
        self.lock()
            .as_ref()
            .is_none_or(|slots| slots.len() >= self.size)
    }

    fn lock(&self) -> MutexGuard<'_, Option<VecDeque<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the pool full, one slot after the other: whoever needs more at once builds them itself.
async fn fill(builder: Arc<Builder>, pool: Arc<Pool>) {
    loop {
        while !pool.is_full() {
            match builder.build().await {
                Ok(slot) => pool.add(slot),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot build a slot for the pool"
                    );
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
            }
        }
        pool.taken.notified().await;
        if !pool.is_half_empty() {
            tokio::time::sleep(PAUSE_BEFORE_REFILL).await;
        }
    }
}
