//! The same trace under several policies, side by side.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::engine::{self, facts::Facts};
use crate::options::{Model, Options};
use crate::outcome::Outcome;
use crate::policies::{self, Fixed, UnknownPolicy};
use crate::profile::Profile;
use crate::report::{Report, Run};
use crate::trace::Trace;

/// How far a run has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The policy.
    pub policy: &'a str,
    /// Minutes of the trace that are over.
    pub done: u32,
    /// Minutes of the trace.
    pub of: u32,
}

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A policy cannot be made.
    #[error("policy")]
    Policy(#[from] UnknownPolicy),
    /// The model and the trace do not go together.
    #[error("{0}")]
    Model(String),
}

/// Runs a trace under each of the policies, as many at the same time as there are threads, and once more
/// under the fixed keep-alive that wasted memory is related to.
pub fn run(
    trace: &Trace,
    profile: &Profile,
    options: &Options,
    names: &[String],
    threads: usize,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<Report, RunError> {
    check(trace, options)?;
    for name in names {
        policies::by_name(name)?;
    }
    let facts = Facts::new(trace, profile, options);
    let reference = format!("fixed:{}s", options.reference.as_secs());
    let all: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .chain([&*reference])
        .collect();
    let next = AtomicUsize::new(0);
    let runs: Mutex<Vec<Option<(Outcome, Duration)>>> =
        Mutex::new(all.iter().map(|_| None).collect());
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(name) = all.get(number) else {
                return;
            };
            let one = one(trace, &facts, options, name, progress);
            runs.lock().expect("nobody panics with it")[number] = Some(one);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.clamp(1, all.len()) {
            scope.spawn(work);
        }
        work();
    });
    let runs = runs.into_inner().expect("nobody panics with it");
    let runs = all.iter().zip(runs).filter_map(|(name, run)| {
        let (outcome, took) = run?;
        Some(Run {
            policy: (*name).to_owned(),
            outcome,
            took,
        })
    });
    Ok(Report::new(trace, &facts, options, runs.collect()))
}

fn one(
    trace: &Trace,
    facts: &Facts,
    options: &Options,
    name: &str,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> (Outcome, Duration) {
    let begin = Instant::now();
    let policy =
        policies::by_name(name).unwrap_or_else(|_| Box::new(Fixed::new(options.reference)));
    let of = trace.end - trace.begin;
    let mut outcome = engine::run(trace, facts, options, policy, &mut |minute| {
        let done = minute + 1 - trace.begin;
        progress(Progress {
            policy: name,
            done,
            of,
        });
    });
    outcome.latency.resolve(facts.profile());
    (outcome, begin.elapsed())
}

fn check(trace: &Trace, options: &Options) -> Result<(), RunError> {
    if trace.end <= trace.begin {
        return Err(RunError::Model("the trace covers no time".to_owned()));
    }
    if options.model == Model::Single && options.cluster.nodes > 1 {
        let what = "the single model has one node; its memory may have a limit";
        return Err(RunError::Model(what.to_owned()));
    }
    Ok(())
}
