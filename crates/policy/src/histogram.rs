//! How often a time fell into which of equally wide bins: what a policy keeps of the past of one version.

use std::time::Duration;

/// The bins: so many, each so wide, from zero on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    width: Duration,
    bins: u16,
}

impl Scale {
    /// Bins of that width that cover a range; the last one may go beyond it. One bin at least, 65,535 at
    /// most.
    pub fn new(width: Duration, range: Duration) -> Self {
        let width = width.max(Duration::from_nanos(1));
        let bins = range.as_nanos().div_ceil(width.as_nanos());
        Self {
            width,
            bins: u16::try_from(bins).unwrap_or(u16::MAX).max(1),
        }
    }

    /// The bin of a time, absent beyond the range.
    pub fn bin(self, time: Duration) -> Option<u16> {
        let bin = u16::try_from(time.as_nanos() / self.width.as_nanos()).ok()?;
        (bin < self.bins).then_some(bin)
    }

    /// Where a bin begins.
    pub fn begin(self, bin: u16) -> Duration {
        self.width.saturating_mul(u32::from(bin))
    }

    /// Where the last bin ends.
    pub fn range(self) -> Duration {
        self.begin(self.bins)
    }
}

/// Counts of times by bin, and of those beyond the last. Two bytes for each bin; when a count would not
/// fit, all are halved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u16]>,
    /// Sum of the counts.
    inside: u32,
    /// Sum of their squares.
    squares: u64,
    outside: u16,
}

impl Histogram {
    /// A histogram that has seen nothing.
    pub fn new(scale: Scale) -> Self {
        Self {
            counts: vec![0; usize::from(scale.bins)].into(),
            inside: 0,
            squares: 0,
            outside: 0,
        }
    }

    /// Counts a time by its bin, or as out of bounds.
    pub fn add(&mut self, bin: Option<u16>) {
        let count = bin.map_or(Some(self.outside), |bin| {
            self.counts.get(usize::from(bin)).copied()
        });
        if count == Some(u16::MAX) {
            self.halve();
        }
        let Some(bin) = bin else {
            self.outside += 1;
            return;
        };
        if let Some(count) = self.counts.get_mut(usize::from(bin)) {
            self.squares += 2 * u64::from(*count) + 1;
            *count += 1;
            self.inside += 1;
        }
    }

    /// Times within the bins.
    pub fn inside(&self) -> u32 {
        self.inside
    }

    /// Times beyond them.
    pub fn outside(&self) -> u32 {
        u32::from(self.outside)
    }

    /// All times.
    pub fn total(&self) -> u32 {
        self.inside + self.outside()
    }

    /// The first bin up to which `percent` of the times within the bins fell; none without any.
    pub fn percentile(&self, percent: u8) -> Option<u16> {
        let needed = u64::from(self.inside) * u64::from(percent.min(100));
        let mut sum = 0u64;
        let reached = |count: &u16| {
            sum += u64::from(*count);
            sum > 0 && sum * 100 >= needed
        };
        self.counts
            .iter()
            .position(reached)
            .map(|bin| u16::try_from(bin).unwrap_or(u16::MAX))
    }

    /// The coefficient of variation of the counts: standard deviation by mean. It is 0 when all bins have
    /// the same count or none has any, and the root of their number less one when all is in one bin.
    pub fn variation(&self) -> f64 {
        if self.inside == 0 {
            return 0.0;
        }
        let mean = f64::from(self.inside);
        let squares = self.counts.len() as f64 * self.squares as f64;
        (squares / (mean * mean) - 1.0).max(0.0).sqrt()
    }

    /// The part of all times, also those out of bounds, that fell into these bins: from 0 to 1.
    pub fn share(&self, from: u16, to: u16) -> f32 {
        let bins = usize::from(from)..=usize::from(to).min(self.counts.len() - 1);
        let count: u32 = self
            .counts
            .get(bins)
            .unwrap_or_default()
            .iter()
            .map(|count| u32::from(*count))
            .sum();
        count as f32 / self.total().max(1) as f32
    }

    fn halve(&mut self) {
        for count in &mut self.counts {
            *count /= 2;
        }
        self.outside /= 2;
        self.inside = self.counts.iter().map(|count| u32::from(*count)).sum();
        self.squares = self
            .counts
            .iter()
            .map(|count| u64::from(*count).pow(2))
            .sum();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn scale() -> Scale {
        Scale::new(MINUTE, 10 * MINUTE)
    }

    #[test]
    fn bins_begin_at_whole_widths_and_end_with_the_range() {
        let scale = scale();
        assert_eq!(scale.bin(Duration::ZERO), Some(0));
        assert_eq!(scale.bin(MINUTE - Duration::from_nanos(1)), Some(0));
        assert_eq!(scale.bin(MINUTE), Some(1));
        assert_eq!(scale.bin(10 * MINUTE), None);
        assert_eq!(scale.range(), 10 * MINUTE);
        assert_eq!(scale.begin(3), 3 * MINUTE);
    }

    #[test]
    fn variation_is_none_when_even_and_most_when_all_is_in_one_bin() {
        let mut even = Histogram::new(scale());
        (0..10).for_each(|bin| even.add(Some(bin)));
        assert_eq!(even.variation(), 0.0);
        let mut one = Histogram::new(scale());
        (0..7).for_each(|_| one.add(Some(4)));
        assert!((one.variation() - 3.0).abs() < 1e-12);
        assert_eq!(Histogram::new(scale()).variation(), 0.0);
    }

    #[test]
    fn counts_that_would_not_fit_are_halved() {
        let mut histogram = Histogram::new(scale());
        (0..10).for_each(|_| histogram.add(None));
        (0..70_000).for_each(|_| histogram.add(Some(2)));
        assert_eq!(histogram.percentile(50), Some(2));
        assert_eq!(histogram.outside(), 5);
        assert_eq!(histogram.inside(), 32_767 + 70_000 - 65_535);
    }

    proptest! {
        /// Beside the list of all times.
        #[test]
        fn agrees_with_the_list(
            times in proptest::collection::vec(0..15u16, 0..300),
            percent in 0..=100u8,
        ) {
            let mut histogram = Histogram::new(scale());
            times.iter().for_each(|time| histogram.add((*time < 10).then_some(*time)));
            let mut inside: Vec<u16> = times.iter().copied().filter(|time| *time < 10).collect();
            inside.sort_unstable();
            prop_assert_eq!(histogram.inside() as usize, inside.len());
            prop_assert_eq!(histogram.total() as usize, times.len());
            let rank = (inside.len() * usize::from(percent)).div_ceil(100).max(1);
            prop_assert_eq!(histogram.percentile(percent), inside.get(rank - 1).copied());
            let counts: Vec<f64> = (0..10)
                .map(|bin| inside.iter().filter(|time| **time == bin).count() as f64)
                .collect();
            let mean = inside.len() as f64 / 10.0;
            let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / 10.0;
            let variation = if mean > 0.0 { variance.sqrt() / mean } else { 0.0 };
            prop_assert!((histogram.variation() - variation).abs() < 1e-9);
        }
    }
}
