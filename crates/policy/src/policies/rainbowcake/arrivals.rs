//! The last few arrivals of a function or a language, and when the next one is expected.

use std::time::Duration;

use pilotlight_model::start::Instant;

/// Arrivals that are remembered, as in the artifact.
pub(super) const REMEMBERED: usize = 6;

/// Arrivals that are older are forgotten.
const OLDEST: Duration = Duration::from_secs(24 * 3_600);

/// The last ones, the oldest first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrivals {
    times: [Instant; REMEMBERED],
    count: usize,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self {
            times: [Instant(0); REMEMBERED],
            count: 0,
        }
    }
}

impl Arrivals {
    pub(super) fn add(&mut self, now: Instant) {
        let old = self.times[..self.count]
            .iter()
            .filter(|at| now.since(**at) >= OLDEST)
            .count();
        let full = usize::from(self.count - old == REMEMBERED);
        self.times.copy_within(old + full..self.count, 0);
        self.count -= old + full;
        self.times[self.count] = now;
        self.count += 1;
    }

    /// Within how long the next one comes with that probability, if arrivals are a Poisson process whose rate
    /// is that since the oldest that is remembered. Unknown while all were at the same moment.
    pub(super) fn next_within(&self, now: Instant, quantile: f64) -> Option<Duration> {
        let oldest = self.times[..self.count].first()?;
        let mean = now.since(*oldest).as_secs_f64() / self.count as f64;
        if mean <= 0.0 {
            return None;
        }
        Duration::try_from_secs_f64(-(1.0 - quantile).ln() * mean).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// At the median, ln 2 of the mean.
    fn median(arrivals: &Arrivals, now: u64) -> Option<f64> {
        let next = arrivals.next_within(Instant(now * SECOND), 0.5)?;
        Some((next.as_secs_f64() / std::f64::consts::LN_2).round())
    }

    #[test]
    fn the_mean_is_over_the_last_six_and_the_time_since() {
        let mut arrivals = Arrivals::default();
        assert_eq!(median(&arrivals, 100), None);
        arrivals.add(Instant(0));
        assert_eq!(median(&arrivals, 0), None);
        assert_eq!(median(&arrivals, 100), Some(100.0));
        (1..=9).for_each(|number| arrivals.add(Instant(number * 60 * SECOND)));
        // From 240 s to 540 s, six of them.
        assert_eq!(median(&arrivals, 540), Some(50.0));
        assert_eq!(median(&arrivals, 840), Some(100.0));
    }

    #[test]
    fn a_day_is_remembered() {
        let mut arrivals = Arrivals::default();
        arrivals.add(Instant(0));
        arrivals.add(Instant(90_000 * SECOND));
        assert_eq!(median(&arrivals, 90_010), Some(10.0));
    }
}
