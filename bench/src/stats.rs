//! Samples, their order statistics, and the table and JSON that a run prints.

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

/// One comparison of two rows of the same run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ratio {
    /// What is compared with what.
    pub name: String,
    /// The quotient.
    pub value: f64,
    /// What the project aims at, in words.
    pub goal: &'static str,
    /// Whether this run met it.
    pub met: bool,
}

/// Everything that a run found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The machine, in words.
    pub machine: Machine,
    /// Times.
    pub rows: Vec<Row>,
    /// Requests per second.
    pub throughput: Vec<Throughput>,
    /// Comparisons.
    pub ratios: Vec<Ratio>,
}

/// Requests per second of one server.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Throughput {
    /// Server.
    pub name: String,
    /// Connections kept open.
    pub connections: usize,
    /// Answers counted.
    pub requests: u64,
    /// Answers per second.
    pub per_second: f64,
}

/// Where the run took place.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// Kernel release.
    pub kernel: String,
    /// Processor model.
    pub cpu: String,
    /// Processors online.
    pub cores: usize,
    /// Load average over one minute when the run began.
    pub load_before: f64,
    /// And when it ended.
    pub load_after: f64,
}

impl Machine {
    /// Reads what this machine is; `load_after` is filled in at the end.
    pub(crate) fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpu = text("/proc/cpuinfo")
            .lines()
            .find_map(|line| {
                line.strip_prefix("model name")
                    .map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned())
            })
            .unwrap_or_else(|| "unknown".to_owned());
        Self {
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            cpu,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load_before: load_average(),
            load_after: 0.0,
        }
    }
}

/// Load average over the last minute; zero where /proc does not say.
pub(crate) fn load_average() -> f64 {
    std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .unwrap_or_default()
}

impl Report {
    /// The tables that a person reads.
    pub(crate) fn print(&self) {
        let m = &self.machine;
        println!(
            "machine: {} cores, {}, Linux {}, load {:.2} before and {:.2} after",
            m.cores, m.cpu, m.kernel, m.load_before, m.load_after
        );
        println!(
            "\n{:<52} {:>6} {:>10} {:>10} {:>10}",
            "time in ms", "n", "min", "p50", "p99"
        );
        for row in &self.rows {
            println!(
                "{:<52} {:>6} {:>10.3} {:>10.3} {:>10.3}",
                row.name, row.n, row.min_ms, row.p50_ms, row.p99_ms
            );
        }
        println!(
            "\n{:<52} {:>6} {:>10} {:>10}",
            "throughput", "conns", "requests", "per s"
        );
        for row in &self.throughput {
            println!(
                "{:<52} {:>6} {:>10} {:>10.0}",
                row.name, row.connections, row.requests, row.per_second
            );
        }
        println!(
            "\n{:<52} {:>8}  goal",
            "ratio (of medians, same run)", "value"
        );
        for ratio in &self.ratios {
            let met = if ratio.met { "met" } else { "NOT met" };
            println!(
                "{:<52} {:>8.2}  {}: {met}",
                ratio.name, ratio.value, ratio.goal
            );
        }
    }
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
