//! What all policies have in common that keep idle instances for a time: books, expiry, eviction of the
//! longest idle when a node needs room, and a start at once for every request that finds no instance.

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::Instant;

use crate::action::{Action, Because};
use crate::books::{Books, Instance, Seen};
use crate::event::{Event, Shortage};
use crate::kept::Kept;
use crate::placement::place;
use crate::{NodeId, Policy, VersionId};

/// What tells such policies apart.
pub(super) trait Rule: Send {
    /// Sees every event, after the books have and before anything follows from it.
    fn observe(
        &mut self,
        now: Instant,
        event: &Event,
        seen: &Seen,
        books: &Books,
        actions: &mut Vec<Action>,
    );

    /// Until when to keep an instance that has become idle. One whose time is over already is ended now.
    /// `served` says whether it comes from a request.
    fn keep_until(&mut self, now: Instant, at: &Instance, served: bool, books: &Books) -> Instant;

    /// What becomes of an instance whose time is over.
    fn expired(
        &mut self,
        now: Instant,
        instance: InstanceId,
        at: &Instance,
        books: &Books,
    ) -> Action {
        let _ = (now, at, books);
        Action::Reclaim {
            instance,
            because: Because::Expired,
        }
    }

    /// When the rule wants a tick for itself.
    fn wake_at(&self) -> Option<Instant> {
        None
    }
}

/// A policy made of such a rule.
#[derive(Debug, Default)]
pub(super) struct TimeToLive<R> {
    books: Books,
    kept: Kept,
    rule: R,
}

impl<R: Rule> TimeToLive<R> {
    pub(super) fn new(rule: R) -> Self {
        Self {
            books: Books::default(),
            kept: Kept::default(),
            rule,
        }
    }

    fn idle(
        &mut self,
        now: Instant,
        instance: InstanceId,
        at: &Instance,
        served: bool,
        actions: &mut Vec<Action>,
    ) {
        let until = self.rule.keep_until(now, at, served, &self.books);
        let version = self.books.version(at.version);
        let until = if version.is_retired() { now } else { until };
        // One that a request waits for is about to be given to it; if not, the next tick ends it.
        if version.waiting == 0 && until <= now {
            self.end(now, instance, actions);
        } else {
            self.kept.keep(instance, at.node, now, until);
        }
    }

    /// Lets go of an idle instance as the rule has it.
    fn end(&mut self, now: Instant, instance: InstanceId, actions: &mut Vec<Action>) {
        if let Some(at) = self.strike(instance) {
            actions.push(self.rule.expired(now, instance, &at, &self.books));
        }
    }

    fn strike(&mut self, instance: InstanceId) -> Option<Instance> {
        let at = self.books.remove(instance)?;
        self.kept.forget(instance, at.node);
        Some(at)
    }

    fn expire(&mut self, now: Instant, actions: &mut Vec<Action>) {
        while let Some(instance) = self.kept.expired(now) {
            self.end(now, instance, actions);
        }
    }

    fn evict(&mut self, node: NodeId, shortage: Shortage, actions: &mut Vec<Action>) {
        let (mut memory, mut instances) = (0u64, 0u32);
        while memory < shortage.memory.0 || instances < shortage.instances {
            let Some(instance) = self.kept.longest_idle(node) else {
                break;
            };
            let freed = self.strike(instance).map_or(0, |at| at.memory.0);
            memory = memory.saturating_add(freed);
            instances += 1;
            actions.push(Action::Reclaim {
                instance,
                because: Because::Pressure,
            });
        }
    }

    fn retire(&mut self, version: VersionId, actions: &mut Vec<Action>) {
        for instance in self.books.idle_of(version) {
            self.strike(instance);
            actions.push(Action::Reclaim {
                instance,
                because: Because::Expired,
            });
        }
    }
}

impl<R: Rule> Policy for TimeToLive<R> {
    fn observe(&mut self, now: Instant, event: Event, actions: &mut Vec<Action>) {
        let seen = self.books.observe(now, &event);
        self.rule.observe(now, &event, &seen, &self.books, actions);
        match seen {
            Seen::Idle {
                instance,
                at,
                served,
            } => self.idle(now, instance, &at, served, actions),
            Seen::Busy(instance, at) | Seen::Gone(instance, at) | Seen::Starting(instance, at) => {
                self.kept.forget(instance, at.node);
            }
            Seen::Nothing => {}
        }
        match event {
            Event::Waits(waits) => actions.push(Action::Start {
                ticket: waits.ticket,
                node: place(&self.books, waits.version),
            }),
            Event::Pressure { node, shortage, .. } => self.evict(node, shortage, actions),
            Event::Retired(version) => self.retire(version, actions),
            Event::Tick => self.expire(now, actions),
            _ => {}
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        [self.kept.next(), self.rule.wake_at()]
            .into_iter()
            .flatten()
            .min()
    }
}
