//! Starts, from the order to the instance that is idle or serves.

use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Instant, StartKind};
use pilotlight_policy::action::Source;
use pilotlight_policy::event::{Idle, Measured, Shortage, Started, Starting};
use pilotlight_policy::{Bytes, Event, NodeId, Ticket, VersionId};

use super::instances::Instance;
use super::seat::{Holding, Part, Size};
use super::{Timer, World};
use crate::draw::Stream;

impl World<'_> {
    /// Begins a start, if there is room for it.
    pub(super) fn start(
        &mut self,
        version: VersionId,
        node: NodeId,
        ticket: Option<Ticket>,
        forecast: Option<Source>,
    ) -> Option<InstanceId> {
        self.seats.at_mut(version, node).last_used = self.now.0;
        let kind = self.best_kind(version, node);
        let need = self.seats.size(version, node, kind, self.facts).takes;
        // Nothing goes for what nobody waits for, as on a node.
        let fits = match ticket {
            Some(_) => self.make_room(version, node, need),
            None => self.seats.shortage(version, node, need, self.facts).0 == 0,
        };
        if !fits {
            return None;
        }
        // Pressure may have taken what the start was to come from.
        let kind = self.best_kind(version, node);
        let took = self.start_takes(version, kind);
        let weighs = self.seats.size(version, node, kind, self.facts).weighs;
        let part = if self.is_instant() {
            Part::Idle
        } else {
            Part::Starting
        };
        let id = self.instances.add(Instance {
            version,
            node,
            kind,
            part,
            ticket,
            began: self.now,
            took,
            forecast,
            weighs,
        });
        self.change_seat(version, node, |seat| {
            seat.add(kind, part);
            if kind == StartKind::Spare {
                seat.spare = Holding::None;
            }
            if part == Part::Idle {
                seat.idle.push(id);
            }
        });
        // What a version has lifted higher, it holds no longer below.
        self.let_go_of_zygote(version, node);
        self.queue.push_back(Event::Starting(Starting {
            instance: id,
            version,
            node,
            ticket,
        }));
        if self.is_instant() {
            self.queue.push_back(started(id, kind, took));
            if ticket.is_none() {
                self.queue.extend(self.idle_events(id));
            }
        } else {
            self.after(Instant(self.now.0 + took), Timer::Ready(id));
        }
        if let Some(ticket) = ticket {
            self.waiting.started(ticket);
        }
        self.outcome.ahead += u64::from(ticket.is_none());
        self.missed(version, node, kind);
        if kind == StartKind::Spare && self.seats.at(version, node).wanted == Rung::Spare {
            self.make(version, node, Rung::Spare);
        }
        Some(id)
    }

    /// Begins a start for a request that waits, unless one is under way. It goes on waiting where there is no
    /// room, and is started once there is.
    pub(super) fn start_waiting(&mut self, ticket: Ticket, node: NodeId) {
        let Some(waiting) = self.waiting.get(ticket).filter(|it| !it.started) else {
            return;
        };
        if !self.seats.exists(waiting.version, node) {
            self.tally.ignored += 1;
        } else if self
            .start(waiting.version, node, Some(ticket), None)
            .is_none()
        {
            self.waiting.stuck(ticket, node);
        }
    }

    /// Tries again what found no room. On each node the oldest comes first, and keeps the others of that node waiting:
    /// what is large would never find room otherwise.
    pub(super) fn retry(&mut self) {
        for node in self.waiting.stuck_nodes() {
            self.retry_on(node);
        }
        self.make_missed();
    }

    fn retry_on(&mut self, node: NodeId) {
        while let Some(ticket) = self.waiting.next_stuck(node) {
            let Some(waiting) = self.waiting.get(ticket).filter(|it| !it.started) else {
                self.waiting.pop_stuck(node);
                continue;
            };
            if self
                .start(waiting.version, node, Some(ticket), None)
                .is_none()
            {
                return;
            }
            self.waiting.pop_stuck(node);
            self.tell_queued();
        }
    }

    /// A start is over.
    pub(super) fn ready(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        instance.part = Part::Idle;
        let instance = *instance;
        self.change_seat(instance.version, instance.node, |seat| {
            seat.remove(instance.kind, Part::Starting);
            seat.add(instance.kind, Part::Idle);
            seat.idle.push(id);
        });
        self.tell(started(id, instance.kind, instance.took));
        // What waits is served at once; the request that it was made for before all others.
        if !self.hand_over(id, instance.ticket) {
            // Whom it was made for has been served otherwise: who comes next finds it idle, and waits for nothing.
            if let Some(instance) = self.instances.get_mut(id) {
                instance.ticket = None;
            }
            self.tell_idle(id);
        }
    }

    /// An instance has nothing to do: what its end would give back, and what it weighs where that is something else.
    /// Both change with a template that has come or gone since it started.
    pub(super) fn tell_idle(&mut self, id: InstanceId) {
        for event in self.idle_events(id) {
            self.tell(event);
        }
    }

    fn idle_events(&self, instance: InstanceId) -> impl Iterator<Item = Event> + use<> {
        let found = self.instances.get(instance);
        let size = found.map(|it| self.seats.size(it.version, it.node, it.kind, self.facts));
        let idle = size.map(|Size { takes: memory, .. }| Event::Idle(Idle { instance, memory }));
        let measured = size.filter(|size| size.takes != size.weighs);
        let measured = measured
            .map(|Size { weighs: memory, .. }| Event::Measured(Measured { instance, memory }));
        idle.into_iter().chain(measured)
    }

    /// The cheapest start that the version has there.
    pub(super) fn best_kind(&self, version: VersionId, node: NodeId) -> StartKind {
        let seat = self.seats.at(version, node);
        let class = self.facts.of(version).class;
        match (seat.spare, seat.template) {
            (Holding::There, _) => StartKind::Spare,
            (_, Holding::There) => StartKind::Forked,
            _ if self.options.zygotes || self.zygotes.is_there(node, class) => StartKind::Zygote,
            _ => StartKind::Booted,
        }
    }

    /// What a start takes, in nanoseconds, user init included. The same for all policies that make such a
    /// start at that moment.
    pub(super) fn start_takes(&self, version: VersionId, kind: StartKind) -> u64 {
        let share = self
            .draw
            .unit(Stream::Start, u64::from(version.0), self.now.0);
        self.facts.start_ns(version, kind, share)
    }

    /// Asks the policy for room where there is too little. False where it is still missing.
    fn make_room(&mut self, version: VersionId, node: NodeId, need: Bytes) -> bool {
        let missing = self.seats.shortage(version, node, need, self.facts);
        if missing.0 == 0 {
            return true;
        }
        self.tally.pressures += 1;
        let shortage = Shortage {
            memory: missing,
            instances: 0,
        };
        self.tell(Event::Pressure {
            node,
            shortage,
            template: None,
        });
        let missing = self.seats.shortage(version, node, need, self.facts);
        self.give_up(node, missing, Duration::ZERO);
        self.seats.shortage(version, node, need, self.facts).0 == 0
    }
}

fn started(instance: InstanceId, kind: StartKind, took: u64) -> Event {
    Event::Started(Started {
        instance,
        kind,
        took: Duration::from_nanos(took),
    })
}
