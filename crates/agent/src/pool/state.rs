//! The pool's books. Nothing here waits or does anything: what is to be done is handed back.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::limits::Limits;
use pilotlight_model::node::NodeError;
use pilotlight_model::start::{Cold, Instant, StartKind};
use pilotlight_policy::node::{Action, Event, Idle, KeepAlive, Policy};
use tokio::sync::oneshot;

use super::admission::Admitted;
use super::holdings::{Background, Occupant};
use super::provisions::Provisions;
use super::{Grant, Ticket};
use crate::clock;
use crate::instance::Instance;

pub(super) struct State {
    pub(super) limits: Limits,
    pub(super) capacity_mb: u64,
    pub(super) versions: HashMap<VersionKey, VersionPool>,
    /// Every instance whose room is taken, from its admission to its processes' end.
    pub(super) members: HashMap<InstanceId, Member>,
    /// Requests without an instance, in order of arrival.
    pub(super) waiting: BTreeMap<Ticket, Waiting>,
    /// Those of them that want a start and have none yet.
    pub(super) starts_wanted: BTreeSet<Ticket>,
    /// Starts that nobody waits for on the path, in order of their coming.
    pub(super) background: VecDeque<Background>,
    pub(super) policy: KeepAlive,
    pub(super) provisions: Provisions,
    /// When the policy's clock rings next.
    pub(super) wake_at: Option<Instant>,
    pub(super) promised_mb: u64,
    /// Members that serve requests, or will.
    pub(super) instances: u64,
    /// Members that are kept for starts of a version to come.
    pub(super) held: u64,
    /// Turns taken, and those of them by starts off the path.
    pub(super) starting: u32,
    pub(super) starting_background: u32,
    /// Uses of versions that the pool has forgotten.
    pub(super) forgotten_uses: HashMap<VersionKey, u64>,
    pub(super) draining: bool,
    /// Every instance ends, those attached from now on too.
    pub(super) killing: bool,
    pub(super) last_ticket: u64,
    pub(super) last_instance: u64,
}

pub(super) struct VersionPool {
    /// The newest known; starts use it.
    pub(super) spec: Arc<FunctionSpec>,
    /// Used last at the end.
    pub(super) idle: Vec<Arc<Instance>>,
    /// Requests that a freed instance may serve.
    pub(super) waiting: BTreeSet<Ticket>,
    /// Forked ahead of time, the newest at the end.
    pub(super) spares: Vec<Arc<Instance>>,
    pub(super) finishing: Arc<AtomicU32>,
    pub(super) members: u32,
    /// Requests since they were last asked for.
    pub(super) uses: u64,
    pub(super) last_used: Instant,
    /// The function is deleted; whatever spec comes next is another function's.
    pub(super) retired: bool,
}

pub(super) struct Member {
    /// Absent for what belongs to no version.
    pub(super) key: Option<VersionKey>,
    pub(super) memory_mb: u64,
    pub(super) phase: MemberPhase,
    /// Made to be one of those that are provisioned.
    pub(super) provisioned: bool,
    /// What it is kept as; absent for what serves.
    pub(super) rung: Option<Rung>,
    /// Memory of its own, and time that it saves, as measured.
    pub(super) bytes: u64,
    pub(super) saves: Duration,
    pub(super) last_used: Instant,
    /// Absent until the start order has been taken up.
    pub(super) occupant: Option<Occupant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberPhase {
    Starting,
    Idle,
    Busy,
    /// Kept for starts to come.
    Held,
    /// Told to stop; its room comes back when it is gone.
    Ending,
}

pub(super) struct Waiting {
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) sender: oneshot::Sender<Grant>,
    pub(super) cold: Option<Cold>,
}

/// What follows from a decision, to be done once the lock is released.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) stop: Vec<Occupant>,
    pub(super) start: Vec<Admitted>,
    pub(super) refuse: Vec<(oneshot::Sender<Grant>, NodeError)>,
    /// Specs of the versions whose spare was taken.
    pub(super) spares_taken: Vec<Arc<FunctionSpec>>,
    pub(super) given_up: Vec<Rung>,
    /// Orders that come to nothing.
    pub(super) dropped: Vec<Background>,
}

impl VersionPool {
    /// Whether an instance has answered and will be idle in a moment.
    pub(super) fn is_finishing(&self) -> bool {
        self.finishing.load(Ordering::Relaxed) > 0
    }
}

impl Member {
    pub(super) fn is_held(&self) -> bool {
        self.phase == MemberPhase::Held
    }
}

impl State {
    pub(super) fn new(limits: &Limits, capacity_mb: u64) -> Self {
        Self {
            limits: *limits,
            capacity_mb,
            versions: HashMap::new(),
            members: HashMap::new(),
            waiting: BTreeMap::new(),
            starts_wanted: BTreeSet::new(),
            background: VecDeque::new(),
            policy: KeepAlive::new(),
            provisions: Provisions::default(),
            wake_at: None,
            promised_mb: 0,
            instances: 0,
            held: 0,
            starting: 0,
            starting_background: 0,
            forgotten_uses: HashMap::new(),
            draining: false,
            killing: false,
            last_ticket: 0,
            last_instance: 0,
        }
    }

    /// Takes note of the version's newest spec and ends idle instances of older ones.
    pub(super) fn refresh(&mut self, spec: &Arc<FunctionSpec>, effects: &mut Effects) {
        self.move_provision(spec, effects);
        let Some(version) = self.versions.get_mut(&spec.key) else {
            return;
        };
        if version.spec.revision >= spec.revision && !version.retired {
            return;
        }
        version.spec = Arc::clone(spec);
        version.retired = false;
        let outdated = std::mem::take(&mut version.idle);
        self.end_idle(outdated, effects);
        let older = |it: &FunctionSpec| it.key == spec.key && it.revision < spec.revision;
        self.end_held(older, effects);
    }

    /// What is provisioned is used first.
    pub(super) fn pop_idle(&mut self, key: &VersionKey) -> Option<Arc<Instance>> {
        let instance = self.take_idle(key)?;
        let version = self.versions.get_mut(key)?;
        version.uses += 1;
        version.last_used = clock::now();
        Some(instance)
    }

    /// As [`State::pop_idle`], but for no request: it does not count as a use.
    pub(super) fn take_idle(&mut self, key: &VersionKey) -> Option<Arc<Instance>> {
        let provisioned = self.provisions.pop(key);
        let instance = match provisioned {
            Some(instance) => instance,
            None => self.versions.get_mut(key)?.idle.pop()?,
        };
        self.observe(Event::Busy(instance.id));
        self.set_busy(instance.id);
        Some(instance)
    }

    /// Counts the version's idle instances, provisioned ones among them. Of the others those used last, up
    /// to `wanted` of all, are kept from now on as if they had just become idle.
    pub(super) fn keep(
        &mut self,
        spec: &Arc<FunctionSpec>,
        wanted: usize,
        effects: &mut Effects,
    ) -> usize {
        self.refresh(spec, effects);
        let Some(version) = self.versions.get(&spec.key) else {
            return 0;
        };
        let idle = version.idle.clone();
        let provisioned = self.provisions.idle(&spec.key);
        for instance in idle.iter().rev().take(wanted.saturating_sub(provisioned)) {
            self.keep_from_now(instance);
        }
        provisioned + idle.len()
    }

    pub(super) fn set_busy(&mut self, instance: InstanceId) {
        if let Some(member) = self.members.get_mut(&instance)
            && member.phase != MemberPhase::Ending
        {
            member.phase = MemberPhase::Busy;
            if let Some(key) = &member.key {
                self.provisions.given(key, instance, clock::now());
            }
        }
    }

    pub(super) fn wait(&mut self, waiting: Waiting) -> Result<Ticket, NodeError> {
        if self.waiting.len() as u64 >= u64::from(self.limits.waiting_invocations)
            || u64::from(waiting.spec.memory_mb) > self.capacity_mb
        {
            return Err(NodeError::Overloaded);
        }
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        let version = self.version(&waiting.spec);
        version.uses += 1;
        version.last_used = clock::now();
        if waiting.cold.is_none() {
            version.waiting.insert(ticket);
        }
        self.waiting.insert(ticket, waiting);
        Ok(ticket)
    }

    /// Gives an idle instance of its version to a request that has just begun to wait.
    pub(super) fn grant_idle(&mut self, ticket: Ticket) -> bool {
        let Some(key) = self.waiting.get(&ticket).map(|it| it.spec.key.clone()) else {
            return false;
        };
        let Some(instance) = self.pop_idle(&key) else {
            return false;
        };
        let Some(waiting) = self.take_waiting(ticket) else {
            return false;
        };
        // The caller holds the receiver.
        let _ = waiting
            .sender
            .send(Grant::Instance(instance, StartKind::Warm));
        true
    }

    pub(super) fn want_start(&mut self, ticket: Ticket) {
        if self.waiting.contains_key(&ticket) {
            self.starts_wanted.insert(ticket);
        }
    }

    /// Takes a request out of the queue.
    pub(super) fn take_waiting(&mut self, ticket: Ticket) -> Option<Waiting> {
        let waiting = self.waiting.remove(&ticket)?;
        self.starts_wanted.remove(&ticket);
        if let Some(version) = self.versions.get_mut(&waiting.spec.key) {
            version.waiting.remove(&ticket);
        }
        self.forget_if_unused(&waiting.spec.key);
        Some(waiting)
    }

    /// Finds the instance its next request, or a place among the idle, or its end.
    pub(super) fn release(
        &mut self,
        instance: &Arc<Instance>,
        started_for: Option<(Ticket, StartKind)>,
        effects: &mut Effects,
    ) {
        let kind = started_for.map_or(StartKind::Warm, |(_, kind)| kind);
        // The request that a start was for gets it even if the version has moved on since.
        let current = !instance.is_retired() && self.is_newest(&instance.spec);
        let mut next = started_for
            .map(|(ticket, _)| ticket)
            .filter(|ticket| self.waiting.contains_key(ticket));
        loop {
            next = next.or_else(|| self.first_waiting(&instance.spec.key).filter(|_| current));
            let Some(waiting) = next.take().and_then(|ticket| self.take_waiting(ticket)) else {
                break;
            };
            self.set_busy(instance.id);
            if waiting
                .sender
                .send(Grant::Instance(Arc::clone(instance), kind))
                .is_ok()
            {
                return;
            }
        }
        if self.draining || !current {
            self.stop(instance, effects);
        } else {
            self.make_idle(instance);
        }
    }

    pub(super) fn make_idle(&mut self, instance: &Arc<Instance>) {
        let Some(member) = self.members.get_mut(&instance.id) else {
            return;
        };
        if member.phase == MemberPhase::Ending {
            return;
        }
        member.phase = MemberPhase::Idle;
        if self.provisions.keep(instance, clock::now()) {
            return;
        }
        self.version(&instance.spec).idle.push(Arc::clone(instance));
        self.keep_from_now(instance);
    }

    /// An idle instance's time begins, or begins anew.
    fn keep_from_now(&mut self, instance: &Instance) {
        let Some(member) = self.members.get(&instance.id) else {
            return;
        };
        let memory_mb = member.memory_mb;
        let keep_alive = instance.spec.keep_alive.unwrap_or(self.limits.keep_alive);
        self.observe(Event::Idle(Idle {
            instance: instance.id,
            memory_mb,
            keep_alive,
        }));
        let wanted = self.policy.wake_at();
        if self
            .wake_at
            .is_none_or(|at| wanted.is_some_and(|wanted| wanted < at))
        {
            self.wake_at = wanted;
        }
    }

    pub(super) fn wake_earlier_than(&self, before: Option<Instant>) -> bool {
        match (self.wake_at, before) {
            (Some(now), Some(before)) => now < before,
            (now, before) => now.is_some() && before.is_none(),
        }
    }

    pub(super) fn retire(&mut self, key: &VersionKey, effects: &mut Effects) {
        self.unprovision(key, effects);
        self.outdate(key, effects);
        if let Some(version) = self.versions.get_mut(key) {
            version.retired = true;
        }
    }

    /// Every instance that has been attached takes no new request.
    pub(super) fn outdate(&mut self, key: &VersionKey, effects: &mut Effects) {
        for member in self.members.values() {
            if let Some(Occupant::Instance(instance)) = &member.occupant
                && instance.spec.key == *key
            {
                instance.retire();
            }
        }
        self.renew_provision(key, effects);
        self.end_held(|it| it.key == *key, effects);
        if let Some(version) = self.versions.get_mut(key) {
            let idle = std::mem::take(&mut version.idle);
            self.end_idle(idle, effects);
        }
    }

    pub(super) fn tick(&mut self, now: Instant, effects: &mut Effects) {
        let actions = self.policy.observe(now, Event::Tick);
        self.act(actions, effects);
        self.wake_at = self.policy.wake_at();
    }

    pub(super) fn drain(&mut self, effects: &mut Effects) {
        self.unprovision_all(effects);
        self.draining = true;
        self.end_held(|_| true, effects);
        let zygotes = self.members.values().filter_map(|it| it.occupant.clone());
        let zygotes = zygotes.filter(|it| matches!(it, Occupant::Zygote(_)));
        effects.stop.extend(zygotes);
        let tickets: Vec<Ticket> = self.waiting.keys().copied().collect();
        for ticket in tickets {
            if let Some(waiting) = self.take_waiting(ticket) {
                effects.refuse.push((waiting.sender, NodeError::Draining));
            }
        }
        let idle: Vec<_> = self
            .versions
            .values_mut()
            .flat_map(|version| std::mem::take(&mut version.idle))
            .collect();
        self.end_idle(idle, effects);
    }

    /// The instance's processes are gone.
    pub(super) fn gone(&mut self, instance: InstanceId) {
        let Some(member) = self.members.remove(&instance) else {
            return;
        };
        self.observe(Event::Gone(instance));
        self.promised_mb -= member.memory_mb;
        match member.rung {
            Some(Rung::Zygote) => {}
            Some(_) => self.held -= 1,
            None => self.instances -= 1,
        }
        let Some(key) = member.key else {
            return;
        };
        self.provisions.gone(&key, instance, clock::now());
        if let Some(version) = self.versions.get_mut(&key) {
            version.members -= 1;
            version.idle.retain(|idle| idle.id != instance);
            version.spares.retain(|spare| spare.id != instance);
        }
        self.forget_if_unused(&key);
    }

    /// Carries out what the policy says.
    pub(super) fn act(&mut self, actions: Vec<Action>, effects: &mut Effects) {
        for Action::Reclaim(id) in actions {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            member.phase = MemberPhase::Ending;
            let Some(Occupant::Instance(instance)) = member.occupant.clone() else {
                continue;
            };
            if let Some(version) = self.versions.get_mut(&instance.spec.key) {
                version.idle.retain(|idle| idle.id != id);
            }
            tracing::debug!(instance = %id, version = %instance.spec.key, "instance reclaimed");
            effects.stop.push(Occupant::Instance(instance));
        }
    }

    pub(super) fn version(&mut self, spec: &Arc<FunctionSpec>) -> &mut VersionPool {
        self.versions
            .entry(spec.key.clone())
            .or_insert_with(|| VersionPool {
                spec: Arc::clone(spec),
                idle: Vec::new(),
                waiting: BTreeSet::new(),
                spares: Vec::new(),
                finishing: Arc::default(),
                members: 0,
                uses: 0,
                last_used: clock::now(),
                retired: false,
            })
    }

    pub(super) fn observe(&mut self, event: Event) -> Vec<Action> {
        self.policy.observe(clock::now(), event)
    }

    pub(super) fn first_waiting(&self, key: &VersionKey) -> Option<Ticket> {
        self.versions.get(key)?.waiting.first().copied()
    }

    /// Whether that revision has been retired. One that came after it, under the same name, has not.
    pub(super) fn is_retired(&self, spec: &FunctionSpec) -> bool {
        self.versions
            .get(&spec.key)
            .is_some_and(|version| version.retired && version.spec.revision >= spec.revision)
    }

    pub(super) fn is_ending(&self, id: InstanceId) -> bool {
        let ending = |member: &Member| member.phase == MemberPhase::Ending;
        self.members.get(&id).is_some_and(ending)
    }

    pub(super) fn is_newest(&self, spec: &FunctionSpec) -> bool {
        self.versions
            .get(&spec.key)
            .is_none_or(|version| version.spec.revision <= spec.revision)
    }

    fn end_idle(&mut self, idle: Vec<Arc<Instance>>, effects: &mut Effects) {
        for instance in idle {
            self.observe(Event::Gone(instance.id));
            self.stop(&instance, effects);
        }
    }

    pub(super) fn stop(&mut self, instance: &Arc<Instance>, effects: &mut Effects) {
        if let Some(member) = self.members.get_mut(&instance.id) {
            member.phase = MemberPhase::Ending;
        }
        effects.stop.push(Occupant::Instance(Arc::clone(instance)));
    }

    fn forget_if_unused(&mut self, key: &VersionKey) {
        let unused = |version: &VersionPool| version.members == 0 && version.waiting.is_empty();
        if self.versions.get(key).is_some_and(unused)
            && let Some(version) = self.versions.remove(key)
            && version.uses > 0
            && !version.retired
        {
            *self.forgotten_uses.entry(key.clone()).or_default() += version.uses;
        }
    }
}
