//! A small node for tests: it plays requests through a policy, does what the policy says at once, and checks
//! that the policy speaks of nothing that is not there. Times are in seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Instant, StartKind};

use crate::action::Action;
use crate::event::{
    Arrived, Deployed, Event, Held, Idle, Room, Runtime, Shortage, Started, Starting, Waits,
};
use crate::{Bytes, NodeId, Policy, Ticket, VersionId, later};

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

    fn memory_of(&self, version: VersionId) -> Bytes {
        self.memory.get(&version).copied().unwrap_or(MEMORY)
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn idle_of(&self, version: VersionId) -> Option<InstanceId> {
        let idle = |there: &There| there.idle && there.version == version;
        self.instances
            .iter()
            .find(|(_, there)| idle(there))
            .map(|(instance, _)| *instance)
    }

    /// What is due by then, and ticks before: a request that comes when a tick is due comes first.
    fn settle(&mut self, end: Instant) {
        loop {
            let due = self
                .due
                .first_key_value()
                .map(|((at, _), _)| *at)
                .filter(|at| *at <= end);
            let tick = self.policy.wake_at().filter(|at| *at < end);
            let Some(at) = [due, tick].into_iter().flatten().min() else {
                return;
            };
            self.now = self.now.max(at);
            if due == Some(at) {
                let Some((_, due)) = self.due.pop_first() else {
                    return;
                };
                match due {
                    Due::Ready(instance, ticket) => self.ready(instance, ticket),
                    Due::Done(instance) => self.done(instance),
                }
            } else {
                self.tick();
            }
        }
    }

    pub(crate) fn tick(&mut self) {
        self.tell(Event::Tick);
        let next = self.policy.wake_at();
        assert!(
            next.is_none_or(|next| next > self.now),
            "what was due is done after a tick"
        );
    }

    fn ready(&mut self, instance: InstanceId, ticket: Option<Ticket>) {
        let kind = StartKind::Zygote;
        self.tell(Event::Started(Started {
            instance,
            kind,
            took: self.start,
        }));
        let waits = self
            .waiting
            .iter()
            .find(|(waiting, _, _)| Some(*waiting) == ticket)
            .copied();
        match waits {
            Some(waits) => {
                self.waiting.remove(&waits);
                self.tell(Event::Left(waits.0));
                self.takes.insert(waits.1, waits.2);
                self.serve(instance, Served::Cold);
            }
            None => self.rest(instance),
        }
    }

    fn done(&mut self, instance: InstanceId) {
        let Some(there) = self.instances.get(&instance).copied() else {
            return;
        };
        let waits = self
            .waiting
            .iter()
            .find(|(_, version, _)| *version == there.version)
            .copied();
        self.rest(instance);
        if let Some(waits) = waits
            && self.instances.contains_key(&instance)
        {
            self.waiting.remove(&waits);
            self.tell(Event::Left(waits.0));
            self.takes.insert(waits.1, waits.2);
            self.serve(instance, Served::Late);
        }
    }

    fn rest(&mut self, instance: InstanceId) {
        let Some(there) = self.instances.get_mut(&instance) else {
            return;
        };
        there.idle = true;
        let memory = self.memory_of(self.instances[&instance].version);
        self.tell(Event::Idle(Idle { instance, memory }));
    }

    fn serve(&mut self, instance: InstanceId, served: Served) {
        let there = self.instances.get_mut(&instance).unwrap();
        there.idle = false;
        let takes = self.takes[&there.version];
        self.served.push(served);
        let done = (later(self.now, takes), self.number());
        self.due.insert(done, Due::Done(instance));
        self.tell(Event::Busy(instance));
    }

    fn tell(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.policy.observe(self.now, event, &mut actions);
        for action in actions {
            self.said.push((self.now.0, action));
            self.follow(action);
        }
    }

    fn follow(&mut self, action: Action) {
        match action {
            Action::Reclaim { instance, .. } => {
                let there = self.instances.remove(&instance);
                assert!(
                    there.is_some_and(|there| there.idle),
                    "{action:?} of what is not idle"
                );
            }
            Action::Strip { instance, rung } => {
                let there = self.instances.remove(&instance);
                let there = there.expect("only what is there is stripped");
                assert!(there.idle, "{action:?} of what is not idle");
                self.held(there.version, there.node, rung);
            }
            Action::Hold {
                version,
                node,
                rung,
                ..
            } => self.held(version, node, rung),
            Action::PreStart {
                version,
                node,
                instances,
                ..
            } => {
                (0..instances).for_each(|_| self.start(version, node, None));
            }
            Action::Start { ticket, node } => {
                let waits = self
                    .waiting
                    .iter()
                    .find(|(waiting, _, _)| *waiting == ticket);
                let version = waits.expect("only who waits gets a start").1;
                self.start(version, node, Some(ticket));
            }
        }
    }

    fn held(&mut self, version: VersionId, node: NodeId, rung: Rung) {
        if rung > Rung::Cached {
            self.tell(Event::Held(Held {
                version,
                node,
                rung,
                memory: Bytes::mib(20),
                took: Duration::from_millis(50),
            }));
        } else {
            self.tell(Event::Lost {
                version,
                node,
                rung: Rung::Zygote,
            });
        }
    }

    fn start(&mut self, version: VersionId, node: NodeId, ticket: Option<Ticket>) {
        let instance = InstanceId(self.number());
        self.instances.insert(
            instance,
            There {
                version,
                node,
                idle: false,
            },
        );
        self.tell(Event::Starting(Starting {
            instance,
            version,
            node,
            ticket,
        }));
        let ready = (later(self.now, self.start), self.number());
        self.due.insert(ready, Due::Ready(instance, ticket));
    }
}
