//! What is provisioned, and what it has done and cost. Nothing here waits or does anything.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::ids::InstanceId;
use pilotlight_model::provisioned::{Provisioned, Trouble, Usage};
use pilotlight_model::start::Instant;

use crate::instance::Instance;
use crate::tries::Tries;

/// One that ended by itself while it waited, sooner than this, may do so again: the next rests first.
const LIVED: Duration = Duration::from_secs(60);

/// What is provisioned for all versions.
#[derive(Default)]
pub(in crate::pool) struct Provisions {
    pub(super) versions: HashMap<VersionKey, Provision>,
    /// Of versions that have none any more.
    pub(super) released: Usage,
}

/// What is provisioned for one version.
pub(super) struct Provision {
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) wanted: u32,
    pub(super) starting: HashSet<InstanceId>,
    /// Those that are initialised, with the time since which they wait.
    pub(super) ready: HashMap<InstanceId, Option<Instant>>,
    /// Those that wait, used last at the end.
    idle: Vec<Arc<Instance>>,
    pub(super) trouble: Option<Trouble>,
    pub(super) tries: Tries,
    usage: Usage,
}

impl Provision {
    pub(super) fn new(spec: &Arc<FunctionSpec>) -> Self {
        Self {
            spec: Arc::clone(spec),
            wanted: 0,
            starting: HashSet::new(),
            ready: HashMap::new(),
            idle: Vec::new(),
            trouble: None,
            tries: Tries::default(),
            usage: Usage::default(),
        }
    }

    pub(super) fn members(&self) -> u32 {
        u32::try_from(self.starting.len() + self.ready.len()).unwrap_or(u32::MAX)
    }

    /// Whether one more is to be made now. After a failure one at a time is.
    pub(super) fn lacks(&self, now: Instant) -> bool {
        self.members() < self.wanted
            && self.tries.may(now)
            && (self.trouble.is_none() || self.starting.is_empty())
    }

    /// That one waits no more.
    fn end_wait(&mut self, id: InstanceId, now: Instant) -> Option<Duration> {
        let waited = now.since(self.ready.get_mut(&id)?.take()?);
        self.usage.idle_mb_ms += self.cost(waited);
        Some(waited)
    }

    fn cost(&self, waited: Duration) -> u64 {
        let ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        ms.saturating_mul(self.spec.memory_mb.into())
    }

    /// Takes out one that is too many: at best one that waits, and only then one that starts or runs.
    pub(super) fn take_out(&mut self, now: Instant) -> Option<InstanceId> {
        let id = match self.idle.is_empty() {
            false => self.idle.remove(0).id,
            true => *self.starting.iter().chain(self.ready.keys()).next()?,
        };
        self.end_wait(id, now);
        self.starting.remove(&id);
        self.ready.remove(&id);
        Some(id)
    }

    /// With what those that wait have cost up to now.
    pub(super) fn usage(&self, now: Instant) -> Usage {
        let waits = self.ready.values().flatten();
        let idle_mb_ms = waits.map(|since| self.cost(now.since(*since))).sum();
        let mut usage = self.usage;
        usage += Usage {
            idle_mb_ms,
            ..Usage::default()
        };
        usage
    }

    fn shown(&self, now: Instant) -> Provisioned {
        let count = |length| u32::try_from(length).unwrap_or(u32::MAX);
        Provisioned {
            wanted: self.wanted,
            allocated: count(self.ready.len()),
            available: count(self.idle.len()),
            trouble: self.trouble,
            usage: self.usage(now),
        }
    }
}

impl Provisions {
    /// What every version has that has some.
    pub(in crate::pool) fn shown(
        &self,
        now: Instant,
    ) -> impl Iterator<Item = (&VersionKey, Provisioned)> {
        let versions = self.versions.iter();
        versions.map(move |(key, provision)| (key, provision.shown(now)))
    }

    pub(in crate::pool) fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    pub(in crate::pool) fn of(&self, key: &VersionKey, now: Instant) -> Option<Provisioned> {
        Some(self.versions.get(key)?.shown(now))
    }

    /// Of that version, those that wait.
    pub(in crate::pool) fn idle(&self, key: &VersionKey) -> usize {
        self.versions.get(key).map_or(0, |it| it.idle.len())
    }

    /// Of that version, those that have requests.
    pub(in crate::pool) fn busy(&self, key: &VersionKey) -> usize {
        let busy = |it: &Provision| it.ready.len().saturating_sub(it.idle.len());
        self.versions.get(key).map_or(0, busy)
    }

    /// What all of them, and those before them, have done and cost.
    pub(in crate::pool) fn usage(&self, now: Instant) -> Usage {
        let mut sum = self.released;
        for provision in self.versions.values() {
            sum += provision.usage(now);
        }
        sum
    }

    /// When the next attempt is due that rests now.
    pub(in crate::pool) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let lacking = self.versions.values().filter(|it| it.members() < it.wanted);
        let due = lacking.filter_map(|it| it.tries.not_before());
        due.filter(|at| *at > now).min()
    }

    /// A request is given to that member of that version.
    pub(in crate::pool) fn given(&mut self, key: &VersionKey, id: InstanceId, now: Instant) {
        let Some(provision) = self.versions.get_mut(key) else {
            return;
        };
        if provision.ready.contains_key(&id) {
            provision.end_wait(id, now);
            provision.usage.invocations += 1;
            provision.tries = Tries::default();
        } else {
            provision.usage.spillovers += 1;
        }
    }

    /// Takes one that waits.
    pub(in crate::pool) fn pop(&mut self, key: &VersionKey) -> Option<Arc<Instance>> {
        self.versions.get_mut(key)?.idle.pop()
    }

    /// Keeps that instance, which has nothing to do, if it is one of them.
    pub(in crate::pool) fn keep(&mut self, instance: &Arc<Instance>, now: Instant) -> bool {
        let Some(provision) = self.versions.get_mut(&instance.spec.key) else {
            return false;
        };
        let Some(waits) = provision.ready.get_mut(&instance.id) else {
            return false;
        };
        *waits = Some(now);
        provision.idle.push(Arc::clone(instance));
        true
    }

    /// That member is gone.
    pub(in crate::pool) fn gone(&mut self, key: &VersionKey, id: InstanceId, now: Instant) {
        let Some(provision) = self.versions.get_mut(key) else {
            return;
        };
        let ended_soon = provision
            .end_wait(id, now)
            .is_some_and(|waited| waited < LIVED);
        // Of a start nobody says that it failed when nobody takes it up.
        if provision.starting.remove(&id) || ended_soon {
            let _rest = provision.tries.failed(now);
        }
        provision.ready.remove(&id);
        provision.idle.retain(|idle| idle.id != id);
    }
}
