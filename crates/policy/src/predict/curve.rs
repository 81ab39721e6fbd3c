//! The forecast for one version's next request, minute by minute after its last one, and which of those
//! minutes are worth being ready for.

use pilotlight_model::start::Instant;

use super::bins::{self, BINS};
use super::gaps::{Gaps, NEAR};
use super::mixture::{BEATS, Beliefs, Mixture, REPEATS, SMOOTH, WAYS};
use super::period::{AHEAD, Periods};
use super::population::{Likeness, Population, ROUND};
use crate::action::Source;

/// Of how many gaps of a version's own what all versions do is worth.
const TRUST_ALL: f32 = 2.0;
/// The least probability left that no request came: so that a hazard stays a number.
const LEAST: f32 = 1e-4;
/// Minutes with a probability of their own at most: three for each round gap and each that repeats, and up
/// to eleven for each beat ahead.
const MOST: usize = 3 * (ROUND.len() + super::gaps::VALUES) + 11 * 2 * AHEAD;

/// A minute with a probability beside what its bin has.
#[derive(Debug, Clone, Copy, Default)]
struct Spike {
    minute: u16,
    mass: f32,
    beat: bool,
}

/// The forecast.
#[derive(Debug, Clone)]
pub struct Curve {
    spikes: [Spike; MOST],
    count: usize,
    per_minute: [f32; BINS],
}

/// Minutes with one hazard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Piece {
    /// The first.
    pub from: u16,
    /// The first after it.
    pub until: u16,
    /// The probability that the request comes in them.
    pub mass: f32,
    /// The probability that it comes in one of them, given that it has not come before: per minute.
    pub hazard: f32,
    /// What says so.
    pub source: Source,
}

/// Minutes to be ready for, one after the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// The first.
    pub from: u16,
    /// The first after it.
    pub until: u16,
    /// The probability that the request comes in them, given that it has not come before.
    pub confidence: f32,
    /// The highest hazard among them, per minute.
    pub hazard: f32,
    /// What says so.
    pub source: Source,
}

/// All that a version's forecast is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Past {
    /// Times between its requests.
    pub gaps: Gaps,
    /// Beats in them.
    pub periods: Periods,
    /// How far each is believed.
    pub mixture: Mixture,
}

impl Past {
    /// How this version is like others.
    pub fn likeness(&self) -> Likeness {
        Likeness::of(self.gaps.seen(), self.gaps.last())
    }

    /// Takes in a request that came so many minutes (at least one) after the last one, at `last`.
    pub fn add(
        &mut self,
        last: Instant,
        at: Instant,
        minutes: u16,
        all: &mut Population,
        beliefs: &mut Beliefs,
        versions: f32,
    ) {
        let like = self.likeness();
        let mut given = [0.0; WAYS];
        let hazards = all.hazards(like);
        given[SMOOTH] = self.smooth_density(all, &hazards, minutes);
        given[REPEATS] = self.gaps.value_density(minutes);
        given[BEATS] = self.periods.density(last, self.gaps.shift(), minutes);
        let weight = Population::weight(self.gaps.seen(), versions);
        self.mixture
            .learn(beliefs, like.class(), weight as f32, given);
        all.ended(like, minutes, weight);
        self.gaps.add(minutes);
        self.periods.add(at);
    }

    /// For each bin its probability, and the part of it that is of others, not its own.
    fn smooth(&self, hazards: &[f32; BINS]) -> [(f32, f32); BINS] {
        let mut left = 1.0;
        let mut own_left = self.gaps.total();
        std::array::from_fn(|bin| {
            let own = self.gaps.count(bin);
            let others = TRUST_ALL * hazards[bin];
            let hazard = ((own + others) / (own_left + TRUST_ALL)).min(0.999);
            own_left = (own_left - own).max(0.0);
            let mass = left * hazard;
            left -= mass;
            (mass, others / (own + others).max(1e-9))
        })
    }

    fn smooth_density(&self, all: &Population, hazards: &[f32; BINS], minutes: u16) -> f32 {
        let smooth = self.smooth(hazards);
        let bin = bins::bin(minutes);
        let mut even = smooth[bin].0;
        let mut at = 0.0;
        for (place, (round, _)) in ROUND.iter().enumerate() {
            let its = bins::bin(*round);
            if its.abs_diff(bin) > 1 {
                continue;
            }
            let mass = smooth[its].0 * smooth[its].1 * all.round_share(place);
            at += mass * super::gaps::near(minutes, *round);
            if its == bin {
                even -= mass;
            }
        }
        at + even.max(0.0) / bins::width(bin)
    }

    /// What comes after the request at `last`.
    pub fn curve(&self, last: Instant, all: &Population, beliefs: &Beliefs) -> Curve {
        let like = self.likeness();
        let shares = self.mixture.shares(beliefs, like.class());
        let smooth = self.smooth(&all.hazards(like));
        let mut curve = Curve {
            spikes: [Spike::default(); MOST],
            count: 0,
            per_minute: std::array::from_fn(|bin| smooth[bin].0 * shares[SMOOTH]),
        };
        for (place, (round, _)) in ROUND.iter().enumerate() {
            let bin = bins::bin(*round);
            let mass = smooth[bin].0 * smooth[bin].1 * all.round_share(place) * shares[SMOOTH];
            curve.per_minute[bin] -= mass;
            curve.near(*round, mass);
        }
        for (value, share) in self.gaps.values() {
            curve.near(value, share * shares[REPEATS]);
        }
        for expected in self.periods.expected(last, self.gaps.shift()) {
            let first = expected.minutes.saturating_sub(expected.spread).max(1);
            for minute in first..=expected.minutes + expected.spread {
                let mass = expected.mass * expected.near(minute) * shares[BEATS];
                curve.put(minute, mass, true);
            }
        }
        for (bin, mass) in curve.per_minute.iter_mut().enumerate() {
            *mass = mass.max(0.0) / bins::width(bin);
        }
        curve.sort();
        curve
    }
}

impl Curve {
    fn near(&mut self, minute: u16, mass: f32) {
        for (by, share) in NEAR {
            let minute = i32::from(minute) + by;
            if minute >= 1 {
                self.put(minute as u16, mass * share, false);
            }
        }
    }

    fn put(&mut self, minute: u16, mass: f32, beat: bool) {
        if self.count < MOST && mass > 1e-6 && minute <= bins::LONGEST {
            self.spikes[self.count] = Spike { minute, mass, beat };
            self.count += 1;
        }
    }

    /// By minute, and one for each.
    fn sort(&mut self) {
        self.spikes[..self.count].sort_unstable_by_key(|spike| (spike.minute, spike.beat));
        let mut kept = 0;
        for place in 0..self.count {
            let spike = self.spikes[place];
            if kept > 0 && self.spikes[kept - 1].minute == spike.minute {
                let same = &mut self.spikes[kept - 1];
                same.beat = if spike.mass > same.mass {
                    spike.beat
                } else {
                    same.beat
                };
                same.mass += spike.mass;
            } else {
                self.spikes[kept] = spike;
                kept += 1;
            }
        }
        self.count = kept;
    }

    /// The forecast in pieces, from the first minute on.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> + '_ {
        let mut at = 1u16;
        let mut next = 0;
        let mut left = 1.0f32;
        std::iter::from_fn(move || {
            if at > bins::LONGEST {
                return None;
            }
            let spikes = &self.spikes[..self.count];
            let bin = bins::bin(at);
            let per_minute = self.per_minute[bin];
            let (from, here) = (at, spikes.get(next).filter(|spike| spike.minute == at));
            let (until, mass, source) = match here {
                Some(spike) => {
                    next += 1;
                    let source = if spike.beat {
                        Source::Period
                    } else {
                        Source::Gaps
                    };
                    (at + 1, per_minute + spike.mass, source)
                }
                None => {
                    let end = bins::range(bin).1;
                    let until = spikes.get(next).map_or(end, |spike| spike.minute.min(end));
                    (until, per_minute * f32::from(until - at), Source::Gaps)
                }
            };
            let minutes = f32::from(until - from);
            // The mean of what is left at the piece's beginning and end; within one minute, the beginning.
            let middle = if minutes > 1.0 {
                left - mass / 2.0
            } else {
                left
            };
            let hazard = (mass / minutes / middle.max(LEAST)).min(1.0);
            left = (left - mass).max(LEAST);
            at = until;
            Some(Piece {
                from,
                until,
                mass,
                hazard,
                source,
            })
        })
    }

    /// The probability that the request comes in a minute, given that it has not come before.
    pub fn hazard(&self, minute: u16) -> f32 {
        self.pieces()
            .find(|piece| piece.until > minute)
            .map_or(0.0, |piece| piece.hazard)
    }

    /// The probability that no request comes before a minute.
    pub fn left(&self, minute: u16) -> f32 {
        let before = self.pieces().take_while(|piece| piece.from < minute);
        let gone: f32 = before
            .map(|piece| {
                let part = f32::from(piece.until.min(minute) - piece.from);
                piece.mass * part / f32::from(piece.until - piece.from)
            })
            .sum();
        (1.0 - gone).max(LEAST)
    }

    /// The first window from a minute on whose hazard is everywhere at least `least`, with gaps of one
    /// minute bridged: making ready twice costs more than that.
    pub fn window(&self, minute: u16, least: f32) -> Option<Window> {
        let mut left = 1.0f32;
        let mut found: Option<Window> = None;
        let mut inside = 0.0f32;
        let mut left_at = 1.0;
        for piece in self.pieces() {
            let (before, whole) = (left, f32::from(piece.until - piece.from));
            left = (left - piece.mass).max(LEAST);
            if piece.until <= minute {
                continue;
            }
            let from = piece.from.max(minute);
            let mass = piece.mass * f32::from(piece.until - from) / whole;
            if piece.hazard < least {
                match &found {
                    Some(window) if piece.until > window.until + 1 => break,
                    _ => continue,
                }
            }
            let window = found.get_or_insert_with(|| {
                left_at = before - piece.mass * f32::from(from - piece.from) / whole;
                Window {
                    from,
                    until: from,
                    confidence: 0.0,
                    hazard: 0.0,
                    source: piece.source,
                }
            });
            if from > window.until + 1 {
                break;
            }
            inside += mass;
            window.until = piece.until;
            if piece.hazard > window.hazard {
                window.hazard = piece.hazard;
                window.source = piece.source;
            }
        }
        found.map(|window| Window {
            confidence: (inside / left_at.max(LEAST)).clamp(0.0, 1.0),
            ..window
        })
    }
}

#[cfg(test)]
mod tests;
