//! The same trace under several policies, side by side.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use pilotlight_policy::Policy;
use pilotlight_policy::policies::{self, SpecError};

use crate::engine::{self, facts::Facts};
use crate::options::{Model, Options};
use crate::outcome::Outcome;
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

/// A policy that is run, and what it is called in reports.
pub struct Named {
    /// Its name with its parameters.
    pub name: String,
    /// The policy, which has seen nothing yet.
    pub policy: Box<dyn Policy>,
}

/// Policies by their names.
pub fn by_names(names: &[String]) -> Result<Vec<Named>, SpecError> {
    let named = |name: &String| {
        Ok(Named {
            name: name.clone(),
            policy: policies::by_name(name)?,
        })
    };
    names.iter().map(named).collect()
}

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A policy cannot be made.
    #[error("policy")]
    Policy(#[from] SpecError),
    /// The model and the trace do not go together.
    #[error("{0}")]
    Model(String),
}

/// Runs a trace under each of the policies, as many at the same time as there are threads, and once more
/// under the fixed keep-alive that wasted memory is related to, unless it is among them.
pub fn run(
    trace: &Trace,
    profile: &Profile,
    options: &Options,
    policies: Vec<Named>,
    threads: usize,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<Report, RunError> {
    check(trace, options)?;
    let asked = policies.len();
    let reference = format!("fixed:{}m", options.reference.as_secs() / 60);
    let at = policies.iter().position(|it| it.name == reference);
    let mut left = policies;
    if at.is_none() {
        left.extend(by_names(&[reference])?);
    }
    let mut left: Vec<(usize, Named)> = left.into_iter().enumerate().collect();
    let threads = threads.clamp(1, left.len());
    // From the end, so that the first is taken first.
    left.reverse();
    let left = Mutex::new(left);
    let done = Mutex::new(BTreeMap::new());
    let facts = Facts::new(trace, profile, options);
    let work = || {
        while let Some((number, policy)) = left.lock().expect("nobody panics with it").pop() {
            let run = one(trace, &facts, options, policy, progress);
            done.lock()
                .expect("nobody panics with it")
                .insert(number, run);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let runs = done
        .into_inner()
        .expect("nobody panics with it")
        .into_values()
        .collect();
    let reference = at.unwrap_or(asked);
    Ok(Report::new(trace, &facts, options, runs, asked, reference))
}

/// Runs a trace under one policy alone.
pub fn outcome(
    trace: &Trace,
    profile: &Profile,
    options: &Options,
    policy: Named,
) -> Result<Outcome, RunError> {
    check(trace, options)?;
    let facts = Facts::new(trace, profile, options);
    Ok(one(trace, &facts, options, policy, &|_| {}).outcome)
}

fn one(
    trace: &Trace,
    facts: &Facts,
    options: &Options,
    Named { name, policy }: Named,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Run {
    let begin = Instant::now();
    let of = trace.end - trace.begin;
    let mut outcome = engine::run(trace, facts, options, policy, &mut |minute| {
        let done = minute + 1 - trace.begin;
        progress(Progress {
            policy: &name,
            done,
            of,
        });
    });
    outcome.latency.resolve(facts.profile());
    Run {
        policy: name,
        outcome,
        took: begin.elapsed(),
    }
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
