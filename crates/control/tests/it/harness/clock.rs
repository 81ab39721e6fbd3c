//! A clock moved by hand.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pilotlight_control::Clock;
use pilotlight_model::node::BoxFuture;
use pilotlight_model::start::Instant;
use tokio::sync::Notify;

/// A clock that stands still until it is moved.
pub(crate) struct ManualClock {
    now_ms: AtomicU64,
    moved: Notify,
}

impl ManualClock {
    pub(super) fn at(now_ms: u64) -> Self {
        Self {
            now_ms: AtomicU64::new(now_ms),
            moved: Notify::new(),
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.now_ms
            .fetch_add(by.as_millis() as u64, Ordering::SeqCst);
        self.moved.notify_waiters();
    }
}

impl Clock for ManualClock {
    fn unix_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Instant {
        Instant(self.unix_ms() * 1_000_000)
    }

    fn sleep_until(&self, unix_ms: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let moved = self.moved.notified();
                if self.unix_ms() >= unix_ms {
                    return;
                }
                moved.await;
            }
        })
    }
}
