//! The command line of `pilot simulate`, apart from where it is printed to.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use pilotlight_policy::Bytes;
use pilotlight_policy::eventlog::Header;
use pilotlight_policy::policies::{POLICIES, SpecError};

use crate::eventlog::{Log, Recorder, Replay, ReplayError, replay};
use crate::options::{Arrivals, Cluster, Deploy, Minute, Model, Options, Ties};
use crate::profile::{ClassName, Profile, ProfileError};
use crate::read::{self, ReadError};
use crate::report::{Report, by_function};
use crate::run::{Named, Progress, RunError, by_names, run};
use crate::trace::Trace;

/// Least time between two lines of progress of a policy.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  pilot simulate azure2019/ --policy fixed:10m --policy fixed:1h
  xz -dc day.csv.xz | pilot simulate - --output json | jq '.policies[].cold_by_function'
  pilot simulate invocations_per_function_md.anon.d0*.csv function_durations_percentiles.anon.d01.csv

The format of each file is found by its first line. Progress goes to standard error, the report to standard
output; the same options and seed give the same report, byte for byte.";

/// Options of `pilot simulate`. `docs/simulate.md` says what each choice means.
#[derive(Debug, Clone, Args)]
#[command(after_help = after_help())]
pub struct SimulateArgs {
    /// Files or folders of a trace; - is standard input.
    #[arg(required = true, value_name = "TRACE")]
    pub traces: Vec<PathBuf>,
    /// Policy to run, with its parameters; can be repeated. fixed:10m unless given, or for --replay the log's own.
    #[arg(long = "policy", value_name = "NAME[:PARAMS]")]
    pub policies: Vec<String>,
    /// The trace is an event log: tell the policy what it has, and compare what it orders with what the log has.
    #[arg(long)]
    pub replay: bool,
    /// Write what the policy is told and orders to this file, as an event log. For one policy.
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    pub record: Option<PathBuf>,
    /// What instances there are, and how exactly time is followed.
    #[arg(long, value_enum, default_value = "single")]
    pub model: Model,
    /// Seed of all draws.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Costs of starts and rungs: a file that pilotlight-bench has written.
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Runtime of all functions; drawn by the profile's shares unless given.
    #[arg(long, value_parser = class)]
    pub runtime: Option<ClassName>,
    /// Memory of an instance where the trace does not say, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 170)]
    pub memory: u32,
    /// Nodes of the cluster.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub nodes: u32,
    /// Memory of each node, in MiB; without limit unless given.
    #[arg(long, value_name = "MIB")]
    pub node_memory: Option<u64>,
    /// Which comes first of what happens at the same moment.
    #[arg(long, value_enum, default_value = "arrivals")]
    pub ties: Ties,
    /// What a minute with several requests counts as in the share of a function.
    #[arg(long, value_enum, default_value = "one")]
    pub minute: Minute,
    /// When policies learn of functions.
    #[arg(long, value_enum, default_value = "begin")]
    pub deploy: Deploy,
    /// Nodes have no zygotes: what has no template is booted.
    #[arg(long)]
    pub no_zygotes: bool,
    /// When in their minute requests come (concurrent model).
    #[arg(long, value_enum, default_value = "uniform")]
    pub arrivals: Arrivals,
    /// How long a handler runs where the trace does not say, in milliseconds (concurrent model).
    #[arg(long, value_name = "MS", default_value_t = 670)]
    pub duration: u64,
    /// Requests of a function in one minute up to which each is followed (concurrent model).
    #[arg(long, value_name = "REQUESTS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub each_up_to: u32,
    /// Runs that take place at the same time.
    #[arg(long, default_value_t = 2)]
    pub threads: usize,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
    /// Also write a row for each policy and function to this file, as CSV.
    #[arg(long, value_name = "FILE")]
    pub by_function: Option<PathBuf>,
    /// No progress on standard error.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Examples, and the policies that can be named.
fn after_help() -> String {
    let mut help = format!("{EXAMPLES}\n\nPolicies:\n");
    for entry in POLICIES {
        help.push_str(&format!("  {}\n      {}\n", entry.usage, entry.summary));
    }
    help
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// A row for each policy.
    Csv,
    /// A page with plots, for a browser.
    Html,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The trace cannot be read.
    #[error("trace")]
    Read(#[from] ReadError),
    /// The profile cannot be used.
    #[error("profile {path}")]
    Profile {
        /// Its file.
        path: String,
        /// Why not.
        #[source]
        source: ProfileError,
    },
    /// A file of one's own cannot be read or written.
    #[error("{path}")]
    File {
        /// Which.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The simulation cannot be run.
    #[error("simulation")]
    Run(#[from] RunError),
    /// A policy cannot be made.
    #[error("policy")]
    Policy(#[from] SpecError),
    /// A log cannot be replayed.
    #[error("replay")]
    Replay(#[from] ReplayError),
    /// A replay ordered something else than its log has.
    #[error("{0}")]
    Differs(String),
    /// Options that do not go together.
    #[error("{0}")]
    Usage(&'static str),
}

impl SimulateError {
    /// Whether the command line is what is wrong.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Policy(_) | Self::Usage(_) | Self::Run(_))
    }
}

/// Reads, runs, and gives back what is to be printed.
pub fn simulate(args: &SimulateArgs) -> Result<String, SimulateError> {
    let say = |line: &str| {
        if !args.quiet {
            // Progress that nobody reads is no failure.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    };
    if args.replay {
        return replay_log(args);
    }
    let profile = profile(args)?;
    let begin = Instant::now();
    let trace = read::read(&args.traces, &mut |file| say(&format!("reading {file}")))?;
    say(&format!(
        "{} functions, {} requests, minutes {} to {}, read in {:.1} s",
        trace.functions.len(),
        trace.total(),
        trace.begin,
        trace.end,
        begin.elapsed().as_secs_f64(),
    ));
    let (policies, log) = policies(args, &trace)?;
    let said = Mutex::new(std::collections::BTreeMap::new());
    let progress = |progress: Progress<'_>| {
        let mut said = said.lock().expect("nobody panics with it");
        let last = said
            .entry(progress.policy.to_owned())
            .or_insert_with(Instant::now);
        if last.elapsed() >= PROGRESS_EVERY {
            *last = Instant::now();
            let percent = u64::from(progress.done) * 100 / u64::from(progress.of);
            say(&format!("{}: {percent} %", progress.policy));
        }
    };
    let report = run(
        &trace,
        &profile,
        &args.options(),
        policies,
        args.threads,
        &progress,
    )?;
    end_log(args, log.as_ref())?;
    for run in &report.runs {
        say(&format!("{}: {:.1} s", run.policy, run.took.as_secs_f64()));
    }
    write_by_function(args, &report)?;
    Ok(match args.output {
        Output::Table => report.table(),
        Output::Json => report.json(),
        Output::Csv => report.csv(),
        Output::Html => report.html(),
    })
}

impl SimulateArgs {
    fn options(&self) -> Options {
        Options {
            model: self.model,
            seed: self.seed,
            memory: Bytes::mib(u64::from(self.memory)),
            runtime: self.runtime,
            cluster: Cluster {
                nodes: self.nodes,
                memory: self.node_memory.map(Bytes::mib),
            },
            ties: self.ties,
            minute: self.minute,
            deploy: self.deploy,
            zygotes: !self.no_zygotes,
            arrivals: self.arrivals,
            duration: Duration::from_millis(self.duration),
            each_up_to: self.each_up_to,
            ..Options::default()
        }
    }
}

/// The policies, and the log of the only one where it is recorded.
fn policies(
    args: &SimulateArgs,
    trace: &Trace,
) -> Result<(Vec<Named>, Option<Log>), SimulateError> {
    let names = match args.policies.as_slice() {
        [] => &["fixed:10m".to_owned()],
        names => names,
    };
    let mut policies = by_names(names)?;
    let (Some(path), [policy]) = (&args.record, policies.as_mut_slice()) else {
        return match args.record {
            Some(_) => Err(SimulateError::Usage("--record is for one policy")),
            None => Ok((policies, None)),
        };
    };
    let file = File::create(path).map_err(file_error(path))?;
    let header = Header::new(&policy.name, 0, pilotlight_model::start::Instant(0));
    let names: Vec<String> = trace.functions.iter().map(|it| it.name.clone()).collect();
    let log = Log::begin(Box::new(BufWriter::new(file)), &header, &names);
    let named = policies.pop().expect("there is one");
    let policy = Box::new(Recorder::new(named.policy, log.clone()));
    let policies = vec![Named {
        name: named.name,
        policy,
    }];
    Ok((policies, Some(log)))
}

fn end_log(args: &SimulateArgs, log: Option<&Log>) -> Result<(), SimulateError> {
    match (log, &args.record) {
        (Some(log), Some(path)) => log.end().map_err(file_error(path)),
        _ => Ok(()),
    }
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> SimulateError {
    let path = path.display().to_string();
    move |source| SimulateError::File { path, source }
}

fn replay_log(args: &SimulateArgs) -> Result<String, SimulateError> {
    let ([path], [] | [_]) = (args.traces.as_slice(), args.policies.as_slice()) else {
        return Err(SimulateError::Usage(
            "--replay is for one log and one policy",
        ));
    };
    let replay = replay(
        &mut read::open(path)?,
        args.policies.first().map(String::as_str),
    )?;
    let Replay {
        policy,
        events,
        actions,
        differences,
        first,
    } = replay;
    match first {
        None => Ok(format!(
            "{policy}: {events} events, {actions} actions, all as recorded\n"
        )),
        Some(first) => Err(SimulateError::Differs(format!(
            "{policy}: {differences} of {events} events led to other actions; first at {} ns, after {:?}: the log has \
             {:?}, ordered was {:?}",
            first.at.0, first.event, first.recorded, first.ordered
        ))),
    }
}

fn profile(args: &SimulateArgs) -> Result<Profile, SimulateError> {
    let Some(path) = &args.profile else {
        return Ok(Profile::default());
    };
    let text = std::fs::read_to_string(path).map_err(file_error(path))?;
    Profile::read(&text).map_err(|source| SimulateError::Profile {
        path: path.display().to_string(),
        source,
    })
}

fn write_by_function(args: &SimulateArgs, report: &Report) -> Result<(), SimulateError> {
    let Some(path) = &args.by_function else {
        return Ok(());
    };
    let write = || -> std::io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        by_function(report, &mut out)?;
        out.flush()
    };
    write().map_err(file_error(path))
}

fn class(text: &str) -> Result<ClassName, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "not one of python, node, java, native".to_owned())
}
