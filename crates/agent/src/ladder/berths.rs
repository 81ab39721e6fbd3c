//! The berths of one template: some are ready, so that a fork finds one, and one that was taken is
//! replaced off the path.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use pilotlight_model::error::Causes;
use pilotlight_sandbox::Demand;
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::launcher::{Berth, Furnishing, LaunchError, Template};

/// What a fork that waits in its berth has for itself, as a rule: pages that it is given ahead, page tables,
/// threads. That of a zygote is given nothing.
pub(crate) const BERTH_BYTES: u64 = 2 << 20;
/// Berths of one template that are made at the same time, off the path.
const BUILDERS: usize = 2;
/// A start has the machine to itself for that long before what it took is replaced.
pub(crate) const START_FIRST: Duration = Duration::from_millis(5);

pub(crate) struct Berths {
    template: Arc<dyn Template>,
    /// What goes into each ahead of time, where that is known.
    furnishing: Option<Furnishing>,
    target: usize,
    /// Locked to take or put one. `None` once no more are kept.
    ready: Mutex<Option<Vec<Box<dyn Berth>>>>,
    building: AtomicUsize,
    handle: Handle,
}

impl Berths {
    /// Berths of that template, of which so many are to be ready. None is yet.
    pub(crate) fn new(
        template: Arc<dyn Template>,
        furnishing: Option<Furnishing>,
        target: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            template,
            furnishing,
            target,
            ready: Mutex::new(Some(Vec::new())),
            building: AtomicUsize::new(0),
            handle: Handle::current(),
        })
    }

    /// A berth: one that is ready, or one that is built now.
    pub(crate) async fn take(self: &Arc<Self>) -> Result<Box<dyn Berth>, LaunchError> {
        let mut dead = Vec::new();
        let ready = loop {
            match self.ready.lock().as_mut().and_then(Vec::pop) {
                Some(berth) if !berth.is_alive() => dead.push(berth),
                found => break found,
            }
        };
        self.replenish();
        drop(dead);
        match ready {
            Some(berth) => Ok(berth),
            None => self.build(Demand::Start).await,
        }
    }

    /// Replaces those that are ready, one after the other, in the background.
    pub(crate) fn renew(self: &Arc<Self>) {
        let berths = Arc::clone(self);
        self.handle.spawn(async move {
            for _ in 0..berths.ready() {
                match berths.build_ahead().await {
                    Ok(built) => drop(berths.put(built, true)),
                    Err(error) => {
                        tracing::debug!(error = %Causes(&error), "berth not replaced");
                        return;
                    }
                }
            }
        });
    }

    /// Adds one to those that are ready, in the place of the oldest if it `replaces` one. Returns what is one too many, or
    /// one too late, to be let go when the lock is free.
    fn put(&self, berth: Box<dyn Berth>, replaces: bool) -> Option<Box<dyn Berth>> {
        let mut ready = self.ready.lock();
        match &mut *ready {
            Some(ready) if ready.len() < self.target => {
                ready.push(berth);
                None
            }
            Some(ready) if replaces => {
                ready.push(berth);
                Some(ready.remove(0))
            }
            _ => Some(berth),
        }
    }

    /// Makes as many as are to be ready, in the background.
    fn replenish(self: &Arc<Self>) {
        if self.missing() == 0 {
            return;
        }
        if self.building.fetch_add(1, Ordering::Relaxed) >= BUILDERS {
            self.building.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let berths = Arc::clone(self);
        self.handle.spawn(async move {
            sleep(START_FIRST).await;
            berths.fill().await;
            berths.building.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Makes what is missing. One that cannot be made is tried again when the next is taken.
    pub(crate) async fn fill(&self) {
        while self.missing() > 0 {
            let built = match self.build_ahead().await {
                Ok(built) => built,
                Err(error) => {
                    tracing::debug!(error = %Causes(&error), "berth not made");
                    return;
                }
            };
            drop(self.put(built, false));
        }
    }

    /// Lets go of those that are ready, and keeps none from now on.
    pub(crate) fn close(&self) {
        let ready = self.ready.lock().take();
        drop(ready);
    }

    /// How many are ready.
    pub(crate) fn ready(&self) -> u32 {
        let ready = self.ready.lock();
        ready.as_ref().map_or(0, |ready| ready.len() as u32)
    }

    fn missing(&self) -> usize {
        let ready = self.ready.lock();
        let count = ready.as_ref().map_or(self.target, Vec::len);
        self.target.saturating_sub(count)
    }

    /// One for a start that nobody waits for yet, whatever is ready.
    pub(crate) async fn build_ahead(&self) -> Result<Box<dyn Berth>, LaunchError> {
        let mut berth = self.build(Demand::Stock).await?;
        let ready = tokio::task::spawn_blocking(move || {
            berth.make_ready();
            berth
        });
        ready
            .await
            .map_err(|error| LaunchError::platform("a berth was cut off", error))
    }

    /// One that is built now.
    async fn build(&self, demand: Demand) -> Result<Box<dyn Berth>, LaunchError> {
        let mut berth = self.template.berth(demand).await?;
        if let Some(furnishing) = &self.furnishing {
            berth.furnish(furnishing.clone()).await?;
        }
        Ok(berth)
    }
}
