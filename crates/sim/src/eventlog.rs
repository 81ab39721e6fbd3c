//! Event logs (`pilotlight_policy::eventlog`): recorded from a run, and replayed.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use pilotlight_model::start::Instant;
use pilotlight_policy::eventlog::{EventLogError, Header, Line};
use pilotlight_policy::policies::{SpecError, by_name};
use pilotlight_policy::{Action, Event, Policy, VersionId};

use crate::read::{Input, ReadError};

/// A policy that writes down what it is told and what it orders.
pub struct Recorder {
    policy: Box<dyn Policy>,
    log: Log,
}

/// Where a [`Recorder`] writes, and the first error that there was.
#[derive(Clone)]
pub struct Log {
    out: Arc<Mutex<Out>>,
}

/// What is written to, and what went wrong with it.
type Out = (Box<dyn Write + Send>, io::Result<()>);

impl Log {
    /// A log that begins with a header and the names of versions.
    pub fn begin(out: Box<dyn Write + Send>, header: &Header, names: &[String]) -> Self {
        let log = Self {
            out: Arc::new(Mutex::new((out, Ok(())))),
        };
        log.line(&header.line());
        for (version, name) in (0..).zip(names) {
            log.line(&Line::Name(VersionId(version), name.clone()).line());
        }
        log
    }

    fn line(&self, line: &str) {
        let mut guard = self.out.lock().expect("nobody panics with it");
        let (out, outcome) = &mut *guard;
        if outcome.is_ok() {
            *outcome = out
                .write_all(line.as_bytes())
                .and_then(|()| out.write_all(b"\n"));
        }
    }

    /// Ends the log: what went wrong with it first.
    pub fn end(&self) -> io::Result<()> {
        let mut guard = self.out.lock().expect("nobody panics with it");
        let (out, outcome) = &mut *guard;
        std::mem::replace(outcome, Ok(())).and_then(|()| out.flush())
    }
}

impl Recorder {
    /// Records a policy.
    pub fn new(policy: Box<dyn Policy>, log: Log) -> Self {
        Self { policy, log }
    }
}

impl Policy for Recorder {
    fn observe(&mut self, now: Instant, event: Event, actions: &mut Vec<Action>) {
        self.log.line(&Line::Event(now, event).line());
        let before = actions.len();
        self.policy.observe(now, event, actions);
        for action in &actions[before..] {
            self.log.line(&Line::Action(*action).line());
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        self.policy.wake_at()
    }
}

/// What a replay came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The policy that was run.
    pub policy: String,
    /// Events that it was told.
    pub events: u64,
    /// Actions that it ordered.
    pub actions: u64,
    /// Events after which it ordered something else than the log has.
    pub differences: u64,
    /// The first of them.
    pub first: Option<Difference>,
}

/// Where a policy ordered something else than the log has.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// When.
    pub at: Instant,
    /// What it was told.
    pub event: Event,
    /// What the log has.
    pub recorded: Vec<Action>,
    /// What it ordered.
    pub ordered: Vec<Action>,
}

/// Why a log cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read.
    #[error("event log")]
    Read(#[from] ReadError),
    /// Its policy, or the one that was asked for, cannot be made.
    #[error("policy")]
    Policy(#[from] SpecError),
}

/// Tells a policy what a log has, and compares what it orders. The log's own policy unless another is named.
pub fn replay(input: &mut Input, policy: Option<&str>) -> Result<Replay, ReplayError> {
    let header = input.next_line()?.unwrap_or_default().to_owned();
    let header = Header::read(&header).map_err(|error| input.wrong(said(&error)))?;
    let name = policy.unwrap_or(&header.policy).to_owned();
    let mut run = Run {
        policy: by_name(&name)?,
        replay: Replay {
            policy: name,
            events: 0,
            actions: 0,
            differences: 0,
            first: None,
        },
        last: None,
        ordered: Vec::new(),
        recorded: Vec::new(),
    };
    input.each(|line| {
        match Line::read(line).map_err(|error| said(&error))? {
            Line::Name(..) => {}
            Line::Event(at, event) => run.event(at, event)?,
            Line::Action(action) if run.last.is_some() => run.recorded.push(action),
            Line::Action(_) => return Err("an action before the first event".to_owned()),
        }
        Ok(())
    })?;
    run.compare();
    Ok(run.replay)
}

/// An error with its cause, in a line.
pub(crate) fn said(error: &EventLogError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

struct Run {
    policy: Box<dyn Policy>,
    replay: Replay,
    last: Option<(Instant, Event)>,
    ordered: Vec<Action>,
    recorded: Vec<Action>,
}

impl Run {
    fn event(&mut self, at: Instant, event: Event) -> Result<(), String> {
        if self.last.is_some_and(|(last, _)| at < last) {
            return Err("an event before the one before it".to_owned());
        }
        self.compare();
        self.last = Some((at, event));
        self.policy.observe(at, event, &mut self.ordered);
        self.replay.events += 1;
        self.replay.actions += self.ordered.len() as u64;
        Ok(())
    }

    fn compare(&mut self) {
        if let Some((at, event)) = self.last
            && self.ordered != self.recorded
        {
            self.replay.differences += 1;
            self.replay.first.get_or_insert_with(|| Difference {
                at,
                event,
                recorded: self.recorded.clone(),
                ordered: self.ordered.clone(),
            });
        }
        self.ordered.clear();
        self.recorded.clear();
    }
}
