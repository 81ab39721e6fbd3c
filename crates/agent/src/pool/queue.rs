//! Requests that wait for an instance.

use std::sync::Arc;

use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::node::NodeError;
use pilotlight_model::start::{Cold, Instant, StartKind};
use tokio::sync::oneshot;

use super::history::Absence;
use super::orders::{Grant, Ticket};
use super::sharing::flow_of;
use super::state::{State, VersionPool};
use crate::instance::Instance;

/// A request that waits.
pub(super) struct Waiting {
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) sender: oneshot::Sender<Grant>,
    /// It is served by its own start alone.
    pub(super) cold: Option<Cold>,
    /// The policy knows that it waits.
    pub(super) told: bool,
    /// When it began to wait, and why it had to.
    pub(super) since: Instant,
    pub(super) absence: Absence,
    /// It may have a start.
    pub(super) permitted: bool,
    /// It has waited for as long as one that is about to be idle is worth waiting for.
    pub(super) wants_start: bool,
}

/// What a request that has begun to wait may expect.
pub(super) struct Queued {
    pub(super) ticket: Ticket,
    /// An instance of the version is granted already, or about to be idle.
    pub(super) soon: bool,
    /// What comes if it is not waited for costs next to nothing.
    pub(super) cheap: bool,
}

impl Waiting {
    /// A request of which nobody knows yet.
    pub(super) fn new(
        spec: &Arc<FunctionSpec>,
        sender: oneshot::Sender<Grant>,
        cold: Option<Cold>,
    ) -> Self {
        Self {
            spec: Arc::clone(spec),
            sender,
            cold,
            told: false,
            since: Instant(0),
            absence: Absence::First,
            permitted: false,
            wants_start: false,
        }
    }

    /// Gives the request that instance. False if it waits no more.
    pub(super) fn grant(self, instance: &Arc<Instance>, kind: StartKind) -> bool {
        let grant = Grant::Instance(Arc::clone(instance), kind);
        self.sender.send(grant).is_ok()
    }
}

impl State {
    /// Gives a request a place in the queue.
    pub(super) fn queue(&mut self, waiting: Waiting) -> Result<Queued, NodeError> {
        let (key, any) = (waiting.spec.key.clone(), waiting.cold.is_none());
        let version = self.versions.get(&key);
        let finishing = any && version.is_some_and(VersionPool::is_finishing);
        let ticket = self.wait(waiting)?;
        // One may have become idle since the request looked, and must not be left beside a start.
        let granted = any && self.grant_idle(ticket);
        Ok(Queued {
            ticket,
            soon: finishing || granted,
            cheap: self.is_cheap(&key),
        })
    }

    fn wait(&mut self, mut waiting: Waiting) -> Result<Ticket, NodeError> {
        if self.waiting.len() as u64 >= u64::from(self.limits.waiting_invocations)
            || u64::from(waiting.spec.memory_mb) > self.capacity_mb
        {
            return Err(NodeError::Overloaded);
        }
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        waiting.since = self.now;
        waiting.absence = self.absence(&waiting.spec.key, waiting.cold);
        let now = self.now;
        let version = self.version(&waiting.spec);
        version.uses += 1;
        version.last_used = now;
        if waiting.cold.is_none() {
            version.waiting.insert(ticket);
        }
        self.waiting.insert(ticket, waiting);
        self.tell_waits(ticket);
        Ok(ticket)
    }

    /// Gives an idle instance of its version to a request that has just begun to wait.
    fn grant_idle(&mut self, ticket: Ticket) -> bool {
        let Some(key) = self.waiting.get(&ticket).map(|it| it.spec.key.clone()) else {
            return false;
        };
        let Some(instance) = self.pop_idle(&key) else {
            return false;
        };
        let Some(waiting) = self.take_waiting(ticket) else {
            return false;
        };
        // The caller holds the receiver.
        self.grant(waiting, &instance, StartKind::Warm);
        true
    }

    /// From now on a start is better than to wait for one that is about to be idle. Whether it may have one already.
    pub(super) fn want_start(&mut self, ticket: Ticket) -> bool {
        let Some(waiting) = self.waiting.get_mut(&ticket) else {
            return false;
        };
        waiting.wants_start = true;
        if waiting.permitted {
            let flow = flow_of(&waiting.spec.key);
            self.fair.wait(flow, ticket.into());
        }
        waiting.permitted
    }

    /// The request may have a start. Whether it is one more that wants one now.
    pub(super) fn permit(&mut self, ticket: Ticket) -> bool {
        let Some(waiting) = self.waiting.get_mut(&ticket) else {
            return false;
        };
        let news = !std::mem::replace(&mut waiting.permitted, true) && waiting.wants_start;
        if news {
            self.fair.wait(flow_of(&waiting.spec.key), ticket.into());
        }
        news
    }

    /// The first of a version's requests that an instance which has become free may serve.
    pub(super) fn first_waiting(&self, key: &VersionKey) -> Option<Ticket> {
        self.versions.get(key)?.waiting.first().copied()
    }

    /// Takes a request out of the queue.
    pub(super) fn take_waiting(&mut self, ticket: Ticket) -> Option<Waiting> {
        self.tell_left(ticket);
        let waiting = self.waiting.remove(&ticket)?;
        self.fair.left(flow_of(&waiting.spec.key), ticket.into());
        if let Some(version) = self.versions.get_mut(&waiting.spec.key) {
            version.waiting.remove(&ticket);
        }
        self.forget_if_unused(&waiting.spec.key);
        Some(waiting)
    }
}
