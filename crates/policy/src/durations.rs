//! How long something takes: a sketch that is kept for one version, and the distribution it stands for.

use std::time::Duration;

/// Where the first bin ends. What is shorter counts as this long.
const SHORTEST: Duration = Duration::from_micros(100);

/// Bins for each doubling: a duration is known to a tenth.
const BINS_PER_DOUBLING: f64 = 4.0;

/// Bins: 23 doublings, a quarter of an hour. What is longer counts as that long.
const BINS: usize = 94;

/// A sketch of many durations: counts in bins that grow by a fifth each. It takes 188 bytes once it has seen
/// one. When a count would not fit, all are halved, so that what is long past fades.
#[derive(Debug, Clone, Default)]
pub struct Durations {
    counts: Option<Box<[u16; BINS]>>,
    total: u32,
}

impl Durations {
    /// Counts one.
    pub fn add(&mut self, duration: Duration) {
        let counts = self.counts.get_or_insert_with(|| Box::new([0; BINS]));
        let bin = bin(duration);
        if counts[bin] == u16::MAX {
            counts.iter_mut().for_each(|count| *count /= 2);
            self.total = counts.iter().map(|count| u32::from(*count)).sum();
        }
        counts[bin] += 1;
        self.total += 1;
    }

    /// How many were counted and have not faded.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// What they were like; nothing without any.
    pub fn distribution(&self) -> Option<Distribution> {
        let counts = self.counts.as_ref()?;
        let total = f64::from(self.total);
        let atoms = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        Distribution::new(
            atoms
                .map(|(bin, count)| (middle(bin), f64::from(*count) / total))
                .collect(),
        )
    }
}

fn bin(duration: Duration) -> usize {
    let ratio = duration.as_secs_f64() / SHORTEST.as_secs_f64();
    let bin = (ratio.max(1.0).log2() * BINS_PER_DOUBLING).ceil();
    (bin as usize).min(BINS - 1)
}

/// The geometric middle of a bin, in seconds.
fn middle(bin: usize) -> f64 {
    let doublings = (bin as f64 - 0.5) / BINS_PER_DOUBLING;
    SHORTEST.as_secs_f64() * doublings.exp2()
}

/// Finitely many values, in seconds, with their probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// By value; the probabilities add up to one.
    atoms: Vec<(f64, f64)>,
    /// For each value the probability of it and those before, and their part of the mean.
    sums: Vec<(f64, f64)>,
}

impl Distribution {
    /// Values of zero or more with weights, which are scaled to probabilities; none where no weight is above
    /// zero. Values come in any order.
    pub fn new(mut atoms: Vec<(f64, f64)>) -> Option<Self> {
        let counts = |&(value, weight): &(f64, f64)| {
            value.is_finite() && value >= 0.0 && weight.is_finite() && weight > 0.0
        };
        atoms.retain(counts);
        atoms.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = atoms.iter().map(|(_, weight)| weight).sum();
        if atoms.is_empty() || !total.is_finite() {
            return None;
        }
        atoms.iter_mut().for_each(|(_, weight)| *weight /= total);
        let add = |sums: &mut (f64, f64), &(value, weight): &(f64, f64)| {
            *sums = (sums.0 + weight, sums.1 + value * weight);
            Some(*sums)
        };
        let sums = atoms.iter().scan((0.0, 0.0), add).collect();
        Some(Self { atoms, sums })
    }

    /// Always the same.
    pub fn always(duration: Duration) -> Self {
        let value = duration.as_secs_f64();
        Self {
            atoms: vec![(value, 1.0)],
            sums: vec![(1.0, value)],
        }
    }

    /// The values with their probabilities, in order.
    pub fn atoms(&self) -> &[(f64, f64)] {
        &self.atoms
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.sums.last().map_or(0.0, |(_, mean)| *mean)
    }

    /// The probability that it is at most that.
    pub fn by(&self, value: f64) -> f64 {
        self.until(value).0
    }

    /// The mean of it or `limit`, whichever is less.
    pub fn mean_up_to(&self, limit: f64) -> f64 {
        let (probability, part) = self.until(limit);
        part + (1.0 - probability).max(0.0) * limit
    }

    fn until(&self, value: f64) -> (f64, f64) {
        let until = self.atoms.partition_point(|(atom, _)| *atom <= value);
        until
            .checked_sub(1)
            .map_or((0.0, 0.0), |last| self.sums[last])
    }

    /// What is left of it when so much has passed. Where it should be over by now, as much again is expected
    /// as has passed: what has lasted beyond all that is known may last.
    pub fn after(&self, passed: f64) -> Self {
        let left = self.atoms.iter().filter(|(value, _)| *value > passed);
        let left = left
            .map(|(value, weight)| (value - passed, *weight))
            .collect();
        Self::new(left).unwrap_or_else(|| {
            let passed = Duration::try_from_secs_f64(passed).unwrap_or_default();
            Self::always(passed)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_duration_is_known_to_a_tenth(micros in 100..800_000_000u64) {
            let mut durations = Durations::default();
            let duration = Duration::from_micros(micros);
            durations.add(duration);
            let known = durations.distribution().unwrap().mean();
            prop_assert!((known / duration.as_secs_f64() - 1.0).abs() < 0.1);
        }
    }

    #[test]
    fn what_is_left_is_what_is_longer() {
        let distribution = Distribution::new(vec![(1.0, 2.0), (4.0, 1.0), (2.0, 1.0)]).unwrap();
        assert_eq!(distribution.mean(), 2.0);
        assert_eq!(distribution.by(2.0), 0.75);
        assert_eq!(distribution.by(0.5), 0.0);
        assert_eq!(distribution.mean_up_to(3.0), 0.5 + 0.5 + 0.75);
        assert_eq!(distribution.after(1.0).atoms(), [(1.0, 0.5), (3.0, 0.5)]);
        assert_eq!(distribution.after(4.0).atoms(), [(4.0, 1.0)]);
    }

    #[test]
    fn counts_that_would_not_fit_are_halved() {
        let mut durations = Durations::default();
        assert!(durations.distribution().is_none());
        (0..2).for_each(|_| durations.add(Duration::from_secs(10)));
        (0..70_000).for_each(|_| durations.add(Duration::from_millis(1)));
        assert_eq!(durations.total(), 1 + 32_767 + 70_000 - 65_535);
        assert_eq!(durations.distribution().unwrap().atoms().len(), 2);
    }
}
