//! Our own event logs as a trace: the versions that were deployed and deleted, when their requests came, what caused
//! them, how long instances were busy with them, what was declared and announced, and what versions had of the ladder
//! without being told to. Requests that were never served count with a run time of nothing.

use std::collections::{HashMap, HashSet, VecDeque};

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::Instant;
use pilotlight_policy::event::{Announced, Arrived, Calls, Deployed, Held, Idle, Shift};
use pilotlight_policy::eventlog::{Header, Line};
use pilotlight_policy::{Action, Bytes, Event, VersionId};

use super::input::Lines;
use super::{Builder, ReadError};
use crate::eventlog::said;
use crate::options::Ladder;
use crate::profile::ClassName;
use crate::trace::{Caller, MAX_DAYS, MAX_HINTS, MAX_REQUESTS, MINUTES_PER_DAY, Request};

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

pub(super) fn read(
    lines: &mut Lines,
    header: &str,
    builder: &mut Builder,
) -> Result<(), ReadError> {
    let header = Header::read(header).map_err(|error| lines.wrong(said(&error)))?;
    let mut log = builder.log.take().unwrap_or_default();
    log.begin(header);
    let read = lines.each(
        |line| match Line::read(line).map_err(|error| said(&error))? {
            Line::Name(version, name) => {
                log.names.insert(version, name);
                Ok(())
            }
            Line::Event(at, event) => log.event(at, &event, builder),
            Line::Action(Action::Hold { version, .. }) => {
                log.ordered.insert(version);
                Ok(())
            }
            Line::Action(_) => Ok(()),
        },
    );
    builder.log = Some(log);
    read
}

/// When a log began, by which several are put in order: on the wall's clock, then on its own.
pub(super) fn began(header: &str) -> Option<(u64, u64)> {
    let header = Header::read(header).ok()?;
    Some((header.began_ms, header.began.0))
}

/// What is known from the logs read so far.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    header: Option<Header>,
    /// When the day began on which the first log did, in milliseconds since 1970.
    day_ms: u64,
    names: HashMap<VersionId, String>,
    functions: HashMap<VersionId, u32>,
    /// Functions that were deleted.
    deleted: HashSet<u32>,
    /// Versions that the policy has said where to hold.
    ordered: HashSet<VersionId>,
    /// Requests of each version that no instance has begun, by their place in the trace.
    unserved: HashMap<VersionId, VecDeque<usize>>,
    instances: HashMap<InstanceId, (VersionId, Option<(usize, Instant)>)>,
    /// The most memory that an instance of each function had.
    weighed: HashMap<u32, Bytes>,
}

impl EventLog {
    /// A log is read after another. Unless it goes on with that one, its numbers mean something else.
    fn begin(&mut self, header: Header) {
        let Some(before) = &self.header else {
            self.day_ms = header.began_ms - header.began_ms % DAY_MS;
            self.header = Some(header);
            return;
        };
        if header.repeats.is_none() || header.began < before.began {
            self.names.clear();
            self.functions.clear();
            self.ordered.clear();
            self.unserved.clear();
            self.instances.clear();
        }
        self.header = Some(header);
    }

    fn event(&mut self, at: Instant, event: &Event, builder: &mut Builder) -> Result<(), String> {
        match *event {
            Event::Deployed(deployed) => self.deployed(at, &deployed, builder),
            Event::Retired(version) => self.retired(at, version, builder),
            Event::Held(held) => {
                self.held(&held, builder);
                Ok(())
            }
            Event::Refused { version, .. } => {
                self.refused(version, builder);
                Ok(())
            }
            Event::Arrived(arrived) => self.arrived(at, &arrived, builder),
            Event::Calls(_) | Event::Shift(_) | Event::Announced(_) => {
                self.hint(at, *event, builder)
            }
            Event::Starting(starting) => {
                self.instances
                    .insert(starting.instance, (starting.version, None));
                Ok(())
            }
            Event::Busy(instance) => {
                if let Some((version, serves)) = self.instances.get_mut(&instance) {
                    let request = self.unserved.get_mut(version).and_then(VecDeque::pop_front);
                    *serves = request.map(|request| (request, at));
                }
                Ok(())
            }
            Event::Idle(idle) => {
                self.idle(at, &idle, builder);
                Ok(())
            }
            Event::Gone(instance) => {
                self.instances.remove(&instance);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What an instance served ends, and what it weighs is known: the most that any of its function has is what
    /// one weighs that shares nothing.
    fn idle(&mut self, at: Instant, idle: &Idle, builder: &mut Builder) {
        let Some((version, serves)) = self.instances.get_mut(&idle.instance) else {
            return;
        };
        if let Some((request, since)) = serves.take() {
            let ms = at.since(since).as_millis();
            builder.trace.requests[request].took_ms = u32::try_from(ms).unwrap_or(u32::MAX);
        }
        if let Some(function) = self.functions.get(version) {
            let known = &mut builder.trace.functions[*function as usize].memory;
            let most = self.weighed.entry(*function).or_insert(idle.memory);
            *most = idle.memory.max(*most);
            *known = Some(*most);
        }
    }

    /// What a version has before the policy has said anything about it, the node made by itself.
    fn held(&mut self, held: &Held, builder: &mut Builder) {
        let ladder = match held.rung {
            Rung::Template => Ladder::Template,
            Rung::Spare => Ladder::Spare,
            _ => return,
        };
        let function = self.functions.get(&held.version);
        if let Some(&function) = function.filter(|_| !self.ordered.contains(&held.version)) {
            let known = &mut builder.trace.functions[function as usize].ladder;
            *known = (*known).max(Some(ladder));
        }
    }

    /// A version that had no template up to then has none in the whole trace.
    fn refused(&mut self, version: VersionId, builder: &mut Builder) {
        if let Some(&function) = self.functions.get(&version) {
            let known = &mut builder.trace.functions[function as usize].ladder;
            known.get_or_insert(Ladder::Never);
        }
    }

    fn retired(
        &mut self,
        at: Instant,
        version: VersionId,
        builder: &mut Builder,
    ) -> Result<(), String> {
        self.unserved.remove(&version);
        self.ordered.remove(&version);
        let Some(function) = self.functions.remove(&version) else {
            return Ok(());
        };
        self.deleted.insert(function);
        let event = Event::Retired(VersionId(function));
        self.say(at, event, builder)
    }

    fn deployed(
        &mut self,
        at: Instant,
        deployed: &Deployed,
        builder: &mut Builder,
    ) -> Result<(), String> {
        let version = deployed.version;
        let name = self.names.get(&version);
        let name = name
            .cloned()
            .unwrap_or_else(|| format!("version {}", version.0));
        let function = builder.function(&name, None)?;
        let known = &mut builder.trace.functions[function as usize];
        known.memory.get_or_insert(deployed.memory);
        known.class = Some(ClassName::of(deployed.runtime));
        known.keep_alive = deployed.keep_alive;
        let weight = f64::from(deployed.weight);
        known.weight = if weight > 0.0 && weight.is_finite() {
            weight
        } else {
            1.0
        };
        self.functions.insert(version, function);
        if self.deleted.remove(&function) {
            let event = Event::Deployed(Deployed {
                version: VersionId(function),
                after: None,
                ..*deployed
            });
            self.say(at, event, builder)?;
        }
        Ok(())
    }

    fn arrived(
        &mut self,
        at: Instant,
        arrived: &Arrived,
        builder: &mut Builder,
    ) -> Result<(), String> {
        let version = arrived.version;
        let function = self.function(version)?;
        let at_ms = self.in_trace(at)?.0 / 1_000_000;
        let requests = arrived.requests as usize;
        let all = &mut builder.trace.requests;
        if all.len() + requests > MAX_REQUESTS {
            return Err(format!("more than {MAX_REQUESTS} requests"));
        }
        // A caller that has gone meanwhile is not known any more.
        let caller = arrived.cause.and_then(|cause| {
            Some(Caller {
                function: *self.functions.get(&cause.version)?,
                request: cause.request,
                after_ms: u32::try_from(cause.after.as_millis()).unwrap_or(u32::MAX),
            })
        });
        let request = Request {
            at_ms,
            function,
            took_ms: 0,
            caller,
        };
        let first = all.len();
        all.extend(std::iter::repeat_n(request, requests));
        self.unserved
            .entry(version)
            .or_default()
            .extend(first..first + requests);
        let minute = (at_ms / 60_000) as u32;
        builder.cover(minute, minute + 1);
        Ok(())
    }

    /// Keeps what was said besides, with times and versions as in the trace.
    fn hint(&mut self, at: Instant, event: Event, builder: &mut Builder) -> Result<(), String> {
        let event = match event {
            Event::Calls(calls) => Event::Calls(Calls {
                caller: VersionId(self.function(calls.caller)?),
                callee: VersionId(self.function(calls.callee)?),
                ..calls
            }),
            Event::Shift(shift) => Event::Shift(Shift {
                from: VersionId(self.function(shift.from)?),
                to: VersionId(self.function(shift.to)?),
                at: self.in_trace(shift.at)?,
                ..shift
            }),
            Event::Announced(announced) => Event::Announced(Announced {
                version: VersionId(self.function(announced.version)?),
                at: self.in_trace(announced.at)?,
                ..announced
            }),
            event => event,
        };
        self.say(at, event, builder)
    }

    fn say(&self, at: Instant, event: Event, builder: &mut Builder) -> Result<(), String> {
        if builder.trace.hints.len() == MAX_HINTS {
            return Err(format!(
                "more than {MAX_HINTS} deletions, declarations and announcements"
            ));
        }
        builder.trace.hints.push((self.in_trace(at)?, event));
        Ok(())
    }

    fn function(&self, version: VersionId) -> Result<u32, String> {
        let function = self.functions.get(&version).copied();
        function.ok_or_else(|| format!("version {} is not deployed", version.0))
    }

    /// A time of the log in nanoseconds since the beginning of the day on which the first log began.
    fn in_trace(&self, at: Instant) -> Result<Instant, String> {
        let header = self.header.as_ref().ok_or("no header")?;
        let since =
            at.0.checked_sub(header.began.0)
                .ok_or("a time before the log began")?;
        let began = header.began_ms.saturating_sub(self.day_ms);
        let time = began.saturating_mul(1_000_000).saturating_add(since);
        if time >= u64::from(MAX_DAYS * MINUTES_PER_DAY) * 60_000_000_000 {
            return Err(format!("more than {MAX_DAYS} days"));
        }
        Ok(Instant(time))
    }
}
