//! Samples and their order statistics.

use std::time::Duration;

use serde::Serialize;

/// Durations of one measured thing, in the order in which they were taken.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one.
    pub(crate) fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// Adds all of another's.
    pub(crate) fn append(&mut self, mut other: Samples) {
        self.0.append(&mut other.0);
    }

    /// The summary of what was taken; `None` without a sample.
    pub(crate) fn summary(&self, name: &str) -> Option<Row> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let milliseconds = |quantile: f64| {
            let rank = (quantile * sorted.len() as f64).ceil().max(1.0) as usize;
            sorted.get(rank - 1).map(|d| d.as_secs_f64() * 1e3)
        };
        Some(Row {
            name: name.to_owned(),
            n: sorted.len(),
            min_ms: milliseconds(0.0)?,
            p50_ms: milliseconds(0.5)?,
            p99_ms: milliseconds(0.99)?,
        })
    }
}

/// One measured thing.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// What was measured.
    pub name: String,
    /// Samples.
    pub n: usize,
    /// Shortest, milliseconds.
    pub min_ms: f64,
    /// Median, milliseconds.
    pub p50_ms: f64,
    /// 99th percentile (nearest rank), milliseconds.
    pub p99_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_rank() {
        let mut samples = Samples::default();
        for n in (1..=100).rev() {
            samples.push(Duration::from_millis(n));
        }
        let row = samples.summary("x").unwrap();
        assert_eq!(
            (row.n, row.min_ms, row.p50_ms, row.p99_ms),
            (100, 1.0, 50.0, 99.0)
        );
        assert!(Samples::default().summary("none").is_none());
    }
}
