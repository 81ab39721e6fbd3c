//! The clock of all marks.

use rustix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC in nanoseconds, which is the same inside and outside of sandboxes.
#[must_use]
pub fn monotonic_now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).expect("the clock starts at 0 with the machine");
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).expect("below a billion")
}
