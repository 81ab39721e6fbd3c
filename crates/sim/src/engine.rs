//! The simulated nodes: they tell a policy what happens, and do what it says.
//!
//! [`World`] holds what both models share: time, instances, what is held on rungs, memory, and the ledger of
//! forecasts. A model brings requests to it.

mod act;
pub(crate) mod arrivals;
mod concurrent;
mod crews;
pub(crate) mod facts;
pub(crate) mod forecasts;
mod instances;
mod own;
pub(crate) mod seat;
mod single;
mod start;
mod waiting;
mod zygotes;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::Instant;
use pilotlight_policy::action::Source;
use pilotlight_policy::event::{Deployed, Room};
use pilotlight_policy::{Action, Bytes, Event, NodeId, Policy, VersionId};

use crate::draw::Draw;
use crate::options::{Deploy, Ladder, Model, Options, Ties};
use crate::outcome::{Outcome, Tally};
use crate::trace::Trace;
use crews::Crews;
use facts::Facts;
use forecasts::Forecasts;
use instances::Instances;
use own::Missed;
use seat::{Seat, Seats};
use waiting::Queue;
use zygotes::Zygotes;

/// Nanoseconds of a minute.
pub(crate) const MINUTE: u64 = 60_000_000_000;
/// The least time from one tick to the next, where a policy asks for one that is over.
const TICK_STEP: u64 = 1_000_000;
/// What a node without a limit has, in bytes: enough, and far from an overflow.
const NO_LIMIT: Bytes = Bytes(1 << 60);

/// What happens once its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Starts ahead of requests begin.
    PreStart(PreStart),
    /// A start is over.
    Ready(InstanceId),
    /// A handler is done.
    Done(InstanceId),
    /// The minute of a crew is over.
    Dismiss(VersionId),
    /// The policy is told something besides, of that number.
    Hint(usize),
    /// What a version is to be held on has been made.
    Made(VersionId, NodeId, Rung),
}

/// Starts ahead of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PreStart {
    version: VersionId,
    node: NodeId,
    instances: u32,
    forecast: Option<Source>,
}

/// One policy's run on one trace.
pub(crate) struct World<'a> {
    trace: &'a Trace,
    facts: &'a Facts,
    options: &'a Options,
    draw: Draw,
    policy: Box<dyn Policy>,
    now: Instant,
    /// Told, but not to the policy yet.
    queue: VecDeque<Event>,
    actions: Vec<Action>,
    timers: BinaryHeap<Reverse<(Instant, u64, Timer)>>,
    timer_count: u64,
    last_tick: Option<Instant>,
    instances: Instances,
    seats: Seats,
    zygotes: Zygotes,
    waiting: Queue,
    crews: Crews,
    deployed: Vec<bool>,
    forecasts: Forecasts,
    missed: Missed,
    tally: Tally,
    outcome: Outcome,
}

/// Runs one policy on a trace. `progress` is told of each minute.
pub(crate) fn run(
    trace: &Trace,
    facts: &Facts,
    options: &Options,
    policy: Box<dyn Policy>,
    progress: &mut dyn FnMut(u32),
) -> Outcome {
    let mut world = World::new(trace, facts, options, policy);
    world.begin();
    match options.model {
        Model::Single => single::run(&mut world, progress),
        Model::Concurrent => concurrent::run(&mut world, progress),
    }
    world.finish()
}

impl<'a> World<'a> {
    fn new(
        trace: &'a Trace,
        facts: &'a Facts,
        options: &'a Options,
        policy: Box<dyn Policy>,
    ) -> Self {
        let functions = trace.functions.len();
        let begin = Instant(u64::from(trace.begin) * MINUTE);
        Self {
            trace,
            facts,
            options,
            draw: Draw::new(options.seed),
            policy,
            now: begin,
            queue: VecDeque::new(),
            actions: Vec::new(),
            timers: BinaryHeap::new(),
            timer_count: 0,
            last_tick: None,
            instances: Instances::default(),
            seats: Seats::new(functions, options.cluster, begin),
            zygotes: Zygotes::new(options.cluster.nodes, begin),
            waiting: Queue::new(functions),
            crews: Crews::new(functions),
            deployed: vec![false; functions],
            forecasts: Forecasts::new(functions, Instant(u64::from(trace.end) * MINUTE)),
            missed: Missed::default(),
            tally: Tally::default(),
            outcome: Outcome::new(functions),
        }
    }

    /// The nodes join, and the functions are deployed.
    fn begin(&mut self) {
        for node in 0..self.options.cluster.nodes {
            self.tell(Event::Node(Room {
                node: NodeId(node),
                memory: self.options.cluster.memory.unwrap_or(NO_LIMIT),
                instances: u32::MAX,
            }));
        }
        if self.options.deploy == Deploy::Begin {
            for version in 0..self.trace.functions.len() as u32 {
                self.deploy(VersionId(version));
            }
        }
        if let Some((at, _)) = self.trace.hints.first().copied() {
            self.after(at.max(self.now), Timer::Hint(0));
        }
    }

    /// Tells what the trace has to say besides of the versions that it speaks of, and sets a timer for the next.
    fn hint(&mut self, number: usize) {
        let hints = &self.trace.hints;
        if let Some((_, event)) = hints.get(number).copied() {
            let versions = match event {
                Event::Calls(calls) => vec![calls.caller, calls.callee],
                Event::Shift(shift) => vec![shift.from, shift.to],
                Event::Announced(announced) => vec![announced.version],
                Event::Deployed(deployed) => vec![deployed.version],
                _ => Vec::new(),
            };
            versions
                .into_iter()
                .for_each(|version| self.deploy(version));
            match event {
                Event::Deployed(_) => {}
                Event::Retired(version) => self.retire(version),
                event => self.tell(event),
            }
        }
        if let Some((at, _)) = hints.get(number + 1).copied() {
            self.after(at.max(self.now), Timer::Hint(number + 1));
        }
    }

    /// A function is deployed, unless it has been.
    fn deploy(&mut self, version: VersionId) {
        if std::mem::replace(&mut self.deployed[version.0 as usize], true) {
            return;
        }
        self.tell(Event::Deployed(Deployed {
            version,
            runtime: self.facts.of(version).class.runtime(),
            memory: self.facts.of(version).memory,
            keep_alive: self.trace.functions[version.0 as usize].keep_alive,
            after: None,
            weight: self.facts.of(version).weight as f32,
        }));
        self.stand(version);
    }

    /// A function is deleted: what it has goes, what runs as soon as it is done. A request that comes nevertheless
    /// finds it deployed again.
    fn retire(&mut self, version: VersionId) {
        if !std::mem::replace(&mut self.deployed[version.0 as usize], false) {
            return;
        }
        for node in self.seats.nodes() {
            for instance in self.seats.at(version, node).idle.clone() {
                self.end(instance);
            }
            self.stand_on(version, node, Rung::Absent);
        }
        self.queue.push_back(Event::Retired(version));
        self.tell_queued();
    }

    /// A version has of the ladder what such versions have there from their deploy on, until the policy says
    /// otherwise. It is there at once: a deploy ends when it is.
    fn stand(&mut self, version: VersionId) {
        let rungs: &[Rung] = match self.ladder(version) {
            Some(Ladder::Template) => &[Rung::Template],
            Some(Ladder::Spare) => &[Rung::Template, Rung::Spare],
            Some(Ladder::None) | None => &[],
            Some(Ladder::Never) => return self.refuse(version),
        };
        let node = self.seats.roomiest();
        let mut below = Rung::Absent;
        for &rung in rungs {
            // What the policy has said about it meanwhile counts.
            if self.seats.at(version, node).wanted != below {
                return;
            }
            if !self.begin_to_make(version, node, rung) {
                return self.lacks_room(version, node, rungs);
            }
            self.seats.at_mut(version, node).wanted = rung;
            self.made(version, node, rung);
            self.tell_queued();
            below = rung;
        }
    }

    /// What a version has of the ladder by itself, as the trace says or everywhere.
    fn ladder(&self, version: VersionId) -> Option<Ladder> {
        let function = &self.trace.functions[version.0 as usize];
        self.options.ladder.or(function.ladder)
    }

    /// No node can make a template of a version, as a node finds at its deploy.
    fn refuse(&mut self, version: VersionId) {
        let rung = Rung::Template;
        for node in self.seats.nodes() {
            self.queue.push_back(Event::Refused {
                version,
                node,
                rung,
            });
        }
        self.tell_queued();
    }

    /// Tells the policy, and does what it says, until it has nothing more to say.
    fn tell(&mut self, event: Event) {
        self.queue.push_back(event);
        self.tell_queued();
    }

    fn tell_queued(&mut self) {
        while let Some(event) = self.queue.pop_front() {
            let mut actions = std::mem::take(&mut self.actions);
            self.policy.observe(self.now, event, &mut actions);
            self.tally.events += 1;
            self.tally.actions += actions.len() as u64;
            for action in actions.drain(..) {
                self.act(action);
            }
            self.actions = actions;
        }
    }

    /// Changes what of a version takes memory on a node, from now on.
    fn change_seat(&mut self, version: VersionId, node: NodeId, change: impl FnOnce(&mut Seat)) {
        self.seats
            .change(version, node, self.now, self.facts, change);
    }

    /// Sets a timer. Of those at the same moment the one that was set first comes first.
    fn after(&mut self, at: Instant, timer: Timer) {
        self.timer_count += 1;
        self.timers.push(Reverse((at, self.timer_count, timer)));
    }

    /// Lets time pass up to `to`, with all timers up to then. A tick that is due just then is left for after
    /// the requests of that moment, unless [`Ties`] say otherwise.
    fn advance(&mut self, to: Instant) {
        let last_tick = match self.options.ties {
            Ties::Ticks => to.0,
            Ties::Arrivals => to.0.saturating_sub(1),
        };
        loop {
            let timer = self.timers.peek().map(|Reverse((at, ..))| *at);
            let tick = self.next_tick();
            let timer_due = timer.filter(|at| *at <= to);
            let tick_due = tick.filter(|at| at.0 <= last_tick);
            match (timer_due, tick_due) {
                (None, None) => break,
                (Some(at), tick) if tick.is_none_or(|tick| at <= tick) => {
                    self.now = self.now.max(at);
                    if let Some(Reverse((.., timer))) = self.timers.pop() {
                        self.fire(timer);
                    }
                    self.retry();
                }
                (_, tick) => {
                    self.now = self.now.max(tick.unwrap_or(self.now));
                    self.last_tick = Some(self.now);
                    self.tell(Event::Tick);
                    self.retry();
                }
            }
        }
        self.now = self.now.max(to);
    }

    /// When the next tick is due: never twice at the same moment.
    fn next_tick(&self) -> Option<Instant> {
        let wake = self.policy.wake_at()?.max(self.now);
        Some(match self.last_tick {
            Some(last) if wake <= last => Instant(last.0 + TICK_STEP),
            _ => wake,
        })
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Hint(number) => self.hint(number),
            Timer::PreStart(order) => self.pre_start(order),
            Timer::Ready(instance) => self.ready(instance),
            Timer::Done(instance) => self.done(instance),
            Timer::Dismiss(version) => self.dismiss(version),
            Timer::Made(version, node, rung) => self.made(version, node, rung),
        }
    }

    /// Whether starts, and what is made for starts to come, take no time of the simulation.
    fn is_instant(&self) -> bool {
        self.options.model == Model::Single
    }

    fn finish(mut self) -> Outcome {
        let end = Instant(u64::from(self.trace.end) * MINUTE);
        self.advance(end);
        self.outcome.zygotes_mb_s = self.zygotes.close(end);
        self.tally.unserved = self.waiting.len();
        self.seats.settle_all(end, self.facts);
        for instance in self.instances.all() {
            self.forecasts.unused(
                instance.forecast,
                instance.version,
                instance.began,
                end,
                instance.weighs,
            );
        }
        self.outcome
            .close(&self.seats, self.forecasts.close(), self.tally);
        self.outcome
    }
}
