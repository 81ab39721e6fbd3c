//! What a fixed keep-alive would have kept of one version on the same requests, in 64 bytes.
//!
//! Such a policy, always using the instance that became idle last, has at any time as many instances as
//! were busy at once at most within that time. A few peaks are followed; where more would be
//! needed, the account says less than the policy would have kept, never more.

use std::time::Duration;

use pilotlight_model::start::Instant;

use crate::later;

/// How long it keeps an instance, unless another time is asked for.
pub const KEEP_ALIVE: Duration = Duration::from_secs(600);
/// Peaks that are followed.
const PEAKS: usize = 3;

/// As many instances, until then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Peak {
    instances: u32,
    until: u64,
}

/// The account of one version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shadow {
    /// Fewer instances, and later ends, from one to the next; empty ones last.
    peaks: [Peak; PEAKS],
    settled: u64,
    busy: u32,
}

impl Shadow {
    /// Instance-seconds that it kept idle since it was last asked.
    pub fn settle(&mut self, now: Instant) -> f64 {
        let mut kept = 0u128;
        let mut at = self.settled.min(now.0);
        for peak in self.peaks {
            let until = peak.until.min(now.0);
            if until > at {
                let idle = peak.instances.saturating_sub(self.busy);
                kept += u128::from(idle) * u128::from(until - at);
                at = until;
            }
        }
        self.settled = now.0;
        kept as f64 / 1e9
    }

    /// An instance has become busy; settle first.
    pub fn busy(&mut self) {
        self.busy += 1;
    }

    /// A busy instance is done at `now` and kept for so long; settle first.
    pub fn done(&mut self, now: Instant, keep_alive: Duration) {
        if self.busy == 0 {
            return;
        }
        let peak = Peak {
            instances: self.busy,
            until: later(now, keep_alive).0,
        };
        self.busy -= 1;
        let mut kept = [Peak::default(); PEAKS + 1];
        let mut count = 0;
        for old in self.peaks {
            if old.instances > peak.instances && old.until > now.0 {
                kept[count] = old;
                count += 1;
            }
        }
        kept[count] = peak;
        if count == PEAKS {
            let lost = self.least_lost(&kept, now);
            kept.copy_within(lost + 1.., lost);
        }
        self.peaks.copy_from_slice(&kept[..PEAKS]);
    }

    /// Of one peak too many, the one without which the account lacks least: until it ends, it has as many as the next.
    /// The last is from now.
    fn least_lost(&self, peaks: &[Peak; PEAKS + 1], now: Instant) -> usize {
        let loss = |&place: &usize| {
            let begins = match place {
                0 => now.0,
                _ => peaks[place - 1].until,
            };
            let (peak, next) = (peaks[place], peaks[place + 1]);
            let fewer = peak.instances - next.instances.max(self.busy).min(peak.instances);
            u128::from(fewer) * u128::from(peak.until.saturating_sub(begins))
        };
        (0..PEAKS).min_by_key(loss).unwrap_or_default()
    }

    /// Instances that it keeps idle now.
    pub fn idle(&self, now: Instant) -> u32 {
        let peak = self.peaks.iter().find(|peak| peak.until > now.0);
        peak.map_or(0, |peak| peak.instances.saturating_sub(self.busy))
    }

    /// When it next ends an instance, after `now`.
    pub fn ends(&self, now: Instant) -> Option<Instant> {
        let peak = self.peaks.iter().find(|peak| peak.until > now.0)?;
        Some(Instant(peak.until))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Instances with an end each, the one that became idle last used first.
    #[derive(Default)]
    struct Fixed {
        idle: Vec<u64>,
        busy: u32,
    }

    impl Fixed {
        fn kept(&self, from: u64, to: u64) -> u128 {
            let kept = |end: &u64| u128::from((*end).clamp(from, to) - from);
            self.idle.iter().map(kept).sum()
        }

        fn expire(&mut self, now: u64) {
            self.idle.retain(|end| *end > now);
        }
    }

    /// A crowd comes at once, and its requests end one after the other.
    #[test]
    fn of_a_crowd_next_to_nothing_is_missing() {
        let (mut shadow, mut fixed) = (Shadow::default(), Fixed::default());
        for _ in 0..50 {
            shadow.busy();
        }
        let (mut sum, mut model, mut now) = (0.0, 0u128, 0);
        for step in 0..50u64 {
            let then = step * step * 10_000_000;
            model += fixed.kept(now, then);
            sum += shadow.settle(Instant(then));
            now = then;
            fixed.idle.push(now + KEEP_ALIVE.as_nanos() as u64);
            shadow.done(Instant(now), KEEP_ALIVE);
        }
        let end = now + 2 * KEEP_ALIVE.as_nanos() as u64;
        model += fixed.kept(now, end);
        sum += shadow.settle(Instant(end));
        let share = sum / (model as f64 / 1e9);
        assert!((0.95..=1.0).contains(&share), "{share}");
    }

    proptest! {
        #[test]
        fn never_more_than_the_policy_keeps(steps in proptest::collection::vec((0u64..400, any::<bool>()), 1..80)) {
            let (mut shadow, mut fixed) = (Shadow::default(), Fixed::default());
            let (mut now, mut model, mut sum, mut deep) = (0u64, 0u128, 0.0, 0u32);
            for (wait, begin) in steps {
                let then = now + wait * 1_000_000_000;
                model += fixed.kept(now, then);
                fixed.expire(then);
                sum += shadow.settle(Instant(then));
                now = then;
                if begin {
                    fixed.idle.pop();
                    fixed.busy += 1;
                    deep = deep.max(fixed.busy);
                    shadow.busy();
                } else if fixed.busy > 0 {
                    fixed.busy -= 1;
                    fixed.idle.push(now + KEEP_ALIVE.as_nanos() as u64);
                    shadow.done(Instant(now), KEEP_ALIVE);
                }
            }
            let model = model as f64 / 1e9;
            prop_assert!(sum <= model + 1e-6, "{sum} {model}");
            prop_assert!(deep > 3 || (sum - model).abs() < 1e-6, "{sum} {model}");
            prop_assert!(size_of::<Shadow>() <= 64);
        }
    }
}
