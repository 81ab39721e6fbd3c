//! The times between a version's requests, in 184 bytes: a histogram that forgets slowly, and the values that
//! come again and again to the minute.

use super::bins::{self, BINS};

/// Exact values that are remembered.
pub const VALUES: usize = 12;
/// What a count of the histogram is worth one gap later: about the last hundred gaps matter.
const KEEP: f32 = 0.99;
/// The same for exact values: the last twenty.
const KEEP_VALUE: f32 = 0.95;
/// How far from a value that was seen the next one falls: the share of those that meet it to the minute,
/// and of those one minute before or after.
pub const NEAR: [(i32, f32); 3] = [(-1, 0.15), (0, 0.7), (1, 0.15)];

/// What is known of one version's gaps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gaps {
    bins: [f32; BINS],
    total: f32,
    values: [u16; VALUES],
    counts: [f32; VALUES],
    seen: u32,
    last: u16,
    shift: i16,
}

impl Default for Gaps {
    fn default() -> Self {
        Self {
            bins: [0.0; BINS],
            total: 0.0,
            values: [0; VALUES],
            counts: [0.0; VALUES],
            seen: 0,
            last: 0,
            shift: 0,
        }
    }
}

impl Gaps {
    /// Takes in a gap of so many minutes, at least one.
    pub fn add(&mut self, minutes: u16) {
        for count in &mut self.bins {
            *count *= KEEP;
        }
        self.total = self.total * KEEP + 1.0;
        self.bins[bins::bin(minutes)] += 1.0;
        for count in &mut self.counts {
            *count *= KEEP_VALUE;
        }
        let known = self.values.iter().position(|value| *value == minutes);
        let place = known.unwrap_or_else(|| self.weakest());
        if known.is_none() {
            self.values[place] = minutes;
            self.counts[place] = 0.0;
        }
        self.counts[place] += 1.0;
        self.seen = self.seen.saturating_add(1);
        self.last = minutes;
    }

    fn weakest(&self) -> usize {
        let by_count = |a: &usize, b: &usize| self.counts[*a].total_cmp(&self.counts[*b]);
        (0..VALUES).min_by(by_count).unwrap_or(0)
    }

    /// From the next one on, gaps end so many milliseconds beyond whole minutes.
    pub fn end_at(&mut self, shift: i16) {
        self.shift = shift;
    }

    /// How far beyond whole minutes they end, in nanoseconds: all minutes of them are so much later.
    pub fn shift(&self) -> i64 {
        i64::from(self.shift) * 1_000_000
    }

    /// How many gaps were seen.
    pub fn seen(&self) -> u32 {
        self.seen
    }

    /// The last one, in minutes; none before the first.
    pub fn last(&self) -> Option<u16> {
        (self.seen > 0).then_some(self.last)
    }

    /// The decayed count of a bin.
    pub fn count(&self, bin: usize) -> f32 {
        self.bins[bin]
    }

    /// The decayed count of all bins.
    pub fn total(&self) -> f32 {
        self.total
    }

    /// Exact values with the probability that the next gap is near each, which add up to one; nothing
    /// before the first gap.
    pub fn values(&self) -> impl Iterator<Item = (u16, f32)> + '_ {
        let total: f32 = self.counts.iter().sum();
        let pairs = self.values.iter().zip(self.counts);
        pairs
            .filter(|(_, count)| *count > 0.0)
            .map(move |(value, count)| (*value, count / total))
    }

    /// The probability that the exact values give to a gap of just so many minutes.
    pub fn value_density(&self, minutes: u16) -> f32 {
        self.values()
            .map(|(value, share)| share * near(minutes, value))
            .sum()
    }
}

/// The probability that a gap is `minutes` long where `value` is what it repeats.
pub fn near(minutes: u16, value: u16) -> f32 {
    let off = i32::from(minutes) - i32::from(value);
    NEAR.iter()
        .find(|(by, _)| *by == off)
        .map_or(0.0, |(_, share)| *share)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn state_is_small() {
        assert!(size_of::<Gaps>() <= 192, "{}", size_of::<Gaps>());
    }

    proptest! {
        #[test]
        fn shares_of_values_add_up(gaps in proptest::collection::vec(1u16..2_000, 1..80)) {
            let mut known = Gaps::default();
            for gap in &gaps {
                known.add(*gap);
            }
            let sum: f32 = known.values().map(|(_, share)| share).sum();
            prop_assert!((sum - 1.0).abs() < 1e-4);
            let counts: f32 = (0..BINS).map(|bin| known.count(bin)).sum();
            prop_assert!((counts - known.total()).abs() < 1e-2);
            prop_assert_eq!(known.last(), gaps.last().copied());
        }
    }
}
