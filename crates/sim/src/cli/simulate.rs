//! From the options to the report.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pilotlight_policy::eventlog::Header;
use pilotlight_policy::policies::SpecError;

use super::{Output, SimulateArgs};
use crate::eventlog::{Log, Recorder, Replay, ReplayError, replay};
use crate::profile::{Profile, ProfileError};
use crate::read::{self, ReadError};
use crate::report::{Report, by_edge, by_function};
use crate::run::{Named, Progress, RunError, by_names, run};
use crate::trace::Trace;

/// Least time between two lines of progress of a policy.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

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
        usize::from(args.threads),
        &progress,
    )?;
    end_log(args, log.as_ref())?;
    for run in &report.runs {
        say(&format!("{}: {:.1} s", run.policy, run.took.as_secs_f64()));
    }
    write_rows(args.by_function.as_ref(), &report, by_function)?;
    write_rows(args.by_edge.as_ref(), &report, by_edge)?;
    Ok(match args.output {
        Output::Table => report.table(),
        Output::Json => report.json(),
        Output::Csv => report.csv(),
        Output::Html => report.html(),
    })
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
    let ([] | [_]) = args.policies.as_slice() else {
        return Err(SimulateError::Usage("--replay is for one policy"));
    };
    let inputs: Result<_, _> = args.traces.iter().map(|path| read::open(path)).collect();
    let replay = replay(inputs?, args.policies.first().map(String::as_str))?;
    let Replay {
        policy,
        events,
        actions,
        differences,
        first,
        words,
        from_the_middle,
    } = replay;
    let Some(first) = first else {
        return Ok(format!(
            "{policy}: {events} events, {actions} actions, all as recorded\n"
        ));
    };
    let middle = match from_the_middle {
        true => {
            ". The log goes on with another, which the policy that wrote it remembered: give that one too"
        }
        false => "",
    };
    Err(SimulateError::Differs(format!(
        "{policy}: {differences} of {events} events led to other actions{middle}. The first, {} s on the log's clock: \
         {}. The log has: {}. Ordered was: {}",
        first.at.0 as f64 / 1e9,
        words.event(&first.event),
        words.actions(&first.recorded),
        words.actions(&first.ordered),
    )))
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

/// What can also be written, besides the report.
type Rows = fn(&Report, &mut dyn Write) -> std::io::Result<()>;

fn write_rows(path: Option<&PathBuf>, report: &Report, rows: Rows) -> Result<(), SimulateError> {
    let Some(path) = path else {
        return Ok(());
    };
    let write = || -> std::io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        rows(report, &mut out)?;
        out.flush()
    };
    write().map_err(file_error(path))
}
