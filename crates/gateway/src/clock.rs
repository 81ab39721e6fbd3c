//! The machine's monotonic clock, which agents and instances read too: one waterfall spans them all.

use pilotlight_model::start::Instant;
use rustix::time::{ClockId, clock_gettime};

/// The monotonic clock, now.
pub(crate) fn monotonic_now() -> Instant {
    let now = clock_gettime(ClockId::Monotonic);
    Instant(now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs())
}
