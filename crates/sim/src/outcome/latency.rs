//! How long requests waited for their instance: counts in bins that grow with the time, so that every
//! quantile is known to one part in a hundred.

use crate::profile::{ClassName, Profile};

/// Bins to a factor of e.
const PER_E: f64 = 100.0;
/// The end of the first bin, in nanoseconds; what is shorter is in it too.
const FIRST_NS: f64 = 1_000.0;
/// Up to more than an hour.
const BINS: usize = 2_208;
/// Parts that the distribution of warm starts is cut into.
const SLICES: u32 = 2_000;

/// A weighted distribution of times.
#[derive(Debug, Clone, PartialEq)]
pub struct Latency {
    bins: Vec<f64>,
    total: f64,
    sum_ns: f64,
    /// Warm requests by class, whose times the profile knows without a draw for each.
    warm: [f64; 4],
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            bins: vec![0.0; BINS],
            total: 0.0,
            sum_ns: 0.0,
            warm: [0.0; 4],
        }
    }
}

const CLASSES: [ClassName; 4] = [
    ClassName::Python,
    ClassName::Node,
    ClassName::Java,
    ClassName::Native,
];

impl Latency {
    /// A request that had an instance after so many nanoseconds.
    pub(crate) fn add(&mut self, ns: u64, weight: f64) {
        self.put(ns as f64, weight);
    }

    /// Warm requests, as many as `weight` says.
    pub(crate) fn warm(&mut self, class: ClassName, weight: f64) {
        self.warm[class as usize] += weight;
    }

    /// Draws the warm requests' times from the profile, all at once.
    pub(crate) fn resolve(&mut self, profile: &Profile) {
        for (class, weight) in CLASSES.into_iter().zip(std::mem::take(&mut self.warm)) {
            let spread = crate::engine::facts::class_of(profile, class).start_ms.warm;
            if weight > 0.0 {
                let part = weight / f64::from(SLICES);
                for slice in 0..SLICES {
                    let share = (f64::from(slice) + 0.5) / f64::from(SLICES);
                    self.put(spread.at(share) * 1e6, part);
                }
            }
        }
    }

    fn put(&mut self, ns: f64, weight: f64) {
        let bin = (ns / FIRST_NS).max(1.0).ln() * PER_E;
        self.bins[(bin as usize).min(BINS - 1)] += weight;
        self.total += weight;
        self.sum_ns += ns * weight;
    }

    /// The mean, in milliseconds.
    pub fn mean_ms(&self) -> f64 {
        if self.total > 0.0 {
            self.sum_ns / self.total / 1e6
        } else {
            0.0
        }
    }

    /// The time that a share of the requests did not wait longer than, in milliseconds.
    pub fn at(&self, share: f64) -> f64 {
        let wanted = share * self.total;
        let mut sum = 0.0;
        let mut last = 0;
        for (bin, weight) in self
            .bins
            .iter()
            .enumerate()
            .filter(|(_, weight)| **weight > 0.0)
        {
            sum += weight;
            last = bin;
            if sum >= wanted {
                break;
            }
        }
        if self.total > 0.0 {
            middle_ms(last)
        } else {
            0.0
        }
    }

    /// Times in milliseconds with the share of requests that waited at most so long.
    pub fn distribution(&self) -> Vec<(f64, f64)> {
        let mut sum = 0.0;
        let filled = self
            .bins
            .iter()
            .enumerate()
            .filter(|(_, weight)| **weight > 0.0);
        let points = filled.map(|(bin, weight)| {
            sum += weight;
            (middle_ms(bin), sum / self.total)
        });
        points.collect()
    }
}

fn middle_ms(bin: usize) -> f64 {
    FIRST_NS / 1e6 * ((bin as f64 + 0.5) / PER_E).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near() {
        let mut latency = Latency::default();
        for n in 1..=1_000u64 {
            latency.add(n * 1_000_000, 2.0);
        }
        for (share, ms) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1_000.0)] {
            assert!(
                (latency.at(share) / ms - 1.0).abs() < 0.01,
                "{share}: {}",
                latency.at(share)
            );
        }
        assert!((latency.mean_ms() - 500.5).abs() < 1e-6);
        assert!((latency.distribution().last().unwrap().1 - 1.0).abs() < 1e-9);
        assert_eq!(Latency::default().at(0.5), 0.0);
    }

    #[test]
    fn warm_requests_follow_the_profile() {
        let mut latency = Latency::default();
        latency.warm(ClassName::Python, 1e6);
        latency.resolve(&Profile::default());
        assert!((latency.at(0.5) / 0.52 - 1.0).abs() < 0.01);
        assert!((latency.at(0.99) / 1.1 - 1.0).abs() < 0.02);
    }
}
