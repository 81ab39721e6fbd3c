//! Requests that wait for an instance, in the order in which they came.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::BuildHasherDefault;

use pilotlight_model::start::Instant;
use pilotlight_policy::{NodeId, Ticket, VersionId};

use super::instances::Numbers;

/// A request without an instance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) version: VersionId,
    pub(super) since: Instant,
    pub(super) runs: Runs,
    /// Whether a start is under way for it.
    pub(super) started: bool,
}

/// For how long an instance is busy with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runs {
    /// So many nanoseconds.
    For(u64),
    /// For as long as its function needs a crew that large.
    Crew,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: HashMap<Ticket, Waiting, BuildHasherDefault<Numbers>>,
    /// By version, oldest first. Tickets that have left are still in it.
    lines: Vec<VecDeque<Ticket>>,
    /// Starts that found no room, by node, oldest first. Nodes that have some alone are in it.
    stuck: BTreeMap<NodeId, VecDeque<Ticket>>,
    count: u64,
}

impl Queue {
    pub(super) fn new(functions: usize) -> Self {
        Self {
            waiting: HashMap::default(),
            lines: vec![VecDeque::new(); functions],
            stuck: BTreeMap::new(),
            count: 0,
        }
    }

    pub(super) fn push(&mut self, version: VersionId, since: Instant, runs: Runs) -> Ticket {
        self.count += 1;
        let ticket = Ticket(self.count);
        self.lines[version.0 as usize].push_back(ticket);
        self.waiting.insert(
            ticket,
            Waiting {
                version,
                since,
                runs,
                started: false,
            },
        );
        ticket
    }

    pub(super) fn get(&self, ticket: Ticket) -> Option<Waiting> {
        self.waiting.get(&ticket).copied()
    }

    pub(super) fn started(&mut self, ticket: Ticket) {
        if let Some(waiting) = self.waiting.get_mut(&ticket) {
            waiting.started = true;
        }
    }

    /// The request of that ticket, or the oldest of the version, leaves.
    pub(super) fn take(
        &mut self,
        version: VersionId,
        preferred: Option<Ticket>,
    ) -> Option<(Ticket, Waiting)> {
        if let Some(ticket) = preferred
            && let Some(waiting) = self.waiting.remove(&ticket)
        {
            return Some((ticket, waiting));
        }
        let line = &mut self.lines[version.0 as usize];
        while let Some(ticket) = line.pop_front() {
            if let Some(waiting) = self.waiting.remove(&ticket) {
                return Some((ticket, waiting));
            }
        }
        None
    }

    pub(super) fn stuck(&mut self, ticket: Ticket, node: NodeId) {
        self.stuck.entry(node).or_default().push_back(ticket);
    }

    /// The nodes on which something is stuck.
    pub(super) fn stuck_nodes(&self) -> Vec<NodeId> {
        self.stuck.keys().copied().collect()
    }

    /// Whether a request waits for room there.
    pub(super) fn is_stuck_at(&self, node: NodeId) -> bool {
        self.stuck.contains_key(&node)
    }

    pub(super) fn next_stuck(&self, node: NodeId) -> Option<Ticket> {
        self.stuck.get(&node)?.front().copied()
    }

    pub(super) fn pop_stuck(&mut self, node: NodeId) {
        if let Some(line) = self.stuck.get_mut(&node) {
            line.pop_front();
            if line.is_empty() {
                self.stuck.remove(&node);
            }
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.waiting.len() as u64
    }

    pub(super) fn clear(&mut self) {
        for waiting in self.waiting.values() {
            self.lines[waiting.version.0 as usize].clear();
        }
        self.waiting.clear();
        self.stuck.clear();
    }
}
