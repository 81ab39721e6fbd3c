//! Fixed keep-alive: an idle instance is kept for as long as its function says, and given up earlier
//! when the node needs its room, the longest idle first.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::Instant;

use super::{Action, Event, Idle, Policy, Shortage};

/// The policy. Every event costs O(log n) of the idle instances, and O(log n) per instance reclaimed.
#[derive(Debug, Default)]
pub struct KeepAlive {
    idle: HashMap<InstanceId, Entry>,
    /// Oldest first: the order of eviction.
    by_age: BTreeSet<(Instant, InstanceId)>,
    /// Soonest first: the order of expiry, which differs because functions differ in keep-alive.
    by_expiry: BTreeSet<(Instant, InstanceId)>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    since: Instant,
    until: Instant,
    memory_mb: u64,
}

impl KeepAlive {
    /// A policy that knows of no instance yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Idle instances that the policy keeps.
    pub fn idle(&self) -> usize {
        self.idle.len()
    }

    fn insert(&mut self, now: Instant, idle: Idle) {
        self.remove(idle.instance);
        let until = later(now, idle.keep_alive);
        self.idle.insert(
            idle.instance,
            Entry {
                since: now,
                until,
                memory_mb: idle.memory_mb,
            },
        );
        self.by_age.insert((now, idle.instance));
        self.by_expiry.insert((until, idle.instance));
    }

    fn remove(&mut self, instance: InstanceId) -> Option<Entry> {
        let entry = self.idle.remove(&instance)?;
        self.by_age.remove(&(entry.since, instance));
        self.by_expiry.remove(&(entry.until, instance));
        Some(entry)
    }

    fn expire(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(&(until, instance)) = self.by_expiry.first()
            && until <= now
        {
            self.remove(instance);
            actions.push(Action::Reclaim(instance));
        }
        actions
    }

    fn evict(&mut self, shortage: Shortage) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut freed_mb = 0;
        while freed_mb < shortage.memory_mb || (actions.len() as u64) < shortage.instances {
            let Some(&(_, instance)) = self.by_age.first() else {
                break;
            };
            freed_mb += self.remove(instance).map_or(0, |entry| entry.memory_mb);
            actions.push(Action::Reclaim(instance));
        }
        actions
    }
}

impl Policy for KeepAlive {
    fn observe(&mut self, now: Instant, event: Event) -> Vec<Action> {
        match event {
            Event::Idle(idle) => {
                self.insert(now, idle);
                Vec::new()
            }
            Event::Busy(instance) | Event::Gone(instance) => {
                self.remove(instance);
                Vec::new()
            }
            Event::Pressure(shortage) => self.evict(shortage),
            Event::Tick => self.expire(now),
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        self.by_expiry.first().map(|&(until, _)| until)
    }
}

fn later(from: Instant, by: Duration) -> Instant {
    let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
    Instant(from.0.saturating_add(nanos))
}

#[cfg(test)]
mod tests;
