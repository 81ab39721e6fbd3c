//! The pool's books, and what a change of a version or of the node does to all of them. Nothing here waits
//! or does anything: what is to be done is handed back.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::ids::{AccountId, InstanceId};
use pilotlight_model::limits::Limits;
use pilotlight_model::node::NodeError;
use pilotlight_model::start::Instant;
use pilotlight_policy::VersionId;
use pilotlight_policy::costs::Costs;
use pilotlight_policy::fairness::{AtOnce, Fair};

use super::ahead::Ahead;
use super::effects::Effects;
use super::holdings::Background;
use super::members::{Member, Occupant};
use super::mind::Mind;
use super::orders::Ticket;
use super::provisions::Provisions;
use super::queue::Waiting;
use super::room::Room;
use super::traces::Traces;
use super::weights::Unweighed;
use crate::instance::Instance;

pub(super) struct State {
    /// When the decision is taken that is under way.
    pub(super) now: Instant,
    pub(super) limits: Limits,
    pub(super) capacity_mb: u64,
    pub(super) versions: HashMap<VersionKey, VersionPool>,
    /// Every process whose room is taken, from its admission to its end.
    pub(super) members: HashMap<InstanceId, Member>,
    /// The room of all members.
    pub(super) taken: Room,
    /// Requests without an instance, in order of arrival.
    pub(super) waiting: BTreeMap<Ticket, Waiting>,
    /// Those of them that want a start and have none yet, and what each version holds of the node.
    pub(super) fair: Fair<AccountId, VersionKey>,
    /// How many starts are made at once.
    pub(super) at_once: AtOnce,
    /// What starts take.
    pub(super) costs: Costs,
    /// Starts that nobody waits for on the path, in order of their coming.
    pub(super) background: VecDeque<Background>,
    pub(super) mind: Mind,
    /// What the policy wants started at a time to come.
    pub(super) ahead: Ahead,
    pub(super) unweighed: Unweighed,
    /// What came last in each trace.
    pub(super) traces: Traces,
    /// Memory, in MiB, of members that are out of the policy's hands.
    pub(super) apart_mb: u64,
    pub(super) provisions: Provisions,
    /// Turns taken, and those of them by starts off the path.
    pub(super) starting: u32,
    pub(super) starting_background: u32,
    /// Starts for requests since the last one off the path.
    pub(super) started_since: u32,
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

impl VersionPool {
    /// Whether an instance has answered and will be idle in a moment.
    pub(super) fn is_finishing(&self) -> bool {
        self.finishing.load(Ordering::Relaxed) > 0
    }
}

impl State {
    pub(super) fn new(limits: &Limits, capacity_mb: u64, mind: Mind) -> Self {
        Self {
            now: Instant(0),
            limits: *limits,
            capacity_mb,
            versions: HashMap::new(),
            members: HashMap::new(),
            taken: Room::default(),
            waiting: BTreeMap::new(),
            fair: Fair::default(),
            at_once: AtOnce::new(limits.concurrent_starts),
            costs: Costs::default(),
            background: VecDeque::new(),
            mind,
            ahead: Ahead::default(),
            unweighed: Unweighed::new(),
            traces: Traces::default(),
            apart_mb: 0,
            provisions: Provisions::default(),
            starting: 0,
            starting_background: 0,
            started_since: 0,
            forgotten_uses: HashMap::new(),
            draining: false,
            killing: false,
            last_ticket: 0,
            last_instance: 0,
        }
    }

    /// Takes note of the version's newest spec and ends idle instances of older ones.
    /// Returns its number.
    pub(super) fn refresh(
        &mut self,
        spec: &Arc<FunctionSpec>,
        effects: &mut Effects,
    ) -> Option<VersionId> {
        self.move_provision(spec, effects);
        let number = self.number(spec);
        let Some(version) = self.versions.get_mut(&spec.key) else {
            return number;
        };
        if version.spec.revision >= spec.revision && !version.retired {
            return number;
        }
        version.spec = Arc::clone(spec);
        version.retired = false;
        self.end_idle(&spec.key, effects);
        let older = |it: &FunctionSpec| it.key == spec.key && it.revision < spec.revision;
        self.end_held(older, effects);
        number
    }

    /// Lets go of a version: idle instances at once, the others after what they do.
    pub(super) fn retire(&mut self, key: &VersionKey, effects: &mut Effects) {
        self.unprovision(key, effects);
        self.outdate(key, effects);
        if let Some(version) = self.versions.get_mut(key) {
            version.retired = true;
        }
        self.tell_retired(key);
    }

    /// Every instance of the version that has been attached takes no new request.
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
        self.end_idle(key, effects);
    }

    /// Nothing is started or accepted any more; idle instances end, and who waits is sent away.
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
        let versions: Vec<VersionKey> = self.versions.keys().cloned().collect();
        for version in versions {
            self.end_idle(&version, effects);
        }
    }

    /// The version of that spec, which is new to the pool if need be.
    pub(super) fn version(&mut self, spec: &Arc<FunctionSpec>) -> &mut VersionPool {
        let now = self.now;
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
                last_used: now,
                retired: false,
            })
    }

    /// Whether that revision has been retired. One that came after it, under the same name, has not.
    pub(super) fn is_retired(&self, spec: &FunctionSpec) -> bool {
        self.versions
            .get(&spec.key)
            .is_some_and(|version| version.retired && version.spec.revision >= spec.revision)
    }

    pub(super) fn is_newest(&self, spec: &FunctionSpec) -> bool {
        self.versions
            .get(&spec.key)
            .is_none_or(|version| version.spec.revision <= spec.revision)
    }

    pub(super) fn forget_if_unused(&mut self, key: &VersionKey) {
        let unused = |version: &VersionPool| version.members == 0 && version.waiting.is_empty();
        if self.versions.get(key).is_some_and(unused)
            && let Some(version) = self.versions.remove(key)
            && version.uses > 0
            && !version.retired
        {
            *self.forgotten_uses.entry(key.clone()).or_default() += version.uses;
        }
    }

    /// How often each version was used since the last call.
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
