//! Requests of a version without a template, on a node with room: queueing against starting at once, and against
//! waiting for what there is.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::{Instant, StartKind};

use super::{NODE, Parameters, Pilot};
use crate::action::Action;
use crate::budget::Budget;
use crate::event::{Arrived, Deployed, Event, Idle, Room, Runtime, Started, Starting, Waits};
use crate::{Bytes, Policy, Ticket, VersionId};

const VERSION: VersionId = VersionId(0);
const REQUESTS: usize = 1_000;

/// What comes next on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Done(InstanceId),
    Started(InstanceId),
    Request,
}

/// Draws that are the same for everybody.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn handler(&mut self, load: &Load) -> u64 {
        if !load.tail {
            return self.time(load.handler, load.spread);
        }
        // Of mean one, and an infinite variance.
        let pareto = (1.0 - self.unit()).powf(-1.0 / 1.5) / 3.0;
        (pareto.min(1e3) * load.handler * 1e9) as u64 + 1
    }

    /// Exponentially distributed where `spread` is 1, always the mean where it is 0.
    fn time(&mut self, mean: f64, spread: f64) -> u64 {
        let exponential = -(1.0 - self.unit()).ln() * mean;
        ((spread * exponential + (1.0 - spread) * mean) * 1e9) as u64 + 1
    }
}

#[derive(Debug, Clone, Copy)]
struct Load {
    /// Means, in seconds.
    handler: f64,
    start: f64,
    between: f64,
    spread: f64,
    shape: Shape,
    /// Handlers have a heavy tail: Pareto of index 1.5.
    tail: bool,
}

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// By chance.
    Poisson,
    /// At equal distances.
    Periodic,
    /// Twenty at a time.
    Bursts,
}

/// What it came to, in seconds.
#[derive(Debug)]
struct Came {
    mean: f64,
    p99: f64,
    starts: u64,
}

struct Node {
    /// None waits for what there is, and starts where there is nothing.
    policy: Option<Box<dyn Policy>>,
    now: u64,
    next: BinaryHeap<Reverse<(u64, Next)>>,
    idle: Vec<InstanceId>,
    started: HashMap<InstanceId, u64>,
    waiting: VecDeque<(Ticket, u64)>,
    alive: usize,
    numbers: u64,
    waits: Vec<u64>,
    handlers: Random,
    starts: Random,
    load: Load,
}

impl Node {
    fn tell(&mut self, event: Event) {
        let mut actions = Vec::new();
        if let Some(policy) = &mut self.policy {
            policy.observe(Instant(self.now), event, &mut actions);
        }
        for action in actions {
            match action {
                Action::Start { ticket, .. } => self.start(Some(ticket)),
                Action::Reclaim { instance, .. } => {
                    self.idle.retain(|idle| *idle != instance);
                    self.alive -= 1;
                }
                // Templates are refused.
                _ => {}
            }
        }
    }

    fn start(&mut self, ticket: Option<Ticket>) {
        self.numbers += 1;
        let instance = InstanceId(self.numbers);
        let takes = self.starts.time(self.load.start, self.load.spread);
        self.started.insert(instance, self.now);
        self.alive += 1;
        self.next
            .push(Reverse((self.now + takes, Next::Started(instance))));
        self.tell(Event::Starting(Starting {
            instance,
            version: VERSION,
            node: NODE,
            ticket,
        }));
    }

    /// Gives an idle instance to a request.
    fn serve(&mut self, instance: InstanceId, since: u64) {
        self.idle.retain(|idle| *idle != instance);
        self.waits.push(self.now - since);
        let takes = self.handlers.handler(&self.load);
        self.next
            .push(Reverse((self.now + takes, Next::Done(instance))));
        self.tell(Event::Busy(instance));
    }

    fn free(&mut self, instance: InstanceId) {
        self.idle.push(instance);
        self.tell(Event::Idle(Idle {
            instance,
            memory: Bytes::mib(100),
        }));
        if self.idle.contains(&instance)
            && let Some((ticket, since)) = self.waiting.pop_front()
        {
            self.tell(Event::Left(ticket));
            self.serve(instance, since);
        }
    }

    fn request(&mut self) {
        self.tell(Event::Arrived(Arrived {
            version: VERSION,
            requests: 1,
            cause: None,
        }));
        if let Some(instance) = self.idle.last().copied() {
            return self.serve(instance, self.now);
        }
        self.numbers += 1;
        let ticket = Ticket(self.numbers);
        self.waiting.push_back((ticket, self.now));
        if self.policy.is_none() && self.alive == 0 {
            self.start(None);
        }
        self.tell(Event::Waits(Waits {
            ticket,
            version: VERSION,
        }));
    }
}

/// The mean wait in seconds, and how many starts were made.
fn run(policy: Option<Box<dyn Policy>>, load: Load, seed: u64) -> Came {
    let mut node = Node {
        policy,
        now: 0,
        next: BinaryHeap::new(),
        idle: Vec::new(),
        started: HashMap::new(),
        waiting: VecDeque::new(),
        alive: 0,
        numbers: 0,
        waits: Vec::new(),
        handlers: Random(seed),
        starts: Random(seed ^ 0x5555),
        load,
    };
    node.tell(Event::Node(Room {
        node: NODE,
        memory: Bytes::mib(1 << 20),
        instances: 10_000,
    }));
    node.tell(Event::Deployed(Deployed {
        version: VERSION,
        runtime: Runtime::Python,
        memory: Bytes::mib(100),
        keep_alive: None,
        after: None,
        weight: 1.0,
    }));
    let (mut arrivals, mut at) = (Random(seed ^ 0xAAAA), 1_000_000_000);
    for number in 0..REQUESTS {
        at += match load.shape {
            Shape::Poisson => arrivals.time(load.between, 1.0),
            Shape::Periodic => arrivals.time(load.between, 0.0),
            Shape::Bursts if number % 20 == 0 => arrivals.time(load.between * 20.0, 1.0),
            Shape::Bursts => 1,
        };
        node.next.push(Reverse((at, Next::Request)));
    }
    while let Some(Reverse((at, next))) = node.next.pop() {
        // Ticks come when they are wanted.
        while let Some(wake_at) = node
            .policy
            .as_ref()
            .and_then(|it| it.wake_at())
            .filter(|it| it.0 < at)
        {
            node.now = node.now.max(wake_at.0);
            node.tell(Event::Tick);
        }
        node.now = at;
        match next {
            Next::Request => node.request(),
            Next::Done(instance) => node.free(instance),
            Next::Started(instance) => {
                let took = Duration::from_nanos(at - node.started[&instance]);
                node.tell(Event::Started(Started {
                    instance,
                    kind: StartKind::Zygote,
                    took,
                }));
                node.free(instance);
            }
        }
    }
    assert!(node.waiting.is_empty(), "{load:?}");
    node.waits.sort_unstable();
    let sum: u64 = node.waits.iter().sum();
    Came {
        mean: sum as f64 / 1e9 / REQUESTS as f64,
        p99: node.waits[REQUESTS * 99 / 100] as f64 / 1e9,
        starts: node.started.len() as u64,
    }
}

fn starts_at_once() -> Box<dyn Policy> {
    let mut pilot = Pilot::new(Parameters {
        budget: Budget::Node,
        ..Parameters::default()
    });
    pilot.queue.rent = 0.0;
    Box::new(pilot)
}

fn pilot() -> Box<dyn Policy> {
    Box::new(Pilot::new(Parameters {
        budget: Budget::Node,
        ..Parameters::default()
    }))
}

/// Handlers of 10 ms to 10 s, starts of 1 ms to 5 s, loads of half an instance to four; requests by chance, at equal
/// distances and twenty at a time; handlers that take about the same, and such with a heavy tail. Against always
/// starting, by the same policy with the same turns, and always waiting for what there is, the mean and the 99th
/// percentile are at most the shorter one's, within a twentieth and what is stated.
#[test]
fn neither_starting_at_once_nor_waiting_is_shorter() {
    let (mut saved, mut made) = (0, 0);
    for load in loads() {
        let ours = run(Some(pilot()), load, 7);
        let at_once = run(Some(starts_at_once()), load, 7);
        let waiting = run(None, load, 7);
        let mean = at_once.mean.min(waiting.mean) * 1.05 + load.start.max(load.handler) * 0.002;
        let p99 = at_once.p99.min(waiting.p99) * 1.05 + load.start * 0.35;
        assert!(
            ours.mean <= mean && ours.p99 <= p99,
            "{load:?}: {ours:?}, at once {at_once:?}, waiting {waiting:?}"
        );
        made += at_once.starts;
        saved += at_once.starts.saturating_sub(ours.starts);
    }
    assert!(saved > 0, "of {made} starts");
}

fn loads() -> Vec<Load> {
    let mut all = Vec::new();
    for shape in [Shape::Poisson, Shape::Periodic, Shape::Bursts] {
        for tail in [false, true] {
            for handler in [0.01, 1.0, 10.0] {
                for start in [0.001, 0.4, 5.0] {
                    for busy in [0.5, 4.0] {
                        // As many starts as requests come meanwhile are made before anything is known.
                        if start * busy / handler > 30.0 {
                            continue;
                        }
                        all.push(Load {
                            handler,
                            start,
                            between: handler / busy,
                            spread: if tail { 1.0 } else { 0.2 },
                            shape,
                            tail,
                        });
                    }
                }
            }
        }
    }
    all
}

/// A start of seconds is not made for a request that an instance is free for within milliseconds.
#[test]
fn a_start_that_would_come_too_late_is_not_made() {
    let load = Load {
        handler: 0.01,
        start: 3.0,
        between: 0.1,
        spread: 0.2,
        shape: Shape::Poisson,
        tail: false,
    };
    let starts = run(Some(pilot()), load, 3).starts;
    let all = run(Some(starts_at_once()), load, 3).starts;
    assert!(starts < all, "{starts} of {all}");
}
