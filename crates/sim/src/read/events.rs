//! Our own event log as a trace: the versions that were deployed, when their requests came, and how long
//! instances were busy with them. Requests that were never served count with a run time of nothing.

use std::collections::{HashMap, VecDeque};

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::Instant;
use pilotlight_policy::event::Deployed;
use pilotlight_policy::eventlog::{Header, Line};
use pilotlight_policy::{Event, VersionId};

use super::input::Lines;
use super::{Builder, ReadError};
use crate::eventlog::said;
use crate::trace::{MAX_DAYS, MINUTES_PER_DAY, Request};

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;
/// Requests of one trace at most.
const MAX_REQUESTS: usize = 1 << 26;

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
            Event::Arrived(arrived) => self.arrived(at, arrived.version, arrived.requests, builder),
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
                if let Some((_, serves)) = self.instances.get_mut(&idle.instance)
                    && let Some((request, since)) = serves.take()
                {
                    let ms = at.since(since).as_millis();
                    builder.trace.requests[request].took_ms = u32::try_from(ms).unwrap_or(u32::MAX);
                }
                Ok(())
            }
            Event::Gone(instance) => {
                self.instances.remove(&instance);
                Ok(())
            }
            _ => Ok(()),
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
        known.memory = Some(deployed.memory);
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
        version: VersionId,
        requests: u32,
        builder: &mut Builder,
    ) -> Result<(), String> {
        let Some(function) = self.functions.get(&version).copied() else {
            return Err(format!(
                "a request for version {}, which is not deployed",
                version.0
            ));
        };
        let since =
            at.0.checked_sub(self.header.began.0)
                .ok_or("an event before the log began")?;
        let at_ms = self.header.began_ms % DAY_MS + since / 1_000_000;
        if at_ms >= u64::from(MAX_DAYS) * DAY_MS {
            return Err(format!("more than {MAX_DAYS} days"));
        }
        let requests = requests as usize;
        let all = &mut builder.trace.requests;
        if all.len() + requests > MAX_REQUESTS {
            return Err(format!("more than {MAX_REQUESTS} requests"));
        }
        let first = all.len();
        all.extend(std::iter::repeat_n(
            Request {
                at_ms,
                function,
                took_ms: 0,
            },
            requests,
        ));
        self.unserved
            .entry(version)
            .or_default()
            .extend(first..first + requests);
        let minute = (at_ms / 60_000) as u32;
        debug_assert!(minute < MAX_DAYS * MINUTES_PER_DAY);
        builder.cover(minute, minute + 1);
        Ok(())
    }
}
