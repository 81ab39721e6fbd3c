//! What is kept for starts to come: spares, templates and zygotes, with the room that they take.

use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Cold, StartKind};
use pilotlight_policy::VersionId;

use super::effects::Effects;
use super::members::{Member, MemberPhase, Occupant};
use super::orders::{Purpose, Ticket};
use super::room::Room;
use super::state::State;
use crate::instance::Instance;

/// Memory that an empty sandbox costs the kernel (name space, control groups, tables), beside what its
/// process has for itself.
pub(super) const SANDBOX_MB: u64 = 1;

/// A start off the path that waits for its turn.
pub(super) struct Background {
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) purpose: Purpose,
}

impl Background {
    /// The room that it takes.
    pub(super) fn need(&self) -> Room {
        Room::of(self.purpose.rung(), self.purpose.memory_mb(&self.spec))
    }
}

/// What something that is kept costs and saves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Worth {
    /// Memory of its own.
    pub(crate) bytes: u64,
    /// Time that a start is spared by it.
    pub(crate) saves: Duration,
}

impl Worth {
    fn memory_mb(self) -> u64 {
        self.bytes.div_ceil(1 << 20) + SANDBOX_MB
    }
}

impl State {
    /// Takes an order in, unless it makes no sense any more.
    pub(super) fn order(&mut self, order: Background, effects: &mut Effects) {
        let outdated = self.is_retired(&order.spec) || !self.is_newest(&order.spec);
        if self.draining
            || outdated
            || self.stands_below(&order)
            || u64::from(order.spec.memory_mb) > self.capacity_mb
        {
            effects.dropped.push(order);
        } else {
            self.background.push_back(order);
        }
    }

    /// Whether the policy wants less of the version than that.
    pub(super) fn stands_below(&mut self, order: &Background) -> bool {
        let Some(number) = self.number(&order.spec) else {
            return false;
        };
        let rung = order.purpose.rung();
        rung.is_some_and(|rung| self.wants_less(number, rung))
    }

    /// Whether the policy wants less of a version than that rung.
    pub(super) fn wants_less(&self, number: VersionId, rung: Rung) -> bool {
        let stands = self.mind.numbers.at(number).and_then(|it| it.stands);
        stands.is_some_and(|stands| rung > stands)
    }

    /// Whether something that is to be kept would be of no use any more.
    pub(super) fn is_outdated(&self, instance: &Instance) -> bool {
        let member = self.members.get(&instance.id);
        member.is_some_and(|member| member.rung.is_some())
            && (self.draining || instance.is_retired() || !self.is_newest(&instance.spec))
    }

    /// Takes what is ready for a request, if there is room for it to run.
    pub(super) fn pop_ready(
        &mut self,
        key: &VersionKey,
        cold: Option<Cold>,
        effects: &mut Effects,
    ) -> Option<(Arc<Instance>, StartKind)> {
        let version = self.versions.get_mut(key)?;
        let about_to_be_idle = version.is_finishing();
        if cold.is_none() {
            if let Some(idle) = self.pop_idle(key) {
                self.note_warm(key);
                return Some((idle, StartKind::Warm));
            }
            if about_to_be_idle {
                return None;
            }
        }
        if !takes_spare(cold) || !self.has_room_for_spare(key) {
            return None;
        }
        let absence = self.absence(key, cold);
        let spare = self.pop_spare(key, None, effects)?;
        self.note_start(key, self.now, StartKind::Spare, absence);
        self.set_busy(spare.id);
        Some((spare, StartKind::Spare))
    }

    /// Whether the version's next start finds a spare.
    pub(super) fn is_cheap(&self, key: &VersionKey) -> bool {
        self.versions
            .get(key)
            .is_some_and(|version| !version.spares.is_empty())
    }

    /// Makes the version's spare an instance like any other, for that request if it waits. There is room.
    pub(super) fn pop_spare(
        &mut self,
        key: &VersionKey,
        ticket: Option<Ticket>,
        effects: &mut Effects,
    ) -> Option<Arc<Instance>> {
        let now = self.now;
        let version = self.versions.get_mut(key)?;
        let spare = version.spares.pop()?;
        version.uses += 1;
        version.last_used = now;
        self.enlist(&spare, ticket);
        effects.spares_taken.push(Arc::clone(&spare.spec));
        Some(spare)
    }

    /// A spare begins to serve, with all the room that its function may use.
    fn enlist(&mut self, spare: &Arc<Instance>, ticket: Option<Ticket>) {
        self.tell_lost(spare.id);
        self.tell_starting(spare.id, ticket);
        self.adopt(spare.id);
        self.set_memory(spare.id, spare.spec.memory_mb.into());
        self.tell_started(spare.id, StartKind::Spare);
    }

    /// A fork is ready: a request of its version that waits gets it, or it is kept.
    pub(super) fn stock(&mut self, spare: &Arc<Instance>, worth: Worth, effects: &mut Effects) {
        let starting = |member: &Member| member.phase == MemberPhase::Starting;
        if !self.members.get(&spare.id).is_some_and(starting) {
            return;
        }
        let key = &spare.spec.key;
        let current = !spare.is_retired() && self.is_newest(&spare.spec);
        if self.draining || !current {
            self.stop(spare, effects);
            return;
        }
        self.hold(spare.id, Rung::Spare, worth);
        self.version(&spare.spec).spares.push(Arc::clone(spare));
        while self.has_room_for_spare(key)
            && let Some(ticket) = self.first_waiting(key)
        {
            self.grant_spare(ticket, key, effects);
        }
    }

    /// Gives the version's spare to a request that waits.
    pub(super) fn grant_spare(&mut self, ticket: Ticket, key: &VersionKey, effects: &mut Effects) {
        let Some(spare) = self.pop_spare(key, Some(ticket), effects) else {
            return;
        };
        let granted = self.take_waiting(ticket).is_some_and(|waiting| {
            self.set_busy(spare.id);
            self.grant(waiting, &spare, StartKind::Spare)
        });
        if !granted {
            // Its request has gone; it has served nobody, and waits for the next like any idle one.
            self.make_idle(&spare, effects);
        }
    }

    /// A process is kept from now on, and takes the room that it really needs.
    pub(super) fn hold(&mut self, id: InstanceId, rung: Rung, worth: Worth) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        debug_assert_eq!(member.rung, Some(rung), "known from its order on");
        member.bytes = worth.bytes;
        member.saves = worth.saves;
        if member.phase == MemberPhase::Starting {
            member.phase = MemberPhase::Held;
        }
        self.set_memory(id, worth.memory_mb());
        self.tell_held(id);
    }

    /// Room for a zygote, if there is any without taking it from others.
    pub(super) fn reserve(&mut self, memory_mb: u64, occupant: Occupant) -> Option<InstanceId> {
        if self.draining || self.taken.memory_mb + memory_mb > self.capacity_mb {
            return None;
        }
        let id = self.enroll(None, None, memory_mb, Some(Rung::Zygote));
        if let Some(member) = self.members.get_mut(&id) {
            member.occupant = Some(occupant);
        }
        Some(id)
    }

    pub(super) fn used(&mut self, id: InstanceId) {
        let now = self.now;
        if let Some(member) = self.members.get_mut(&id) {
            member.last_used = now;
        }
    }

    /// Ends what is kept and for which that holds, and forgets the orders alike.
    pub(super) fn end_held(&mut self, of: impl Fn(&FunctionSpec) -> bool, effects: &mut Effects) {
        let all = std::mem::take(&mut self.background);
        let (ended, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|order| of(&order.spec));
        self.background = kept.into();
        effects.dropped.extend(ended);
        let held = |member: &Member| match (member.rung, &member.occupant) {
            (Some(_), Some(Occupant::Instance(instance))) if of(&instance.spec) => {
                Some(Arc::clone(instance))
            }
            _ => None,
        };
        let mut held: Vec<Arc<Instance>> = self.members.values().filter_map(held).collect();
        held.sort_unstable_by_key(|instance| instance.id);
        for instance in held {
            self.stop(&instance, effects);
        }
        for version in self.versions.values_mut() {
            version.spares.retain(|spare| !of(&spare.spec));
        }
    }
}

/// Whether a spare will do for such a request.
pub(super) fn takes_spare(cold: Option<Cold>) -> bool {
    cold.is_none_or(|cold| cold.cheapest() == StartKind::Spare)
}
