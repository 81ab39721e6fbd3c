//! Idle instances that are kept until some time, and in what order they are given up before.

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::Instant;

use crate::dense::Dense;
use crate::ranking::Ranking;
use crate::{MOST_NODES, NodeId};

/// Idle instances, by the end of their time, and on each node by how long they have been idle.
#[derive(Debug)]
pub struct Kept {
    until: Ranking<Instant, InstanceId>,
    since: Dense<Ranking<Instant, InstanceId>>,
}

impl Kept {
    /// Keeps an instance that has been idle since `since` until `until`.
    pub fn keep(&mut self, instance: InstanceId, node: NodeId, since: Instant, until: Instant) {
        if let Some(order) = self.since.entry(node.0) {
            self.until.set(instance, until);
            order.set(instance, since);
        }
    }

    /// Forgets an instance, if it is kept on that node.
    pub fn forget(&mut self, instance: InstanceId, node: NodeId) {
        self.until.remove(instance);
        if let Some(order) = self.since.entry(node.0) {
            order.remove(instance);
        }
    }

    /// An instance whose time is over, the earliest first. It stays until it is forgotten.
    pub fn expired(&self, now: Instant) -> Option<InstanceId> {
        let (until, instance) = self.until.first()?;
        (until <= now).then_some(instance)
    }

    /// The instance of a node that has been idle for longest.
    pub fn longest_idle(&self, node: NodeId) -> Option<InstanceId> {
        let (_, instance) = self.since.get(node.0)?.first()?;
        Some(instance)
    }

    /// When the next one's time is over.
    pub fn next(&self) -> Option<Instant> {
        self.until.first().map(|(until, _)| until)
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            until: Ranking::default(),
            since: Dense::new(MOST_NODES),
        }
    }
}
