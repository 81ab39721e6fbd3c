//! Event logs (`pilotlight_policy::eventlog`): recorded from a run, and replayed.

mod words;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use pilotlight_model::start::Instant;
use pilotlight_policy::eventlog::{EventLogError, Header, Line};
use pilotlight_policy::policies::{SpecError, by_name};
use pilotlight_policy::{Action, Event, Policy, VersionId};

use crate::read::{Input, ReadError};
pub use words::Words;

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
    /// Whose names are what, up to the first of them, for people.
    pub words: Words,
    /// The first log goes on with another, and the policy remembers what stood there.
    pub from_the_middle: bool,
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
    /// It is a log of its own.
    #[error(
        "the log of {policy} that began at {began_ms} ms does not go on with the one before it: replay it by itself"
    )]
    Apart {
        /// The policy that it says it is of.
        policy: String,
        /// When it began, in milliseconds since 1970.
        began_ms: u64,
    },
}

/// Tells a policy what logs have that go on with each other, and compares what it orders. The logs' own policy
/// unless another is named. They may be given in any order.
pub fn replay(inputs: Vec<Input>, policy: Option<&str>) -> Result<Replay, ReplayError> {
    let mut logs = Vec::new();
    for mut input in inputs {
        let line = input.next_line()?.unwrap_or_default().to_owned();
        let header = Header::read(&line).map_err(|error| input.wrong(said(&error)))?;
        logs.push((header, input));
    }
    logs.sort_by_key(|(header, _)| (header.began_ms, header.began));
    let Some((first, _)) = logs.first() else {
        return Err(ReplayError::Read(ReadError::Nothing));
    };
    let name = policy.unwrap_or(&first.policy).to_owned();
    let mut run = Run {
        policy: by_name(&name)?,
        replay: Replay {
            policy: name,
            events: 0,
            actions: 0,
            differences: 0,
            first: None,
            words: Words::default(),
            from_the_middle: first.repeats.is_some(),
        },
        last: None,
        ordered: Vec::new(),
        recorded: Vec::new(),
        words: Words::default(),
    };
    let logged = first.policy.clone();
    for (number, (header, mut input)) in logs.into_iter().enumerate() {
        let known = match header.repeats {
            _ if number == 0 => 0,
            Some(lines) if header.policy == logged && run.is_before(header.began) => lines,
            _ => {
                return Err(ReplayError::Apart {
                    policy: header.policy,
                    began_ms: header.began_ms,
                });
            }
        };
        run.log(&mut input, known)?;
    }
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
    words: Words,
}

impl Run {
    /// Reads what a log has, but for lines at its beginning that are known.
    fn log(&mut self, input: &mut Input, mut known: u32) -> Result<(), ReadError> {
        input.each(|line| {
            if known > 0 {
                known -= 1;
                return Ok(());
            }
            match Line::read(line).map_err(|error| said(&error))? {
                Line::Name(version, name) => self.words.name(version, name),
                Line::Event(at, event) => self.event(at, event)?,
                Line::Action(action) if self.last.is_some() => self.recorded.push(action),
                Line::Action(_) => return Err("an action before the first event".to_owned()),
            }
            Ok(())
        })
    }

    /// Whether nothing came after that time.
    fn is_before(&self, began: Instant) -> bool {
        self.last.is_none_or(|(last, _)| last <= began)
    }

    fn event(&mut self, at: Instant, event: Event) -> Result<(), String> {
        if self.last.is_some_and(|(last, _)| at < last) {
            return Err("an event before the one before it".to_owned());
        }
        self.compare();
        self.words.hear(&event);
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
            if self.replay.first.is_none() {
                self.replay.words = self.words.clone();
            }
            self.replay.first.get_or_insert_with(|| Difference {
                at,
                event,
                recorded: self.recorded.clone(),
                ordered: self.ordered.clone(),
            });
        }
        self.words.obey(&self.recorded);
        self.ordered.clear();
        self.recorded.clear();
    }
}
