//! What a decision of each policy costs at 100,000 versions: how long it takes to take an event in and to say
//! what follows. No platform is asked: a node is played that does what it is told.

use std::time::{Duration, Instant as Clock};

use anyhow::anyhow;
use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Instant, StartKind};
use pilotlight_policy::event::{
    Arrived, Deployed, Held, Idle, Room, Runtime, Started, Starting, Waits,
};
use pilotlight_policy::policies::{POLICIES, by_name};
use pilotlight_policy::{Action, Bytes, Event, NodeId, Policy, Ticket, VersionId};

use crate::Bench;
use crate::report::Section;

/// Requests for each version, the first of which are not measured: by then every version has a past.
const REQUESTS: u32 = 12;
const MEASURED: u32 = 2;
/// The node has room for the instances of so many versions out of a hundred.
const ROOM: u64 = 40;
const MEMORY: Bytes = Bytes::mib(64);
const RUNTIMES: [Runtime; 4] = [
    Runtime::Python,
    Runtime::Node,
    Runtime::Java,
    Runtime::Native,
];
/// From one request to the next of any version.
const STEP_NS: u64 = 10_000_000;
const HANDLER: Duration = Duration::from_millis(5);
const START: Duration = Duration::from_millis(80);
/// What a decision takes at most, in microseconds: half of them, and 99 in a hundred.
const HALF_US: f64 = 5.0;
const MOST_US: f64 = 50.0;

/// Every policy in turn.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Section> {
    let versions = bench.versions;
    let mut section = Section::begin(format!("decisions with {versions} versions"));
    for entry in POLICIES {
        let policy = by_name(entry.name).map_err(|error| anyhow!("{}: {error}", entry.name))?;
        let mut node = Node::new(policy, versions);
        node.deploy();
        for number in 0..versions * REQUESTS {
            node.measures = number >= versions * (REQUESTS - MEASURED);
            node.request(number);
        }
        let mut times = node.times;
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize] as f64 / 1e3;
        let name = entry.name;
        section.figure(format!("{name}, median"), at(0.5), "µs");
        section.figure(format!("{name}, 99th percentile"), at(0.99), "µs");
        section.figure(format!("{name}, 999 in a thousand"), at(0.999), "µs");
        section.at_most(format!("{name}, median"), at(0.5), HALF_US);
        section.at_most(format!("{name}, 99th percentile"), at(0.99), MOST_US);
    }
    Ok(section.end())
}

/// A node that plays requests and does at once what it is told.
struct Node {
    policy: Box<dyn Policy>,
    versions: u32,
    now: Instant,
    numbers: u64,
    /// The idle instance of each version.
    idle: Vec<Option<InstanceId>>,
    /// Whose each instance is, by its number.
    owners: Vec<u32>,
    actions: Vec<Action>,
    measures: bool,
    /// What decisions took, in nanoseconds.
    times: Vec<u32>,
}

impl Node {
    fn new(policy: Box<dyn Policy>, versions: u32) -> Self {
        Self {
            policy,
            versions,
            now: Instant(0),
            numbers: 0,
            idle: vec![None; versions as usize],
            owners: Vec::new(),
            actions: Vec::new(),
            measures: false,
            times: Vec::new(),
        }
    }

    fn deploy(&mut self) {
        let memory = Bytes(MEMORY.0 * u64::from(self.versions) * ROOM / 100);
        self.tell(Event::Node(Room {
            node: NodeId(0),
            memory,
            instances: u32::MAX,
        }));
        for number in 0..self.versions {
            self.tell(Event::Deployed(Deployed {
                version: VersionId(number),
                runtime: RUNTIMES[number as usize % RUNTIMES.len()],
                memory: MEMORY,
                keep_alive: None,
                after: None,
                weight: 1.0,
            }));
        }
    }

    /// A request: each version in turn. For one in eight, another comes while it runs.
    fn request(&mut self, number: u32) {
        self.pass(Instant(self.now.0 + STEP_NS));
        // 7,919 is prime, so that all versions have their turn, and neighbours are not alike.
        let version = (u64::from(number) * 7_919 % u64::from(self.versions)) as u32;
        let first = self.arrive(version);
        let second = if number.is_multiple_of(8) {
            self.arrive(version)
        } else {
            None
        };
        self.now = Instant(self.now.0 + HANDLER.as_nanos() as u64);
        for instance in [first, second].into_iter().flatten() {
            self.rest(instance);
        }
    }

    /// The instance that serves, unless the request waits for one that is busy.
    fn arrive(&mut self, version: u32) -> Option<InstanceId> {
        self.tell(Event::Arrived(Arrived {
            version: VersionId(version),
            requests: 1,
            cause: None,
        }));
        let idle = self.idle[version as usize].take();
        let instance = idle.or_else(|| self.wait(version))?;
        self.tell(Event::Busy(instance));
        Some(instance)
    }

    /// A request without an instance: the one that it gets, if it gets one at once.
    fn wait(&mut self, version: u32) -> Option<InstanceId> {
        self.numbers += 1;
        let ticket = Ticket(self.numbers);
        self.tell(Event::Waits(Waits {
            ticket,
            version: VersionId(version),
        }));
        let instance = self.idle[version as usize].take();
        self.tell(Event::Left(ticket));
        instance
    }

    /// Lets time pass, with the ticks that are due.
    fn pass(&mut self, until: Instant) {
        while let Some(at) = self.policy.wake_at().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.tell(Event::Tick);
        }
        self.now = self.now.max(until);
    }

    fn start(&mut self, version: VersionId) {
        let instance = InstanceId(self.owners.len() as u64);
        self.owners.push(version.0);
        self.tell(Event::Starting(Starting {
            instance,
            version,
            node: NodeId(0),
            ticket: None,
        }));
        self.tell(Event::Started(Started {
            instance,
            kind: StartKind::Zygote,
            took: START,
        }));
        self.rest(instance);
    }

    fn rest(&mut self, instance: InstanceId) {
        let version = self.owners[instance.0 as usize];
        if let Some(other) = self.idle[version as usize].replace(instance) {
            // One for each version is enough here.
            self.tell(Event::Gone(other));
        }
        self.tell(Event::Idle(Idle {
            instance,
            memory: MEMORY,
        }));
    }

    fn tell(&mut self, event: Event) {
        let mut actions = std::mem::take(&mut self.actions);
        let begin = Clock::now();
        self.policy.observe(self.now, event, &mut actions);
        let took = begin.elapsed();
        if self.measures {
            self.times
                .push(took.as_nanos().min(u128::from(u32::MAX)) as u32);
        }
        for action in actions.drain(..) {
            self.follow(action, event);
        }
        if actions.capacity() > self.actions.capacity() {
            self.actions = actions;
        }
    }

    fn follow(&mut self, action: Action, event: Event) {
        match action {
            Action::Reclaim { instance, .. } | Action::Strip { instance, .. } => {
                let version = self.owners[instance.0 as usize];
                self.idle[version as usize].take_if(|idle| *idle == instance);
            }
            Action::PreStart { version, .. } => self.start(version),
            Action::Start { .. } => {
                if let Event::Waits(waits) = event {
                    self.start(waits.version);
                }
            }
            Action::Hold {
                version,
                node,
                rung,
                ..
            } if rung >= Rung::Zygote => self.tell(Event::Held(Held {
                version,
                node,
                rung,
                memory: Bytes::mib(7),
                took: START,
            })),
            Action::Hold { .. } => {}
        }
    }
}
