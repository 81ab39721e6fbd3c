//! Our own event log as a trace: the versions that were deployed, when their requests came, what caused them, how
//! long instances were busy with them, and what was declared and announced. Requests that were never served count with a run time of nothing.

use std::collections::{HashMap, VecDeque};

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::Instant;
use pilotlight_policy::event::{Announced, Arrived, Calls, Deployed, Idle, Shift};
use pilotlight_policy::eventlog::{Header, Line};
use pilotlight_policy::{Bytes, Event, VersionId};

use super::input::Lines;
use super::{Builder, ReadError};
use crate::eventlog::said;
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
    let mut log = EventLog {
        header,
        names: HashMap::new(),
        functions: HashMap::new(),
        unserved: HashMap::new(),
        instances: HashMap::new(),
        weighed: HashMap::new(),
    };
    lines.each(
        |line| match Line::read(line).map_err(|error| said(&error))? {
            Line::Name(version, name) => {
                log.names.insert(version, name);
                Ok(())
            }
            Line::Event(at, event) => log.event(at, &event, builder),
            Line::Action(_) => Ok(()),
        },
    )
}

struct EventLog {
    header: Header,
    names: HashMap<VersionId, String>,
    functions: HashMap<VersionId, u32>,
    /// Requests of each version that no instance has begun, by their place in the trace.
    unserved: HashMap<VersionId, VecDeque<usize>>,
    instances: HashMap<InstanceId, (VersionId, Option<(usize, Instant)>)>,
    /// The most memory that an instance of each function had.
    weighed: HashMap<u32, Bytes>,
}

impl EventLog {
    fn event(&mut self, at: Instant, event: &Event, builder: &mut Builder) -> Result<(), String> {
        match *event {
            Event::Deployed(deployed) => self.deployed(&deployed, builder),
            Event::Retired(version) => {
                self.functions.remove(&version);
                self.unserved.remove(&version);
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

    fn deployed(&mut self, deployed: &Deployed, builder: &mut Builder) -> Result<(), String> {
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
        if builder.trace.hints.len() == MAX_HINTS {
            return Err(format!(
                "more than {MAX_HINTS} declarations and announcements"
            ));
        }
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
        builder.trace.hints.push((self.in_trace(at)?, event));
        Ok(())
    }

    fn function(&self, version: VersionId) -> Result<u32, String> {
        let function = self.functions.get(&version).copied();
        function.ok_or_else(|| format!("version {} is not deployed", version.0))
    }

    /// A time of the log in nanoseconds since the beginning of its day.
    fn in_trace(&self, at: Instant) -> Result<Instant, String> {
        let since =
            at.0.checked_sub(self.header.began.0)
                .ok_or("a time before the log began")?;
        let time = (self.header.began_ms % DAY_MS * 1_000_000).saturating_add(since);
        if time >= u64::from(MAX_DAYS * MINUTES_PER_DAY) * 60_000_000_000 {
            return Err(format!("more than {MAX_DAYS} days"));
        }
        Ok(Instant(time))
    }
}
