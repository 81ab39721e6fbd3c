//! At which seconds a version's gaps end and how exactly it keeps to those, and how often its next request comes
//! within seconds: what the minutes of the other predictors leave out, in 24 bytes.

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
/// How near to each other gaps end at the same seconds, in minutes: 3 s.
const SAME: f32 = 0.05;
/// How many such in a row say at which, and how many if they are all that there were. Of gaps of random length one
/// in 100,000 is the last of so many.
const ALIKE: u16 = 6;
const FIRST: f32 = 3.0;
/// Milliseconds of a minute.
const MILLIS: f32 = 60_000.0;
/// How fast those seconds are followed.
const FOLLOW: f32 = 0.25;
/// How many times its mean distance from there a request may come earlier or later.
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
    /// Sum of the distances from where gaps are held to end, in minutes.
    off: f32,
    /// The greatest of them, fading, in milliseconds.
    far: u16,
    /// How far beyond whole minutes gaps are held to end, in milliseconds: half a minute either way.
    shift: i16,
    /// The same of the last gap, and how many in a row were alike in that.
    last: i16,
    alike: u16,
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
            self.follow(minutes);
            let off = wrapped(minutes - f32::from(self.shift) / MILLIS).abs();
            self.gaps = self.gaps * KEEP + 1.0;
            self.off = self.off * KEEP + off;
            self.far = (off * MILLIS).max(f32::from(self.far) * KEEP_FAR) as u16;
        }
    }

    /// Gaps in a row that end at the same seconds, but others than those before, are a new beginning: a few where
    /// nothing else was seen.
    fn follow(&mut self, minutes: f32) {
        let beyond = wrapped(minutes);
        let is_alike = wrapped(beyond - f32::from(self.last) / MILLIS).abs() < SAME;
        self.alike = if is_alike {
            self.alike.saturating_add(1)
        } else {
            1
        };
        self.last = (beyond * MILLIS).round() as i16;
        let shift = f32::from(self.shift) / MILLIS;
        let off = wrapped(beyond - shift);
        let enough = self.alike >= ALIKE || f32::from(self.alike) >= FIRST.max(self.gaps);
        if off.abs() < SAME {
            self.shift = (wrapped(shift + FOLLOW * off) * MILLIS).round() as i16;
        } else if enough {
            self.shift = self.last;
            (self.gaps, self.off, self.far) = (0.0, 0.0, 0);
        }
    }

    /// How far beyond whole minutes its gaps are held to end, in milliseconds: half a minute either way.
    pub fn shift(&self) -> i16 {
        self.shift
    }

    /// How far from its moment a request may come, in minutes: up to one half.
    pub fn radius(&self, all: &Self) -> f32 {
        let prior = mean(all.off, all.gaps, OFF, TRUST_CONSTANT);
        let off = mean(self.off, self.gaps, prior, TRUST_ALL);
        (DISTANCES * off)
            .max(FURTHER * f32::from(self.far) / MILLIS)
            .clamp(NARROWEST, 0.5)
    }

    /// The probability that the next request comes within [`SOONEST`].
    pub fn soon(&self, all: &Self) -> f32 {
        let prior = mean(all.soon, all.requests, SOON, TRUST_CONSTANT);
        mean(self.soon, self.requests, prior, TRUST_ALL)
    }
}

/// The distance from the nearest whole number.
fn wrapped(minutes: f32) -> f32 {
    minutes - minutes.round()
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
            loose.add(Duration::from_secs(if n % 2 == 0 {
                5
            } else {
                240 + n * 37 % 120
            }));
        }
        assert!(exact.radius(&all) < 0.15, "{}", exact.radius(&all));
        assert_eq!(loose.radius(&all), 0.5);
        assert!(exact.soon(&all) < 0.03 && (loose.soon(&all) - 0.5).abs() < 0.05);
        assert_eq!(Fine::default().radius(&all), 0.5, "until more is known");
    }

    #[test]
    fn the_seconds_at_which_gaps_end_are_known_and_followed() {
        let (mut odd, all) = (Fine::default(), Fine::default());
        let seconds = |fine: &Fine| fine.shift() / 1_000;
        for n in 0..40u64 {
            odd.add(Duration::from_millis(754_000 + n % 2_000));
            assert_eq!(seconds(&odd), if n < 2 { 0 } else { -25 }, "{n}");
        }
        assert!(odd.radius(&all) < 0.15, "{}", odd.radius(&all));
        // One that comes between leaves them as they are.
        odd.add(Duration::from_secs(100));
        odd.add(Duration::from_secs(654));
        assert_eq!(seconds(&odd), -25);
        // Others from now on.
        for n in 0..20 {
            odd.add(Duration::from_millis(612_500));
            assert_eq!(seconds(&odd), if n < 5 { -25 } else { 12 }, "{n}");
        }
        // Any: none are kept to.
        let mut any = Fine::default();
        for n in 0..500u64 {
            any.add(Duration::from_secs(300 + n * n * 37 % 61));
        }
        assert_eq!((seconds(&any), any.radius(&all)), (0, 0.5));
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
