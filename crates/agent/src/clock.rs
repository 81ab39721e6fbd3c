//! The two clocks of a node: monotonic for lengths and deadlines, wall clock for what people read.

use std::time::{SystemTime, UNIX_EPOCH};

use pilotlight_model::start::Instant;

/// CLOCK_MONOTONIC, which instances read too.
pub(crate) fn now() -> Instant {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let (seconds, nanos) = (at.tv_sec.unsigned_abs(), at.tv_nsec.unsigned_abs());
    Instant(seconds * 1_000_000_000 + nanos)
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The wall clock in UTC.
pub(crate) fn utc() -> time::OffsetDateTime {
    time::OffsetDateTime::now_utc()
}
