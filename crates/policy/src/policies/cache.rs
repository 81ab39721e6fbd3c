//! Policies that treat instances as a cache: nothing is given up before a node needs its room, and then what
//! is worth least. They differ in what an instance is worth.
//!
//! - **LRU**: what was used last.
//! - **LFU**: what is used most often, among equals what was used last.
//! - **Greedy-Dual** (size, frequency): Alexander Fuerst and Prateek Sharma, "FaasCache: Keeping Serverless
//!   Computing Alive with Greedy-Dual Caching", ASPLOS 2021. An instance's priority is
//!   `clock + frequency × cost / size`. The clock belongs to the node; when an instance is evicted it takes on
//!   that one's priority, and an instance has of it what it read when it was last given a request. The
//!   frequency is how many requests the version had on the node, over all its instances there; cost is what
//!   its first start there took (in the paper: cold less warm running time, measured once), in milliseconds;
//!   size is what an instance takes, in MiB. When a version has no instance left on a node, its frequency and
//!   cost there are forgotten. A change of the frequency counts for all its instances at once.
//! - **CIDRE**: Qichang Liu et al., "Concurrency-Informed Orchestration for Serverless Functions", ASPLOS 2025:
//!   the same with `clock + frequency × cost / (size × instances)`, so that a version with many instances
//!   gives up some before another gives up its only one. And a request that finds all instances busy may wait
//!   for one of them ([`queueing`](crate::queueing)), in place of the paper's start beside every wait, of which
//!   its second variant leaves out those that would hardly be used.
//!
//! Departures: size is what an idle instance of the version was last measured to take, so that instances of
//! one version do not differ in it. Among those the one with the older clock goes first, then the longer idle.
//! In the paper all memory of a server is the cache; here it is what the node says it has, or less if a budget
//! is given, and what is busy or starting counts as used: as the paper has it, nothing busy is ever evicted,
//! so that the room can be exceeded by it.

mod groups;
mod waiting;
mod worth;

pub use worth::Order;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::Instant;

use super::Entry;
use crate::action::{Action, Because};
use crate::books::{Books, Seen};
use crate::event::{Event, Shortage};
use crate::{Bytes, NodeId, Policy, VersionId};
use groups::Groups;
use waiting::Waiting;

pub(super) const LRU: Entry = Entry {
    name: "lru",
    usage: "lru[:MEMORY]",
    summary: "gives up the least recently used when a node is full, or uses more than that",
    on_node: None,
    make: |parameters| Ok(Box::new(cache(Order::Lru, parameters.memory("")?, 0.0))),
};

pub(super) const LFU: Entry = Entry {
    name: "lfu",
    usage: "lfu[:MEMORY]",
    summary: "gives up the least frequently used likewise",
    on_node: None,
    make: |parameters| Ok(Box::new(cache(Order::Lfu, parameters.memory("")?, 0.0))),
};

pub(super) const GREEDY_DUAL: Entry = Entry {
    name: "greedy-dual",
    usage: "greedy-dual[:MEMORY]",
    summary: "gives up by frequency, cost and size (FaasCache) likewise",
    on_node: None,
    make: |parameters| {
        Ok(Box::new(cache(
            Order::GreedyDual,
            parameters.memory("")?,
            0.0,
        )))
    },
};

pub(super) const CIDRE: Entry = Entry {
    name: "cidre",
    usage: "cidre[:MEMORY][,slack=X]",
    summary: "the same, by concurrency too (CIDRE); requests wait for busy instances where that pays",
    on_node: None,
    make: |parameters| {
        let mut slack = SLACK;
        parameters.factor("slack", &mut slack)?;
        Ok(Box::new(cache(Order::Cidre, parameters.memory("")?, slack)))
    },
};

/// By what part of the shortest possible wait CIDRE may exceed it, to make fewer starts.
const SLACK: f64 = 0.1;

/// The policy. `budget` is what it may use of each node, if that is less than the node has; `slack` is for
/// [`Order::Cidre`] what [`decide`](crate::queueing::decide) may exceed the shortest wait by.
pub fn cache(order: Order, budget: Option<Bytes>, slack: f64) -> impl Policy {
    Cache {
        books: Books::default(),
        groups: Groups::new(order),
        waiting: Waiting::new((order == Order::Cidre).then_some(slack)),
        budget: budget.unwrap_or(Bytes(u64::MAX)),
    }
}

#[derive(Debug)]
struct Cache {
    books: Books,
    groups: Groups,
    waiting: Waiting,
    budget: Bytes,
}

impl Cache {
    fn is_over(&self, node: NodeId) -> bool {
        self.books.is_over(node) || self.books.counted(node) > self.budget
    }

    /// Gives up what is worth least until the node is within its budget, or has nothing idle left.
    fn shrink(&mut self, node: NodeId, actions: &mut Vec<Action>) {
        while self.is_over(node) {
            if self.evict(node, actions).is_none() {
                return;
            }
        }
    }

    fn relieve(&mut self, node: NodeId, shortage: Shortage, actions: &mut Vec<Action>) {
        let (mut memory, mut instances) = (0u64, 0u32);
        while memory < shortage.memory.0 || instances < shortage.instances {
            let Some(freed) = self.evict(node, actions) else {
                return;
            };
            memory = memory.saturating_add(freed.0);
            instances += 1;
        }
    }

    fn evict(&mut self, node: NodeId, actions: &mut Vec<Action>) -> Option<Bytes> {
        let instance = self.groups.victim(node)?;
        let at = self.books.remove(instance)?;
        self.groups.gone(instance, &at, &self.books);
        actions.push(Action::Reclaim {
            instance,
            because: Because::Pressure,
        });
        Some(at.memory)
    }

    fn reclaim(&mut self, instance: InstanceId, actions: &mut Vec<Action>) {
        if let Some(at) = self.books.remove(instance) {
            self.groups.gone(instance, &at, &self.books);
            actions.push(Action::Reclaim {
                instance,
                because: Because::Expired,
            });
        }
    }

    fn retire(&mut self, version: VersionId, actions: &mut Vec<Action>) {
        for instance in self.books.idle_of(version) {
            self.reclaim(instance, actions);
        }
        self.waiting.retired(version);
    }

    fn seen(&mut self, seen: Seen, actions: &mut Vec<Action>) {
        match seen {
            Seen::Nothing => {}
            Seen::Starting(instance, at) => {
                self.groups.starting(instance, &at, &self.books);
                self.shrink(at.node, actions);
            }
            Seen::Busy(instance, at) => {
                self.groups.busy(instance, &at, &self.books);
                self.shrink(at.node, actions);
            }
            Seen::Gone(instance, at) => self.groups.gone(instance, &at, &self.books),
            Seen::Idle { instance, at, .. } => {
                self.groups.idle(instance, &at, &self.books);
                let version = self.books.version(at.version);
                if version.waiting > 0 {
                    // It is about to be given to a request.
                } else if version.is_retired() {
                    self.reclaim(instance, actions);
                } else {
                    self.shrink(at.node, actions);
                }
            }
        }
    }
}

impl Policy for Cache {
    fn observe(&mut self, now: Instant, event: Event, actions: &mut Vec<Action>) {
        self.waiting.learn(now, &event, &self.books);
        let seen = self.books.observe(now, &event);
        self.seen(seen, actions);
        match event {
            Event::Started(started) => self.groups.started(&started, &self.books),
            Event::Node(room) => self.shrink(room.node, actions),
            Event::Held(held) => self.shrink(held.node, actions),
            Event::Pressure { node, shortage, .. } => self.relieve(node, shortage, actions),
            Event::Retired(version) => self.retire(version, actions),
            Event::Waits(waits) => self.waiting.waits(now, waits, &self.books, actions),
            Event::Left(ticket) => self.waiting.left(ticket),
            Event::Tick => self.waiting.tick(now, &self.books, actions),
            _ => {}
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        self.waiting.wake_at()
    }
}

#[cfg(test)]
mod tests;
