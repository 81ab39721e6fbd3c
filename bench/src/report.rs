//! What a run found, as tables for a person and as JSON.

use anyhow::Context;
use serde::Serialize;

use crate::stats::{Row, Samples};

/// Everything that a run found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Where the run took place.
    pub machine: Machine,
    /// What was measured, in order.
    pub sections: Vec<Section>,
}

/// What one suite found.
#[derive(Debug, Serialize)]
pub(crate) struct Section {
    /// What it is about.
    pub title: String,
    /// Load average over one minute when it began, and when it ended.
    pub load: [f64; 2],
    /// Times.
    pub rows: Vec<Row>,
    /// Other numbers.
    pub figures: Vec<Figure>,
    /// What the project aims at, and whether this run met it.
    pub goals: Vec<Goal>,
}

/// One number.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    /// What was counted or weighed.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
}

/// One aim; a ratio's two sides were measured in the same run.
#[derive(Debug, Serialize)]
pub(crate) struct Goal {
    /// What is compared with what.
    pub name: String,
    /// What came out.
    pub value: f64,
    /// The bound in words.
    pub bound: String,
    /// Whether this run met it.
    pub met: bool,
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
    /// Memory in MiB.
    pub memory_mib: u64,
}

impl Section {
    /// An empty one that begins now.
    pub(crate) fn begin(title: impl Into<String>) -> Self {
        let title = title.into();
        eprintln!("measuring: {title}");
        Self {
            title,
            load: [load_average(), 0.0],
            rows: Vec::new(),
            figures: Vec::new(),
            goals: Vec::new(),
        }
    }

    /// Ends now.
    pub(crate) fn end(mut self) -> Self {
        self.load[1] = load_average();
        self
    }

    /// Adds the summary of samples, if there are any.
    pub(crate) fn time(&mut self, name: impl AsRef<str>, samples: &Samples) {
        self.rows.extend(samples.summary(name.as_ref()));
    }

    /// Adds a number.
    pub(crate) fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push(Figure {
            name: name.into(),
            value,
            unit,
        });
    }

    /// An aim that holds up to that bound.
    pub(crate) fn at_most(&mut self, name: impl Into<String>, value: f64, bound: f64) {
        self.goals.push(Goal {
            name: name.into(),
            value,
            bound: format!("at most {bound}"),
            met: value <= bound,
        });
    }

    /// An aim that holds from that bound on.
    pub(crate) fn at_least(&mut self, name: impl Into<String>, value: f64, bound: f64) {
        self.goals.push(Goal {
            name: name.into(),
            value,
            bound: format!("at least {bound}"),
            met: value >= bound,
        });
    }

    /// The row of that name.
    pub(crate) fn row(&self, name: &str) -> anyhow::Result<&Row> {
        let row = self.rows.iter().find(|row| row.name == name);
        row.with_context(|| format!("'{name}' was not measured"))
    }

    /// The quotient of two medians.
    pub(crate) fn ratio(&self, dividend: &str, divisor: &str) -> anyhow::Result<f64> {
        Ok(self.row(dividend)?.p50_ms / self.row(divisor)?.p50_ms)
    }

    fn print(&self) {
        let [before, after] = self.load;
        println!(
            "\n== {} (load {before:.2} before, {after:.2} after)",
            self.title
        );
        if !self.rows.is_empty() {
            println!(
                "{:<56} {:>6} {:>10} {:>10} {:>10}",
                "time in ms", "n", "min", "p50", "p99"
            );
        }
        for row in &self.rows {
            println!(
                "{:<56} {:>6} {:>10.3} {:>10.3} {:>10.3}",
                row.name, row.n, row.min_ms, row.p50_ms, row.p99_ms
            );
        }
        for figure in &self.figures {
            println!("{:<56} {:>10.2} {}", figure.name, figure.value, figure.unit);
        }
        for goal in &self.goals {
            let met = if goal.met { "met" } else { "NOT met" };
            println!(
                "goal: {:<50} {:>10.2} {}: {met}",
                goal.name, goal.value, goal.bound
            );
        }
    }
}

impl Report {
    /// The tables that a person reads.
    pub(crate) fn print(&self) {
        let m = &self.machine;
        println!(
            "machine: {} cores, {}, {} MiB, Linux {}",
            m.cores, m.cpu, m.memory_mib, m.kernel
        );
        for section in &self.sections {
            section.print();
        }
    }
}

impl Machine {
    /// Reads what this machine is.
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
            memory_mib: crate::memory::machine("MemTotal").unwrap_or(0) >> 20,
        }
    }
}

/// Load average over the last minute; zero where /proc does not say.
fn load_average() -> f64 {
    std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .unwrap_or_default()
}
