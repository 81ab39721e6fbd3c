//! When something that failed may be tried again: after a rest that doubles with every failure.

use std::time::Duration;

use pilotlight_model::start::Instant;

const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(3_600);

/// Failures since the last success.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tries {
    failures: u32,
    not_before: Option<Instant>,
}

impl Tries {
    pub(crate) fn may(self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }

    /// When the next may be, if there is something to wait for.
    pub(crate) fn not_before(self) -> Option<Instant> {
        self.not_before
    }

    /// Returns how long to rest.
    pub(crate) fn failed(&mut self, now: Instant) -> Duration {
        let rest = FIRST_REST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST_REST);
        self.failures += 1;
        self.not_before = Some(Instant(now.0 + rest.as_nanos() as u64));
        rest
    }
}
