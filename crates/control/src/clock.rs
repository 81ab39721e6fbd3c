//! Time, injected: when an event is due, when a change was made. Tests move it by hand.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pilotlight_model::node::BoxFuture;
use pilotlight_model::start::Instant;

/// The clocks that the control plane reads.
pub trait Clock: Send + Sync + 'static {
    /// Wall clock in milliseconds since 1970.
    fn unix_ms(&self) -> u64;

    /// CLOCK_MONOTONIC, which the node and its instances read too.
    fn monotonic(&self) -> Instant;

    /// Resolves when the wall clock has reached `unix_ms`.
    fn sleep_until(&self, unix_ms: u64) -> BoxFuture<'_, ()>;
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// A wall clock can be set; no sleep relies on it for longer than this.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

impl Clock for SystemClock {
    fn unix_ms(&self) -> u64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> Instant {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        // Neither part is negative on a clock that counts from boot.
        let (seconds, nanoseconds) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
        Instant(seconds * 1_000_000_000 + nanoseconds)
    }

    fn sleep_until(&self, unix_ms: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let left = Duration::from_millis(unix_ms.saturating_sub(self.unix_ms()));
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
            }
        })
    }
}
