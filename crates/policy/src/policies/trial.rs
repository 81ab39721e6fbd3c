//! A small node for tests: it plays requests through a policy, does what the policy says at once, and checks
//! that the policy speaks of nothing that is not there. Times are in seconds.

mod clockwork;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::Instant;

use crate::action::Action;
use crate::event::{Arrived, Deployed, Event, Room, Runtime, Shortage, Waits};
use crate::{Bytes, NodeId, Policy, Ticket, VersionId};

/// What one instance of any version takes unless its version was deployed with something else.
pub(crate) const MEMORY: Bytes = Bytes::mib(100);

/// A second.
pub(crate) const S: u64 = 1_000_000_000;

pub(crate) struct Trial {
    policy: Box<dyn Policy>,
    now: Instant,
    due: BTreeMap<(Instant, u64), Due>,
    numbers: u64,
    instances: BTreeMap<InstanceId, There>,
    waiting: BTreeSet<(Ticket, VersionId, Duration)>,
    takes: BTreeMap<VersionId, Duration>,
    memory: BTreeMap<VersionId, Bytes>,
    start: Duration,
    /// How each request was served, in order.
    pub(crate) served: Vec<Served>,
    /// What the policy said, and when.
    pub(crate) said: Vec<(u64, Action)>,
}

#[derive(Debug, Clone, Copy)]
struct There {
    version: VersionId,
    node: NodeId,
    idle: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Served {
    /// By an instance that was idle.
    Warm,
    /// By one that was busy when it came, and became idle.
    Late,
    /// By one that was made for it.
    Cold,
}

#[derive(Debug, Clone, Copy)]
enum Due {
    Ready(InstanceId, Option<Ticket>),
    Done(InstanceId),
}

impl Trial {
    pub(crate) fn new(policy: Box<dyn Policy>) -> Self {
        Self {
            policy,
            now: Instant(0),
            due: BTreeMap::new(),
            numbers: 0,
            instances: BTreeMap::new(),
            waiting: BTreeSet::new(),
            takes: BTreeMap::new(),
            memory: BTreeMap::new(),
            start: Duration::ZERO,
            served: Vec::new(),
            said: Vec::new(),
        }
    }

    pub(crate) fn named(spec: &str) -> Self {
        Self::new(super::by_name(spec).unwrap())
    }

    /// Starts take that long from now on.
    pub(crate) fn starts_take(mut self, start: Duration) -> Self {
        self.start = start;
        self
    }

    pub(crate) fn room(&mut self, node: u32, memory: Bytes) {
        self.tell(Event::Node(Room {
            node: NodeId(node),
            memory,
            instances: 1_000,
        }));
    }

    pub(crate) fn deploy(&mut self, version: u32, memory: Bytes, keep_alive: Option<u64>) {
        self.memory.insert(VersionId(version), memory);
        self.tell(Event::Deployed(Deployed {
            version: VersionId(version),
            runtime: Runtime::Python,
            memory,
            keep_alive: keep_alive.map(Duration::from_secs),
            after: None,
            weight: 1.0,
        }));
    }

    /// A request at that time, whose handler takes so long.
    pub(crate) fn request(&mut self, at: u64, version: u32, takes: u64) {
        let version = VersionId(version);
        self.until(at);
        self.takes.insert(version, Duration::from_secs(takes));
        self.tell(Event::Arrived(Arrived {
            version,
            requests: 1,
            cause: None,
        }));
        match self.idle_of(version) {
            Some(instance) => self.serve(instance, Served::Warm),
            None => {
                let ticket = Ticket(self.number());
                self.waiting
                    .insert((ticket, version, Duration::from_secs(takes)));
                self.tell(Event::Waits(Waits { ticket, version }));
            }
        }
        // What takes no time is over before the clock moves.
        self.settle(self.now);
    }

    /// Lets time pass, with all that is due in it.
    pub(crate) fn until(&mut self, at: u64) {
        let end = Instant(at * S);
        assert!(end >= self.now, "time goes on");
        self.settle(end);
        self.now = end;
    }

    pub(crate) fn pressure(&mut self, node: u32, memory: Bytes) {
        let shortage = Shortage {
            memory,
            instances: 0,
        };
        self.tell(Event::Pressure {
            node: NodeId(node),
            shortage,
            template: None,
        });
    }

    pub(crate) fn retire(&mut self, version: u32) {
        self.tell(Event::Retired(VersionId(version)));
    }

    /// An idle instance of the version dies by itself.
    pub(crate) fn lose(&mut self, version: u32) {
        if let Some(instance) = self.idle_of(VersionId(version)) {
            self.instances.remove(&instance);
            self.tell(Event::Gone(instance));
        }
    }

    /// Idle instances of a version.
    pub(crate) fn idle(&self, version: u32) -> usize {
        let idle = |there: &&There| there.idle && there.version == VersionId(version);
        self.instances.values().filter(idle).count()
    }

    /// Memory of a node's instances, and whether any of them is idle.
    pub(crate) fn used(&self, node: u32) -> (Bytes, bool) {
        let there = || {
            self.instances
                .values()
                .filter(move |there| there.node == NodeId(node))
        };
        let memory = there().map(|there| self.memory_of(there.version).0).sum();
        (Bytes(memory), there().any(|there| there.idle))
    }

    /// When instances were ended, in seconds.
    pub(crate) fn ended(&self) -> Vec<f64> {
        self.when(|action| matches!(action, Action::Reclaim { .. }))
    }

    /// When instances were made ahead, in seconds.
    pub(crate) fn made_ahead(&self) -> Vec<f64> {
        self.when(|action| matches!(action, Action::PreStart { .. }))
    }

    /// When it said such things, in seconds.
    pub(crate) fn when(&self, which: impl Fn(&Action) -> bool) -> Vec<f64> {
        let chosen = self.said.iter().filter(|(_, action)| which(action));
        chosen.map(|(at, _)| *at as f64 / S as f64).collect()
    }
}
