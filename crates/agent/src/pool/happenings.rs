//! What happens in the pool, in the policy's terms: the one place where events for it are made.
//!
//! Out of its hands are provisioned instances and zygotes, whose memory it is told to be no part of the node's,
//! and what is left of a version that has been retired.

pub(super) mod versions;

use std::sync::Arc;

use pilotlight_model::function::FunctionSpec;
use pilotlight_model::ids::InstanceId;
use pilotlight_model::node::Declaration;
use pilotlight_model::start::{Instant, StartKind};
use pilotlight_policy::event::{
    self, Announced, Arrived, Calls, Held, Idle, Measured, Shortage, Started, Starting, Waits,
};
use pilotlight_policy::{Bytes, Event, NodeId, VersionId};

use super::members::Told;
use super::orders::Ticket;
use super::room::Room;
use super::state::State;
use super::traces::Called;

/// A node decides for itself alone.
pub(super) const NODE: NodeId = NodeId(0);

impl State {
    fn tell(&mut self, event: Event) {
        self.mind.hear(self.now, event);
    }

    // ---- requests ----

    /// A request for that version has come, with that trace header; `called`, where it is known who made it.
    pub(super) fn tell_arrived(
        &mut self,
        version: Option<VersionId>,
        trace: &str,
        called: Option<Called<'_>>,
    ) {
        let Some(version) = version else {
            return;
        };
        if let Some(numbered) = self.mind.numbers.at_mut(version) {
            numbered.asked_for();
        }
        let traced = self.traces.arrived(self.now, trace, version);
        let cause = match called {
            Some(called) => called.cause(&self.mind.numbers),
            None => traced,
        };
        self.tell(Event::Arrived(Arrived {
            version,
            requests: 1,
            cause,
        }));
    }

    /// A request has begun to wait. Where the policy has no say, it may have its start.
    pub(super) fn tell_waits(&mut self, ticket: Ticket) {
        let Some(waiting) = self.waiting.get_mut(&ticket) else {
            return;
        };
        let version = self.mind.numbers.of(&waiting.spec.key);
        match version.filter(|_| waiting.cold.is_none()) {
            Some(version) => {
                waiting.told = true;
                let ticket = pilotlight_policy::Ticket(ticket.0);
                self.tell(Event::Waits(Waits { ticket, version }));
            }
            None => waiting.permitted = true,
        }
    }

    /// A request waits no more.
    pub(super) fn tell_left(&mut self, ticket: Ticket) {
        let waiting = self.waiting.get_mut(&ticket);
        if waiting.is_some_and(|waiting| std::mem::take(&mut waiting.told)) {
            self.tell(Event::Left(pilotlight_policy::Ticket(ticket.0)));
        }
    }

    /// So many requests for that version may come then, or, with none, will not.
    pub(super) fn tell_announced(&mut self, spec: &Arc<FunctionSpec>, requests: u32, at: Instant) {
        let Some(version) = self.number(spec) else {
            return;
        };
        if requests == 0 {
            self.ahead.take_back(version, at);
        }
        self.tell(Event::Announced(Announced {
            version,
            requests,
            at: at.max(self.now),
        }));
    }

    /// A chain was declared, or is no more.
    pub(super) fn tell_calls(&mut self, declared: &Declaration) {
        let caller = self.number(&declared.caller);
        if let (Some(caller), Some(callee)) = (caller, self.number(&declared.callee)) {
            self.tell(Event::Calls(Calls {
                caller,
                callee,
                part: declared.part as f32,
                after: declared.after,
            }));
        }
    }

    // ---- instances ----

    /// A start has begun, for that request if for any.
    pub(super) fn tell_starting(&mut self, id: InstanceId, ticket: Option<Ticket>) {
        self.introduce(id, ticket);
    }

    /// Whether the policy knows of an instance: it hears of it if it does not, and is to.
    fn introduce(&mut self, id: InstanceId, ticket: Option<Ticket>) -> bool {
        let Some(member) = self.members.get_mut(&id) else {
            return false;
        };
        let Some(version) = member.number else {
            return false;
        };
        if member.told == Told::Nothing {
            self.set_told(id, Told::Starting);
            self.tell(Event::Starting(Starting {
                instance: id,
                version,
                node: NODE,
                ticket: ticket.map(|ticket| pilotlight_policy::Ticket(ticket.0)),
            }));
        }
        true
    }

    /// A start is over.
    pub(super) fn tell_started(&mut self, id: InstanceId, kind: StartKind) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let (Some(version), Told::Starting) = (member.number, member.told) else {
            return;
        };
        // A spare was ready before anyone asked for it.
        let took = match kind {
            StartKind::Spare => std::time::Duration::ZERO,
            _ => self.now.since(member.since),
        };
        self.learn_start(version, kind, took);
        self.tell(Event::Started(Started {
            instance: id,
            kind,
            took,
        }));
    }

    /// An instance has nothing to do, unless the policy knows that already.
    pub(super) fn tell_idle(&mut self, id: InstanceId) {
        let told = self.members.get(&id).map(|member| member.told);
        if told != Some(Told::Idle) {
            self.tell_idle_from_now(id);
        }
    }

    /// An instance's time begins, or begins anew. What its reclamation gives back is the room that it has: what it may
    /// use.
    pub(super) fn tell_idle_from_now(&mut self, id: InstanceId) {
        if !self.introduce(id, None) {
            return;
        }
        self.set_told(id, Told::Idle);
        if let Some(member) = self.members.get(&id) {
            let memory = Bytes::mib(member.memory_mb);
            self.tell(Event::Idle(Idle {
                instance: id,
                memory,
            }));
        }
    }

    /// An idle instance takes so much.
    pub(super) fn tell_weight(&mut self, id: InstanceId, memory: Bytes) {
        self.tell(Event::Measured(Measured {
            instance: id,
            memory,
        }));
    }

    /// An instance is given a request, or is taken for something else.
    pub(super) fn tell_busy(&mut self, id: InstanceId) {
        if self.introduce(id, None) {
            self.set_told(id, Told::Busy);
            self.tell(Event::Busy(id));
        }
    }

    /// An instance is no more, or is told to end.
    pub(super) fn tell_gone(&mut self, id: InstanceId) {
        if self.set_told(id, Told::Nothing) != Told::Nothing {
            self.tell(Event::Gone(id));
        }
    }

    /// Notes what the policy is told of an instance. Returns what it was told before.
    pub(super) fn set_told(&mut self, id: InstanceId, told: Told) -> Told {
        let Some(member) = self.members.get_mut(&id) else {
            return Told::Nothing;
        };
        let before = std::mem::replace(&mut member.told, told);
        if let Some(numbered) = member.number.and_then(|it| self.mind.numbers.at_mut(it)) {
            numbered.count(before, told);
        }
        before
    }

    // ---- what is kept for starts to come ----

    /// Something is kept from now on.
    pub(super) fn tell_held(&mut self, id: InstanceId) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let (Some(version), Some(rung)) = (member.number, member.rung) else {
            return;
        };
        let (memory, took) = (Bytes::mib(member.memory_mb), self.now.since(member.since));
        let numbered = self.mind.numbers.at_mut(version);
        let Some(held) = numbered.and_then(|it| it.held(rung)) else {
            return;
        };
        *held = Some(id);
        self.tell(Event::Held(Held {
            version,
            node: NODE,
            rung,
            memory,
            took,
        }));
    }

    /// Something is kept no more. What has taken its place is.
    pub(super) fn tell_lost(&mut self, id: InstanceId) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let (Some(version), Some(rung)) = (member.number, member.rung) else {
            return;
        };
        let numbered = self.mind.numbers.at_mut(version);
        let held = numbered.and_then(|it| it.held(rung));
        if held.is_some_and(|held| held.take_if(|held| *held == id).is_some()) {
            self.tell(Event::Lost {
                version,
                node: NODE,
                rung,
            });
        }
    }

    // ---- the node ----

    /// What the node has for what is in the policy's hands, if that has changed.
    pub(super) fn tell_room(&mut self) {
        if self.mind.apart_mb == Some(self.apart_mb) {
            return;
        }
        self.mind.apart_mb = Some(self.apart_mb);
        let memory_mb = self.capacity_mb.saturating_sub(self.apart_mb);
        self.tell(Event::Node(event::Room {
            node: NODE,
            memory: Bytes::mib(memory_mb),
            instances: self.limits.node_instances.max(1),
        }));
    }

    /// Room is needed that the node lacks, and that idle instances may have: for a start, or for a template of that
    /// version.
    pub(super) fn tell_pressure(&mut self, lacks: Room, template: Option<VersionId>) {
        let shortage = Shortage {
            memory: Bytes::mib(lacks.memory_mb),
            instances: u32::try_from(lacks.instances).unwrap_or(u32::MAX),
        };
        self.tell(Event::Pressure {
            node: NODE,
            shortage,
            template,
        });
    }
}
