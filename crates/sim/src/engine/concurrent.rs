//! The model of a platform: requests come within their minute, handlers take their time, an instance serves
//! one request at a time, starts take what the profile says, and nodes have limits.
//!
//! Of a function with more requests in a minute than [`Options::each_up_to`](crate::Options::each_up_to),
//! not each is followed, but the crew of instances that they need ([`super::crews`]).

use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::{Instant, StartKind};
use pilotlight_policy::event::{Arrived, Cause, Waits};
use pilotlight_policy::{Event, Ticket, VersionId};

use super::arrivals::{Arrival, spread};
use super::instances::Instance;
use super::seat::Part;
use super::waiting::{Runs, Waiting};
use super::{MINUTE, Timer, World};
use crate::trace::Minutes;

/// All requests of the trace.
pub(super) fn run(world: &mut World<'_>, progress: &mut dyn FnMut(u32)) {
    let trace = world.trace;
    let by_minute: &[_] = if trace.requests.is_empty() {
        &trace.counts
    } else {
        &[]
    };
    let mut minutes = Minutes::new(by_minute, trace.begin, trace.end);
    let mut exact = trace.requests.iter().copied().peekable();
    let (mut cells, mut requests) = (Vec::new(), Vec::new());
    for minute in trace.begin..trace.end {
        let begin = u64::from(minute) * MINUTE;
        world.advance(Instant(begin));
        minutes.take(minute, &mut cells);
        requests.clear();
        for cell in &cells {
            if cell.requests > world.options.each_up_to {
                world.crew(VersionId(cell.function), cell.requests);
            } else {
                world.dismiss(VersionId(cell.function));
                let version = VersionId(cell.function);
                let durations = &world.facts.of(version).durations;
                let how = world.options.arrivals;
                spread(world.draw, how, durations, *cell, begin, &mut requests);
            }
        }
        while let Some(request) = exact.next_if(|it| it.at_ms * 1_000_000 < begin + MINUTE) {
            requests.push(Arrival {
                at: request.at_ms * 1_000_000,
                version: request.function,
                runs: u64::from(request.took_ms) * 1_000_000,
                caller: request.caller,
            });
        }
        requests.sort_unstable();
        for request in &requests {
            world.advance(Instant(request.at));
            world.request(request);
        }
        progress(minute);
    }
}

impl World<'_> {
    /// A request comes.
    fn request(&mut self, request: &Arrival) {
        let (version, runs) = (VersionId(request.version), request.runs);
        let cause = request.caller.map(|caller| Cause {
            version: VersionId(caller.function),
            request: caller.request,
            after: Duration::from_millis(u64::from(caller.after_ms)),
        });
        self.arrival(version, 1, cause);
        match self.find_idle(version) {
            Some(id) => self.occupy(id, Runs::For(runs), None),
            None => {
                self.wait(version, Runs::For(runs));
            }
        }
    }

    /// Tells of requests that have come.
    pub(super) fn arrival(&mut self, version: VersionId, requests: u32, cause: Option<Cause>) {
        self.deploy(version);
        let found = self
            .find_idle(version)
            .and_then(|id| self.instances.get(id));
        let needed = found.is_none_or(|instance| instance.forecast.is_some());
        self.forecasts.arrived(self.now, version, needed);
        self.expected(version);
        self.tell(Event::Arrived(Arrived {
            version,
            requests,
            cause,
        }));
    }

    /// A request finds no idle instance.
    pub(super) fn wait(&mut self, version: VersionId, runs: Runs) -> Ticket {
        let ticket = self.waiting.push(version, self.now, runs);
        self.tell(Event::Waits(Waits { ticket, version }));
        ticket
    }

    /// The idle instance that serves next: the one used last, on the first node that has one.
    pub(super) fn find_idle(&self, version: VersionId) -> Option<InstanceId> {
        let mut nodes = self.seats.nodes();
        nodes.find_map(|node| self.seats.at(version, node).idle.last().copied())
    }

    /// An idle instance takes a request, one that waited or one that just came.
    pub(super) fn occupy(&mut self, id: InstanceId, runs: Runs, waited: Option<(Ticket, Waiting)>) {
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        // The first request of an instance that was made for one pays its start.
        let made_for_one = instance.ticket.take().is_some();
        let kind = if made_for_one {
            instance.kind
        } else {
            StartKind::Warm
        };
        let forecast = instance.forecast.take();
        instance.part = Part::Busy;
        let instance = *instance;
        self.forecasts.unused(
            forecast,
            instance.version,
            instance.began,
            self.now,
            instance.weighs,
        );
        let now = self.now.0;
        self.change_seat(instance.version, instance.node, |seat| {
            seat.last_used = now;
            seat.remove(instance.kind, Part::Idle);
            seat.add(instance.kind, Part::Busy);
            if let Some(place) = seat.idle.iter().rposition(|it| *it == id) {
                seat.idle.remove(place);
            }
        });
        self.count(&instance, kind, waited.map(|(_, waiting)| waiting.since));
        match runs {
            Runs::For(runs) => self.after(Instant(self.now.0 + runs), Timer::Done(id)),
            Runs::Crew => self.crews.join(instance.version, id),
        }
        // First that it is busy: what a policy does about one that waits no more must not be to let go of it.
        self.tell(Event::Busy(id));
        if let Some((ticket, _)) = waited {
            self.tell(Event::Left(ticket));
        }
    }

    /// Counts a request with what it waited: its start, or until an instance was idle and a warm start then.
    fn count(&mut self, instance: &Instance, kind: StartKind, since: Option<Instant>) {
        let fact = self.facts.of(instance.version);
        self.outcome.served(instance.version, 1, kind);
        let waited = since.map_or(0, |since| self.now.0 - since.0);
        match (kind, waited) {
            (StartKind::Warm, 0) => self.outcome.latency.warm(fact.class, fact.weight),
            (StartKind::Warm, waited) => {
                let warm = self.start_takes(instance.version, StartKind::Warm);
                self.outcome.latency.add(waited + warm, fact.weight);
            }
            (_, waited) => self
                .outcome
                .latency
                .add(waited.max(instance.took), fact.weight),
        }
    }

    /// An idle instance serves what waits: the request that it was made for, or the oldest of its version.
    /// False where none does.
    pub(super) fn hand_over(&mut self, id: InstanceId, preferred: Option<Ticket>) -> bool {
        let Some(instance) = self.instances.get(id).filter(|it| it.part == Part::Idle) else {
            return false;
        };
        let Some((ticket, waiting)) = self.waiting.take(instance.version, preferred) else {
            return false;
        };
        self.occupy(id, waiting.runs, Some((ticket, waiting)));
        true
    }

    /// A handler is done: the instance is idle, and serves what waits unless the policy lets go of it.
    pub(super) fn done(&mut self, id: InstanceId) {
        self.rest(id);
        if self.hand_over(id, None) {
            return;
        }
        // Of a function that has been deleted meanwhile, nothing stays.
        if let Some(instance) = self.instances.get(id)
            && !self.deployed[instance.version.0 as usize]
        {
            self.end(id);
            self.tell_queued();
        }
    }

    /// A busy instance becomes idle.
    pub(super) fn rest(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        instance.part = Part::Idle;
        let instance = *instance;
        self.change_seat(instance.version, instance.node, |seat| {
            seat.remove(instance.kind, Part::Busy);
            seat.add(instance.kind, Part::Idle);
            seat.idle.push(id);
        });
        self.tell_idle(id);
    }
}
