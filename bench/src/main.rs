//! `make bench`: every start kind side by side with `runc run`, a bare process and nginx, and what the ladder
//! costs in memory; in one run and in turn, so that a noisy machine is noisy for everyone.
#![forbid(unsafe_code)]

mod boots;
mod burst;
mod catalog;
mod decisions;
mod heap;
mod heavy;
mod http;
mod invoke;
mod kinds;
mod load;
mod memory;
mod nginx;
mod parked;
mod platform;
mod profile;
mod replay;
mod report;
mod rivals;
mod runtimes;
mod shortage;
mod stats;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};

use crate::platform::Platform;
use crate::report::{Machine, Report, Section};
use crate::runtimes::RUNTIMES;

/// Slots that wait in the pool; most starts of this benchmark come one at a time.
const POOLED: u64 = 4;

/// Measures Pilotlight's starts side by side with runc, a bare process and nginx.
#[derive(Debug, Parser)]
struct Args {
    /// The `pilot` binary under test (a release build).
    #[arg(long, default_value = "target/release/pilot")]
    pilot: PathBuf,
    /// Data directory whose runtime images are used; those that are missing are built first.
    #[arg(long, default_value = "target/bench/data")]
    data_dir: PathBuf,
    /// What to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Suite::ALL)]
    suites: Vec<Suite>,
    /// Samples of each kind of start.
    #[arg(long, default_value_t = 200)]
    samples: usize,
    /// Idle instances of the heavy function that are weighed.
    #[arg(long, default_value_t = 50)]
    idle: usize,
    /// Requests of one burst.
    #[arg(long, default_value_t = 200)]
    burst: usize,
    /// Bursts of each sort.
    #[arg(long, default_value_t = 5)]
    bursts: usize,
    /// Versions with a template at the same time.
    #[arg(long, default_value_t = 500)]
    parked: usize,
    /// Functions of the large catalog.
    #[arg(long, default_value_t = 10_000)]
    functions: usize,
    /// Versions that policies decide on.
    #[arg(long, default_value_t = 100_000)]
    versions: u32,
    /// Files or folder of the trace that is replayed.
    #[arg(
        long,
        value_name = "TRACE",
        default_value = "crates/sim/tests/data/azure2019"
    )]
    trace: PathBuf,
    /// Minutes of it; all of them unless given.
    #[arg(long)]
    minutes: Option<u32>,
    /// Profile by which the replay is simulated; as shipped unless given.
    #[arg(long, value_name = "FILE")]
    costs: Option<PathBuf>,
    /// Policies of the suites replay and shortage; each has a list of its own.
    #[arg(long, value_delimiter = ',')]
    policies: Vec<String>,
    /// Replay those policies with functions that have no template.
    #[arg(long, requires = "policies")]
    without_templates: bool,
    /// How often each policy has its turn on the node that is short of memory.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of load on each server, and of calls before a burst.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Little of everything, to see that it works; its figures say nothing.
    #[arg(long)]
    quick: bool,
    /// What our Python bootstrap imports, for the bare process.
    #[arg(long, default_value = "import builtins, gc, posix, sys, time, _json")]
    imports: String,
    /// Also write a profile for `pilot simulate` of what the suites kinds and heavy have measured.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Where the JSON report goes.
    #[arg(long, default_value = "bench/results/latest.json")]
    out: PathBuf,
}

/// Something to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// Every start kind of every runtime.
    Kinds,
    /// numpy and pandas.
    Heavy,
    /// Many first requests at once.
    Burst,
    /// Fork by size of the heap.
    Heap,
    /// Many versions with templates.
    Parked,
    /// Booted start, warm call, throughput.
    Boots,
    /// Many functions.
    Catalog,
    /// Keep-alive policies with many versions.
    Decisions,
    /// A recorded trace, live and simulated; only when it is asked for, since it takes minutes for each policy.
    Replay,
    /// Policies on a node short of memory; only when it is asked for, since it takes minutes.
    Shortage,
}

impl Suite {
    const ALL: [Suite; 8] = [
        Suite::Kinds,
        Suite::Heavy,
        Suite::Burst,
        Suite::Heap,
        Suite::Parked,
        Suite::Boots,
        Suite::Catalog,
        Suite::Decisions,
    ];

    /// Whether it measures a platform; all but one do.
    fn has_platform(self) -> bool {
        self != Suite::Decisions
    }
}

/// What the suites run with.
#[derive(Debug)]
struct Bench {
    pilot: PathBuf,
    data_dir: PathBuf,
    /// For files of the run; deleted at its end.
    scratch: PathBuf,
    imports: String,
    samples: usize,
    idle: usize,
    burst: usize,
    bursts: usize,
    parked: usize,
    functions: usize,
    versions: u32,
    trace: PathBuf,
    minutes: Option<u32>,
    costs: Option<PathBuf>,
    load: Duration,
    /// Requests to a node short of memory.
    short_requests: usize,
    policies: Vec<String>,
    templates: bool,
    rounds: usize,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let scratch = tempfile::tempdir()?;
    let bench = Bench::resolve(&args, scratch.path());
    if args.suites.iter().any(|suite| suite.has_platform()) {
        // Builds the runtime images that are missing.
        drop(Platform::start(&bench.pilot, &bench.data_dir, POOLED)?);
    }
    let mut report = Report {
        machine: Machine::read(),
        sections: Vec::new(),
    };
    for suite in &args.suites {
        report.sections.extend(run(&bench, *suite)?);
        // What a later suite cannot measure does not take with it what was measured.
        save(&report, &args.out)?;
    }
    report.print();
    if let Some(path) = &args.profile {
        profile::write(&report, path)?;
    }
    eprintln!("\nsaved as {}", args.out.display());
    Ok(())
}

fn run(bench: &Bench, suite: Suite) -> anyhow::Result<Vec<Section>> {
    let one = |section: anyhow::Result<Section>| section.map(|it| vec![it]);
    match suite {
        Suite::Kinds => {
            let measure = |runtime| kinds::measure(bench, runtime);
            RUNTIMES.iter().map(measure).collect()
        }
        Suite::Heavy => one(heavy::measure(bench)),
        Suite::Burst => one(burst::measure(bench)),
        Suite::Heap => one(heap::measure(bench)),
        Suite::Parked => one(parked::measure(bench)),
        Suite::Boots => one(boots::measure(bench)),
        Suite::Catalog => one(catalog::measure(bench)),
        Suite::Decisions => one(decisions::measure(bench)),
        Suite::Replay => replay::measure(bench),
        Suite::Shortage => shortage::measure(bench),
    }
}

fn save(report: &Report, out: &Path) -> anyhow::Result<()> {
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(out, serde_json::to_vec_pretty(report)?)
        .with_context(|| format!("cannot write {}", out.display()))
}

impl Bench {
    fn resolve(args: &Args, scratch: &Path) -> Self {
        let sized = |full: usize, quick: usize| if args.quick { full.min(quick) } else { full };
        Self {
            pilot: args.pilot.clone(),
            data_dir: args.data_dir.clone(),
            scratch: scratch.to_owned(),
            imports: args.imports.clone(),
            samples: sized(args.samples, 10),
            idle: sized(args.idle, 5),
            burst: sized(args.burst, 20),
            bursts: sized(args.bursts, 2),
            parked: sized(args.parked, 10),
            functions: sized(args.functions, 500),
            versions: if args.quick {
                args.versions.min(1_000)
            } else {
                args.versions
            },
            trace: args.trace.clone(),
            minutes: if args.quick { Some(5) } else { args.minutes },
            costs: args.costs.clone(),
            load: Duration::from_secs(if args.quick { 1 } else { args.seconds }),
            short_requests: sized(900, 60),
            policies: args.policies.clone(),
            templates: !args.without_templates,
            rounds: sized(args.rounds, 1),
        }
    }

    /// A platform with the slots of this benchmark, and data of its own.
    fn platform(&self, suite: &str) -> anyhow::Result<Platform> {
        Platform::start(&self.pilot, &self.data_dir_of(suite)?, POOLED)
    }

    /// A data directory of that suite, with the runtime images and nothing else: what was deployed before would
    /// be prepared again beside what is measured.
    fn data_dir_of(&self, suite: &str) -> anyhow::Result<PathBuf> {
        let data_dir = self.scratch(suite).join("data");
        for part in ["runtimes", "images"] {
            let (from, to) = (self.data_dir.join(part), data_dir.join(part));
            std::fs::create_dir_all(&to)?;
            for file in std::fs::read_dir(&from).with_context(|| from.display().to_string())? {
                let file = file?;
                let to = to.join(file.file_name());
                if !to.exists() && std::fs::hard_link(file.path(), &to).is_err() {
                    std::fs::copy(file.path(), &to)?;
                }
            }
        }
        Ok(data_dir)
    }

    /// A folder for files of that suite.
    fn scratch(&self, suite: &str) -> PathBuf {
        self.scratch.join(suite)
    }
}
