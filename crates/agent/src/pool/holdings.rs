//! What is kept for starts to come: spares, templates and zygotes, with the room that they take.

use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Cold, Instant, StartKind};
use pilotlight_policy::node::Shortage;
use pilotlight_policy::node::ladder::{Holding, give_up};
use tokio::sync::Notify;

use super::state::{Effects, Member, MemberPhase, State};
use super::{Grant, Purpose};
use crate::clock;
use crate::instance::Instance;

/// Memory that an empty sandbox costs the kernel (name space, control groups, tables), beside what its
/// process has for itself.
const SANDBOX_MB: u64 = 1;
/// Room of a spare until it has been measured.
const NEW_SPARE_MB: u64 = 8;

/// A start off the path that waits for its turn.
pub(super) struct Background {
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) purpose: Purpose,
}

/// Who has a room, and can be told to leave it.
#[derive(Clone)]
pub(crate) enum Occupant {
    Instance(Arc<Instance>),
    Zygote(Arc<Notify>),
}

/// What something that is kept costs and saves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Worth {
    /// Memory of its own.
    pub(crate) bytes: u64,
    /// Time that a start is spared by it.
    pub(crate) saves: Duration,
}

impl Occupant {
    pub(crate) fn stop(&self) {
        match self {
            Occupant::Instance(instance) => instance.stop(),
            Occupant::Zygote(stop) => stop.notify_one(),
        }
    }
}

impl Worth {
    fn memory_mb(self) -> u64 {
        self.bytes.div_ceil(1 << 20) + SANDBOX_MB
    }
}

impl Purpose {
    /// What the started process is kept as, unless it serves.
    pub(super) fn rung(&self) -> Option<Rung> {
        match self {
            Purpose::Request(_) | Purpose::WarmUp(_) | Purpose::Provisioned => None,
            Purpose::Spare(_) => Some(Rung::Spare),
            Purpose::Template(_) => Some(Rung::Template),
        }
    }

    /// Room that the start takes.
    pub(super) fn memory_mb(&self, spec: &FunctionSpec) -> u64 {
        match self {
            Purpose::Spare(_) => NEW_SPARE_MB.min(spec.memory_mb.into()),
            Purpose::Request(_)
            | Purpose::Template(_)
            | Purpose::WarmUp(_)
            | Purpose::Provisioned => spec.memory_mb.into(),
        }
    }
}

impl State {
    /// Takes an order in; one that makes no sense any more comes back.
    pub(super) fn order(&mut self, order: Background) -> Option<Background> {
        let outdated = self.is_retired(&order.spec) || !self.is_newest(&order.spec);
        if self.draining || outdated || u64::from(order.spec.memory_mb) > self.capacity_mb {
            return Some(order);
        }
        self.background.push_back(order);
        None
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
                return Some((idle, StartKind::Warm));
            }
            if about_to_be_idle {
                return None;
            }
        }
        if !takes_spare(cold) || !self.room_for_spare(key) {
            return None;
        }
        let spare = self.pop_spare(key, effects)?;
        Some((spare, StartKind::Spare))
    }

    /// Whether the version's next start finds a spare.
    pub(super) fn is_cheap(&self, key: &VersionKey) -> bool {
        self.versions
            .get(key)
            .is_some_and(|version| !version.spares.is_empty())
    }

    /// Room that the version's spare needs beyond what it has, to run.
    pub(super) fn lacks(&self, key: &VersionKey) -> Option<u64> {
        let version = self.versions.get(key)?;
        let spare = version.spares.last()?;
        let member = self.members.get(&spare.id)?;
        Some(u64::from(spare.spec.memory_mb).saturating_sub(member.memory_mb))
    }

    fn room_for_spare(&self, key: &VersionKey) -> bool {
        let limit = u64::from(self.limits.node_instances.max(1));
        self.lacks(key).is_some_and(|lacks| {
            self.promised_mb + lacks <= self.capacity_mb && self.instances < limit
        })
    }

    /// Makes the version's spare an instance like any other. There is room.
    pub(super) fn pop_spare(
        &mut self,
        key: &VersionKey,
        effects: &mut Effects,
    ) -> Option<Arc<Instance>> {
        let version = self.versions.get_mut(key)?;
        let spare = version.spares.pop()?;
        version.uses += 1;
        version.last_used = clock::now();
        self.enlist(&spare);
        effects.spares_taken.push(Arc::clone(&spare.spec));
        Some(spare)
    }

    /// A spare begins to serve, with all the room that its function may use.
    fn enlist(&mut self, spare: &Arc<Instance>) {
        self.adopt(spare.id);
        self.set_memory(spare.id, spare.spec.memory_mb.into());
        self.set_busy(spare.id);
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
        while self.room_for_spare(key)
            && let Some(waiting) = self
                .first_waiting(key)
                .and_then(|ticket| self.take_waiting(ticket))
        {
            let Some(taken) = self.pop_spare(key, effects) else {
                return;
            };
            let grant = Grant::Instance(Arc::clone(&taken), StartKind::Spare);
            if waiting.sender.send(grant).is_err() {
                // Its request has gone; it has served nobody, and waits for the next like any idle one.
                self.make_idle(&taken);
            }
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
    }

    /// What was to be kept serves instead.
    pub(super) fn adopt(&mut self, id: InstanceId) {
        if let Some(member) = self.members.get_mut(&id)
            && member.rung.take().is_some()
        {
            self.held -= 1;
            self.instances += 1;
        }
    }

    /// Room for a zygote, if there is any without taking it from others.
    pub(super) fn reserve(&mut self, memory_mb: u64, occupant: Occupant) -> Option<InstanceId> {
        if self.draining || self.promised_mb + memory_mb > self.capacity_mb {
            return None;
        }
        let id = self.enroll(None, memory_mb, Some(Rung::Zygote));
        if let Some(member) = self.members.get_mut(&id) {
            member.occupant = Some(occupant);
        }
        Some(id)
    }

    pub(super) fn used(&mut self, id: InstanceId) {
        if let Some(member) = self.members.get_mut(&id) {
            member.last_used = clock::now();
        }
    }

    /// Gives up what is kept until the shortage is met, or nothing if that is not enough.
    pub(super) fn give_up(
        &mut self,
        now: Instant,
        shortage: Shortage,
        spared: Duration,
        effects: &mut Effects,
    ) {
        for id in give_up(now, &self.holdings(), shortage, spared) {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            member.phase = MemberPhase::Ending;
            effects.stop.extend(member.occupant.clone());
            effects.given_up.extend(member.rung);
            if let Some(version) = member.key.as_ref().and_then(|it| self.versions.get_mut(it)) {
                version.spares.retain(|spare| spare.id != id);
            }
            tracing::debug!(process = %id, "given up for want of room");
        }
    }

    fn holdings(&self) -> Vec<Holding> {
        let held = self.members.iter().filter(|(_, member)| member.is_held());
        held.filter_map(|(&instance, member)| {
            let version = member.key.as_ref().and_then(|it| self.versions.get(it));
            let used = version.map_or(Instant(0), |version| version.last_used);
            Some(Holding {
                instance,
                rung: member.rung?,
                memory_mb: member.memory_mb,
                saves: member.saves,
                last_used: used.max(member.last_used),
            })
        })
        .collect()
    }

    /// Ends what is kept and for which that holds, and forgets the orders alike.
    pub(super) fn end_held(&mut self, of: impl Fn(&FunctionSpec) -> bool, effects: &mut Effects) {
        let all = std::mem::take(&mut self.background);
        let (ended, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|order| of(&order.spec));
        self.background = kept.into();
        effects.dropped.extend(ended);
        for member in self.members.values_mut() {
            if let (Some(_), Some(Occupant::Instance(instance))) = (member.rung, &member.occupant)
                && of(&instance.spec)
            {
                member.phase = MemberPhase::Ending;
                effects.stop.push(Occupant::Instance(Arc::clone(instance)));
            }
        }
        for version in self.versions.values_mut() {
            version.spares.retain(|spare| !of(&spare.spec));
        }
    }

    pub(super) fn take_uses(&mut self) -> Vec<(VersionKey, u64)> {
        let mut uses = std::mem::take(&mut self.forgotten_uses);
        for (key, version) in &mut self.versions {
            let count = std::mem::take(&mut version.uses);
            if count > 0 {
                *uses.entry(key.clone()).or_default() += count;
            }
        }
        uses.into_iter().collect()
    }
}

/// Whether a spare will do for such a request.
pub(super) fn takes_spare(cold: Option<Cold>) -> bool {
    cold.is_none_or(|cold| cold.cheapest() == StartKind::Spare)
}
