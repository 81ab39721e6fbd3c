//! How exactly a version keeps to whole minutes, and how often its next request comes within seconds: what
//! the minutes of the other predictors leave out, in 20 bytes.

use std::time::Duration;

use super::bins::MINUTE;

/// What an old gap is worth one gap later.
const KEEP: f32 = 0.98;
/// The same for the greatest distance: a second schedule may call once in sixty gaps of the first.
const KEEP_FAR: f32 = 0.99;
/// Gaps that what all versions do is worth.
const TRUST_ALL: f32 = 3.0;
/// Gaps that the constants are worth, for all versions together.
const TRUST_CONSTANT: f32 = 20.0;
/// Before anything was seen: requests come anywhere in their minute, a third of them soon.
const OFF: f32 = 0.25;
const SOON: f32 = 0.3;
/// How many times its mean distance from whole minutes a request may come earlier or later.
const DISTANCES: f32 = 3.0;
/// How much further than it came one may come: a second schedule begins at other seconds than the first, and its
/// few gaps weigh little in the mean.
const FURTHER: f32 = 1.2;
/// Nobody is held to be more exact than that, in minutes: 6 s.
const NARROWEST: f32 = 0.1;
/// What comes sooner is no gap, in minutes.
pub const SOONEST: f32 = 0.5;

/// Of one version, or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Fine {
    gaps: f32,
    /// Sum of the distances from whole minutes, in minutes.
    off: f32,
    /// The greatest of them, fading, in minutes.
    far: f32,
    /// Of all requests, those within [`SOONEST`] of the one before.
    soon: f32,
    requests: f32,
}

impl Fine {
    /// Takes in the time between two requests.
    pub fn add(&mut self, gap: Duration) {
        self.requests = self.requests * KEEP + 1.0;
        self.soon *= KEEP;
        let minutes = gap.as_secs_f32() / (MINUTE as f32 / 1e9);
        if minutes < SOONEST {
            self.soon += 1.0;
        } else {
            self.gaps = self.gaps * KEEP + 1.0;
            let off = (minutes - minutes.round()).abs();
            self.off = self.off * KEEP + off;
            self.far = off.max(self.far * KEEP_FAR);
        }
    }

    /// How far from its minute a request may come, in minutes: up to one half.
    pub fn radius(&self, all: &Self) -> f32 {
        let prior = mean(all.off, all.gaps, OFF, TRUST_CONSTANT);
        let off = mean(self.off, self.gaps, prior, TRUST_ALL);
        (DISTANCES * off)
            .max(FURTHER * self.far)
            .clamp(NARROWEST, 0.5)
    }

    /// The probability that the next request comes within [`SOONEST`].
    pub fn soon(&self, all: &Self) -> f32 {
        let prior = mean(all.soon, all.requests, SOON, TRUST_CONSTANT);
        mean(self.soon, self.requests, prior, TRUST_ALL)
    }
}

fn mean(sum: f32, count: f32, prior: f32, trust: f32) -> f32 {
    (sum + trust * prior) / (count + trust)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_to_the_minute_is_known_by_it() {
        let (mut exact, mut loose, all) = (Fine::default(), Fine::default(), Fine::default());
        for n in 0..60u64 {
            exact.add(Duration::from_millis(300_000 + n % 2_000));
            loose.add(Duration::from_secs(if n % 2 == 0 { 5 } else { 300 + n }));
        }
        assert!(exact.radius(&all) < 0.15, "{}", exact.radius(&all));
        assert_eq!(loose.radius(&all), 0.5);
        assert!(exact.soon(&all) < 0.03 && (loose.soon(&all) - 0.5).abs() < 0.05);
        assert_eq!(Fine::default().radius(&all), 0.5, "until more is known");
    }

    /// Every five minutes, and every hour a quarter of a minute after one of those: the rare gaps count too.
    #[test]
    fn a_second_schedule_at_other_seconds_is_within_reach() {
        let (mut both, all) = (Fine::default(), Fine::default());
        for second in (0..12 * 3_600u64).step_by(300) {
            if second % 3_600 == 300 {
                both.add(Duration::from_secs(15));
                both.add(Duration::from_secs(285));
            } else {
                both.add(Duration::from_secs(300));
            }
            if second > 3_600 {
                assert!(both.radius(&all) >= 0.25, "{second}: {}", both.radius(&all));
            }
        }
        // It has ended: the reach is that of the first again, a day later.
        for _ in 0..288 {
            both.add(Duration::from_secs(300));
        }
        assert!(both.radius(&all) < 0.15, "{}", both.radius(&all));
    }
}
