//! Who may start an instance: turns in order of arrival, within the node's limits, with room made by
//! reclaiming idle instances and by giving up what is kept for starts to come.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::node::NodeError;
use pilotlight_model::start::{Instant, StartKind};
use pilotlight_policy::{Action, Event, Policy, Shortage};

use super::holdings::{Background, takes_spare};
use super::state::{Effects, Member, MemberPhase, State};
use super::{Grant, Purpose, Ticket};

/// A new template does not take the room of what was used within this time: two versions that do not fit
/// beside each other would make each other's for ever.
const SPARED: Duration = Duration::from_secs(60);

/// A start that may begin.
pub(super) struct Admitted {
    pub(super) instance: InstanceId,
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) purpose: Purpose,
    pub(super) cheapest: StartKind,
    pub(super) finishing: Arc<AtomicU32>,
    pub(super) at: Instant,
}

/// Room that is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Need {
    pub(super) memory_mb: u64,
    pub(super) instances: u64,
    held: u64,
}

impl State {
    /// Admits what may start now: requests first, then what nobody waits for.
    pub(super) fn admit(&mut self, now: Instant, effects: &mut Effects) {
        self.admit_requests(now, effects);
        if self.starts_wanted.is_empty() && !self.draining {
            self.admit_provisions(now, effects);
            self.admit_background(now, effects);
        }
    }

    /// Starts off the path have half of the turns, so that requests always find one soon.
    pub(super) fn has_background_turn(&self) -> bool {
        let turns = self.limits.concurrent_starts.max(1);
        self.starting < turns && self.starting_background < turns.div_ceil(2)
    }

    /// Admits starts in order of arrival until one has to wait. Nobody overtakes: a large function
    /// would otherwise wait for ever behind a stream of small ones.
    fn admit_requests(&mut self, now: Instant, effects: &mut Effects) {
        while let Some(&ticket) = self.starts_wanted.first() {
            let Some(waiting) = self.waiting.get(&ticket) else {
                self.starts_wanted.remove(&ticket);
                continue;
            };
            if waiting.sender.is_closed() {
                self.take_waiting(ticket);
                continue;
            }
            let cold = waiting.cold;
            let request = Arc::clone(&waiting.spec);
            let spec = Arc::clone(&self.version(&request).spec);
            if u64::from(spec.memory_mb) > self.capacity_mb {
                // Its memory was raised while it waited; it can never start here.
                if let Some(waiting) = self.take_waiting(ticket) {
                    effects.refuse.push((waiting.sender, NodeError::Overloaded));
                }
                continue;
            }
            // A spare needs room, but no turn.
            if takes_spare(cold)
                && let Some(memory_mb) = self.lacks(&spec.key)
            {
                if !self.has_room(now, instance(memory_mb), Duration::ZERO, effects) {
                    return;
                }
                self.grant_spare(ticket, &spec.key, effects);
                continue;
            }
            if self.starting >= self.limits.concurrent_starts.max(1)
                || !self.has_room(
                    now,
                    instance(spec.memory_mb.into()),
                    Duration::ZERO,
                    effects,
                )
            {
                return;
            }
            self.starts_wanted.remove(&ticket);
            let cheapest = cold.map_or(StartKind::Spare, |cold| cold.cheapest());
            let admitted = self.promise(now, Purpose::Request(ticket), spec, cheapest);
            effects.start.push(admitted);
        }
    }

    fn grant_spare(&mut self, ticket: Ticket, key: &VersionKey, effects: &mut Effects) {
        let Some(waiting) = self.take_waiting(ticket) else {
            return;
        };
        let Some(spare) = self.pop_spare(key, effects) else {
            return;
        };
        let grant = Grant::Instance(Arc::clone(&spare), StartKind::Spare);
        if waiting.sender.send(grant).is_err() {
            self.make_idle(&spare);
        }
    }

    /// A spare or an instance that finds no room is not made; a template waits for room.
    fn admit_background(&mut self, now: Instant, effects: &mut Effects) {
        let (mut orders, mut waiting) = (std::mem::take(&mut self.background), Vec::new());
        while self.has_background_turn()
            && let Some(order) = orders.pop_front()
        {
            let memory_mb = order.purpose.memory_mb(&order.spec);
            let need = match order.purpose.rung() {
                Some(_) => kept(memory_mb),
                None => instance(memory_mb),
            };
            let template = matches!(order.purpose, Purpose::Template(_));
            if self.fits(need) {
                let Background { spec, purpose } = order;
                let admitted = self.promise(now, purpose, spec, StartKind::Spare);
                effects.start.push(admitted);
            } else if !template {
                effects.dropped.push(order);
            } else {
                // One at a time makes room.
                if waiting.is_empty() {
                    self.has_room(now, need, SPARED, effects);
                }
                waiting.push(order);
            }
        }
        for order in waiting.into_iter().rev() {
            orders.push_front(order);
        }
        self.background = orders;
    }

    pub(super) fn has_room_to_hold(&self, spec: &FunctionSpec) -> bool {
        // While its init runs, a template takes all that its function may use.
        self.fits(Need {
            memory_mb: spec.memory_mb.into(),
            held: 2,
            instances: 0,
        })
    }

    /// Whether a template of that version has been ordered, and finds no room even when what ends has gone.
    pub(super) fn is_short_of_room(&self, key: &VersionKey) -> bool {
        let ordered = self
            .background
            .iter()
            .find(|order| matches!(order.purpose, Purpose::Template(_)) && order.spec.key == *key);
        ordered.is_some_and(|order| {
            let need = kept(order.purpose.memory_mb(&order.spec));
            !self.fits_without(self.ending(), need)
        })
    }

    fn fits(&self, need: Need) -> bool {
        self.fits_without(Need::default(), need)
    }

    /// Whether that fits when so much has gone.
    fn fits_without(&self, gone: Need, need: Need) -> bool {
        let limit = u64::from(self.limits.node_instances.max(1));
        self.promised_mb + need.memory_mb <= self.capacity_mb + gone.memory_mb
            && self.instances + need.instances <= limit + gone.instances
            && self.held + need.held <= limit + gone.held
    }

    /// Whether that fits now. If not, and idle instances or what is kept could make room, they are
    /// reclaimed, and the start is admitted when they are gone. What is kept and was used within the time
    /// `spared` stays.
    pub(super) fn has_room(
        &mut self,
        now: Instant,
        need: Need,
        spared: Duration,
        effects: &mut Effects,
    ) -> bool {
        if self.fits(need) {
            return true;
        }
        let ending = self.ending();
        let limit = u64::from(self.limits.node_instances.max(1));
        let mut shortage = Shortage {
            memory_mb: (self.promised_mb + need.memory_mb)
                .saturating_sub(self.capacity_mb + ending.memory_mb),
            instances: (self.instances + need.instances).saturating_sub(limit + ending.instances),
        };
        // Idle instances first: for what they are promised they save the least.
        if shortage != Shortage::default() {
            let actions = self.policy.observe(now, Event::Pressure(shortage));
            shortage.memory_mb = shortage.memory_mb.saturating_sub(self.freed_by(&actions));
            self.act(actions, effects);
        }
        shortage.instances = (self.held + need.held).saturating_sub(limit + ending.held);
        if shortage != Shortage::default() {
            self.give_up(now, shortage, spared, effects);
        }
        false
    }

    fn freed_by(&self, actions: &[Action]) -> u64 {
        let memory = |&Action::Reclaim(id): &Action| self.members.get(&id).map(|it| it.memory_mb);
        actions.iter().filter_map(memory).sum()
    }

    /// What is on its way out, and the room that it will give back.
    fn ending(&self) -> Need {
        let ending = |member: &&Member| member.phase == MemberPhase::Ending;
        let mut sum = Need::default();
        for member in self.members.values().filter(ending) {
            sum.memory_mb += member.memory_mb;
            match member.rung {
                Some(Rung::Zygote) => {}
                Some(_) => sum.held += 1,
                None => sum.instances += 1,
            }
        }
        sum
    }

    pub(super) fn turn_over(&mut self, background: bool) {
        self.starting -= 1;
        self.starting_background -= u32::from(background);
    }

    pub(super) fn promise(
        &mut self,
        now: Instant,
        purpose: Purpose,
        spec: Arc<FunctionSpec>,
        cheapest: StartKind,
    ) -> Admitted {
        self.starting += 1;
        self.starting_background += u32::from(!matches!(purpose, Purpose::Request(_)));
        let memory_mb = purpose.memory_mb(&spec);
        let finishing = Arc::clone(&self.version(&spec).finishing);
        let instance = self.enroll(Some(spec.key.clone()), memory_mb, purpose.rung());
        if let (Purpose::Provisioned, Some(member)) = (&purpose, self.members.get_mut(&instance)) {
            member.provisioned = true;
        }
        Admitted {
            instance,
            spec,
            purpose,
            cheapest,
            finishing,
            at: now,
        }
    }

    /// A new member, with its room.
    pub(super) fn enroll(
        &mut self,
        key: Option<VersionKey>,
        memory_mb: u64,
        rung: Option<Rung>,
    ) -> InstanceId {
        self.last_instance += 1;
        let id = InstanceId(self.last_instance);
        self.promised_mb += memory_mb;
        match rung {
            // There is one for each runtime, and that is bound enough.
            Some(Rung::Zygote) => {}
            Some(_) => self.held += 1,
            None => self.instances += 1,
        }
        if let Some(version) = key.as_ref().and_then(|key| self.versions.get_mut(key)) {
            version.members += 1;
        }
        let member = Member {
            key,
            memory_mb,
            phase: MemberPhase::Starting,
            provisioned: false,
            rung,
            bytes: 0,
            saves: Duration::ZERO,
            last_used: crate::clock::now(),
            occupant: None,
        };
        self.members.insert(id, member);
        id
    }

    /// A member takes that much room from now on.
    pub(super) fn set_memory(&mut self, id: InstanceId, memory_mb: u64) {
        if let Some(member) = self.members.get_mut(&id) {
            self.promised_mb = self.promised_mb - member.memory_mb + memory_mb;
            member.memory_mb = memory_mb;
        }
    }
}

/// Room for one more that is kept for starts to come.
fn kept(memory_mb: u64) -> Need {
    Need {
        memory_mb,
        held: 1,
        instances: 0,
    }
}

/// Room for one more instance.
pub(super) fn instance(memory_mb: u64) -> Need {
    Need {
        memory_mb,
        instances: 1,
        held: 0,
    }
}
