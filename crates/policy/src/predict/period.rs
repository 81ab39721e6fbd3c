//! Beats in a version's requests: how far apart, when the next, and how sure, in 240 bytes.
//!
//! A beat is found when three arrivals are evenly spaced, whatever lies between them, and kept while it is
//! met: calls between beats are no evidence against it, beats without a call are. The phase is that of the
//! node's clock, so that a beat of an hour or a day stays on its minute.

use std::time::Duration;

use pilotlight_model::start::Instant;

use super::bins::{self, MINUTE};

/// Beats that are followed at once.
const KEPT: usize = 2;
/// Arrivals in which a new beat is looked for.
const RECENT: usize = 12;
/// Shortest and longest beat: a minute, which is the shortest that schedules have, less what may lie between two
/// of its calls; what is shorter needs no forecast to be warm, and a week is the longest that people set clocks
/// by.
const SHORTEST: u64 = MINUTE - MINUTE / 8;
const LONGEST: u64 = 7 * 24 * 60 * MINUTE;
/// How far from a beat an arrival still meets it: a minute, or three times the jitter, and never more
/// than an eighth of the period.
const TOLERANCE: u64 = MINUTE;
/// What an old hit or miss is worth one beat later.
const KEEP: f32 = 0.95;
/// Beats in a row without a call after which it is over.
const GIVEN_UP: u64 = 6;
/// The confidence from which on a beat that is met explains an arrival.
const SURE: f32 = 0.7;
/// How fast phase and jitter follow.
const FOLLOW: f64 = 0.25;
/// Beats that a forecast looks ahead, for each that is followed.
pub const AHEAD: usize = 3;

/// One beat.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Beat {
    period: u64,
    anchor: u64,
    hits: f32,
    misses: f32,
    jitter: u64,
}

/// The beats of one version.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Periods {
    beats: [Beat; KEPT],
    recent: [u64; RECENT],
    filled: u8,
}

/// A call that a beat leads one to expect.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Expected {
    /// Minutes after the last arrival.
    pub minutes: u16,
    /// How many minutes earlier or later it may come.
    pub spread: u16,
    /// The probability that it comes then and no expected call before it.
    pub mass: f32,
}

/// What is known of the strongest beat, for people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Period {
    /// From beat to beat.
    pub every: Duration,
    /// The last one that was met.
    pub anchor: Instant,
    /// Mean distance of calls from their beat.
    pub jitter: Duration,
    /// The share of beats that had a call.
    pub confidence: f32,
}

impl Periods {
    /// Takes in an arrival.
    pub fn add(&mut self, at: Instant) {
        let mut met = false;
        for beat in self.beats.iter_mut().filter(|beat| beat.period > 0) {
            // What is met at every second beat alone may be half of what is looked for.
            met |= beat.meet(at.0) && beat.confidence() > SURE;
        }
        if !met && let Some(period) = self.evenly_spaced(at.0) {
            self.begin(period, at.0);
        }
        self.recent.rotate_right(1);
        self.recent[0] = at.0;
        self.filled = (self.filled + 1).min(RECENT as u8);
    }

    /// The shortest time that lies between an arrival, one before, and one before that.
    fn evenly_spaced(&self, at: u64) -> Option<u64> {
        let recent = &self.recent[..usize::from(self.filled)];
        recent.iter().enumerate().find_map(|(place, earlier)| {
            let lag = at.saturating_sub(*earlier);
            if !(SHORTEST..=LONGEST).contains(&lag) {
                return None;
            }
            let tolerance = TOLERANCE.min(lag / 8);
            let before = earlier.checked_sub(lag)?;
            let third = recent[place + 1..]
                .iter()
                .find(|it| it.abs_diff(before) <= tolerance)?;
            Some((at - third) / 2)
        })
    }

    fn begin(&mut self, period: u64, at: u64) {
        let begun = Beat {
            period,
            anchor: at,
            hits: 2.0,
            misses: 0.0,
            jitter: 0,
        };
        if let Some(place) = self
            .beats
            .iter()
            .position(|beat| beat.period.abs_diff(period) <= period / 16)
        {
            // The same beat at another phase: it has moved.
            if self.beats[place].anchor == at {
                return;
            }
            self.beats[place] = Beat {
                hits: 1.0,
                misses: self.beats[place].misses,
                ..begun
            };
            return;
        }
        let weakest = self
            .beats
            .iter_mut()
            .min_by(|a, b| a.strength(at).total_cmp(&b.strength(at)));
        if let Some(weakest) = weakest.filter(|beat| beat.strength(at) < 2.0) {
            *weakest = begun;
        }
    }

    /// What is expected after `last`, the last arrival, soonest first, in minutes that begin so many nanoseconds
    /// later. What is overdue is not.
    pub fn expected(&self, last: Instant, shift: i64) -> impl Iterator<Item = Expected> {
        let mut calls = [(0u64, 0u64, 0f32); KEPT * AHEAD];
        let mut count = 0;
        for beat in self.beats.iter().filter(|beat| beat.is_alive(last.0)) {
            let next = (last.0 + beat.tolerance()).saturating_sub(beat.anchor) / beat.period + 1;
            for ahead in 0..AHEAD as u64 {
                let at = beat.anchor + (next + ahead) * beat.period;
                calls[count] = (at - last.0, beat.jitter, beat.confidence());
                count += 1;
            }
        }
        calls[..count].sort_unstable_by_key(|(after, ..)| *after);
        let mut left = 1.0;
        calls
            .into_iter()
            .take(count)
            .map(move |(after, jitter, confidence)| {
                let mass = left * confidence;
                left -= mass;
                Expected {
                    minutes: bins::minutes_from(Duration::from_nanos(after), shift).max(1),
                    spread: (2 * jitter / MINUTE).clamp(1, 5) as u16,
                    mass,
                }
            })
    }

    /// The probability that the beats gave to a call just so many minutes after `last`.
    pub fn density(&self, last: Instant, shift: i64, minutes: u16) -> f32 {
        self.expected(last, shift)
            .map(|expected| expected.mass * expected.near(minutes))
            .sum()
    }

    /// The strongest beat.
    pub fn strongest(&self, now: Instant) -> Option<Period> {
        let alive = self.beats.iter().filter(|beat| beat.is_alive(now.0));
        let beat = alive.max_by(|a, b| a.strength(now.0).total_cmp(&b.strength(now.0)))?;
        Some(Period {
            every: Duration::from_nanos(beat.period),
            anchor: Instant(beat.anchor),
            jitter: Duration::from_nanos(beat.jitter),
            confidence: beat.confidence(),
        })
    }
}

impl Beat {
    /// Whether an arrival meets the beat; it then moves on.
    fn meet(&mut self, at: u64) -> bool {
        let since = at.saturating_sub(self.anchor);
        let beats = (since + self.period / 2) / self.period;
        let due = self.anchor + beats * self.period;
        if beats == 0 || due.abs_diff(at) > self.tolerance() {
            return false;
        }
        let off = at as f64 - due as f64;
        self.jitter = (self.jitter as f64 + FOLLOW * (off.abs() - self.jitter as f64)) as u64;
        self.anchor = (due as f64 + FOLLOW * off) as u64;
        let longer = self.period as f64 + FOLLOW * off / beats as f64;
        self.period = (longer as u64).clamp(SHORTEST, LONGEST + MINUTE);
        self.hits = self.hits * KEEP + 1.0;
        self.misses = self.misses * KEEP + (beats - 1) as f32;
        true
    }

    fn tolerance(&self) -> u64 {
        (3 * self.jitter).max(TOLERANCE).min(self.period / 8)
    }

    fn confidence(&self) -> f32 {
        (self.hits + 0.5) / (self.hits + self.misses + 1.0)
    }

    fn is_alive(&self, now: u64) -> bool {
        self.period > 0 && now.saturating_sub(self.anchor) <= GIVEN_UP * self.period
    }

    fn strength(&self, now: u64) -> f32 {
        if self.is_alive(now) {
            self.confidence().powi(3) * self.hits
        } else {
            0.0
        }
    }
}

impl Expected {
    /// Which share of its mass lies on a minute.
    pub fn near(&self, minutes: u16) -> f32 {
        if self.spread <= 1 {
            super::gaps::near(minutes, self.minutes)
        } else if minutes.abs_diff(self.minutes) <= self.spread {
            1.0 / f32::from(2 * self.spread + 1)
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests;
