//! Idle instances in the order in which they are evicted: by version within a node, and the versions of a
//! node by the instance of theirs that is worth least. A use of one version so moves one entry, however many
//! instances it has.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::Instant;

use super::worth::{Order, Worth};
use crate::books::{Books, Instance};
use crate::dense::Dense;
use crate::event::Started;
use crate::ranking::Ranking;
use crate::{Bytes, MOST_NODES, NodeId, VersionId};

/// All of them. An event costs O(log n).
#[derive(Debug)]
pub(super) struct Groups {
    order: Order,
    nodes: Dense<Node>,
    /// Of versions that have an instance on the node; so what is known of one is forgotten with its last.
    groups: HashMap<(NodeId, VersionId), Group>,
    /// Of every instance: the clock at its last use, and since when it is idle if it is.
    marks: HashMap<InstanceId, Mark>,
}

#[derive(Debug, Default)]
struct Node {
    clock: Worth,
    /// What goes first: by worth, then by how long it has been idle.
    victims: Ranking<(Worth, Instant), VersionId>,
}

/// The instances of a version on a node.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Requests since it has instances here.
    pub(super) frequency: u64,
    /// What its first start here took.
    pub(super) cost: Duration,
    /// What an instance takes.
    pub(super) size: Bytes,
    /// Instances, whatever they do.
    pub(super) instances: u32,
    /// Those that are idle, the one that goes first at the front.
    idle: BTreeSet<(Worth, Instant, InstanceId)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    clock: Worth,
    idle_since: Option<Instant>,
}

impl Groups {
    pub(super) fn new(order: Order) -> Self {
        Self {
            order,
            nodes: Dense::new(MOST_NODES),
            groups: HashMap::new(),
            marks: HashMap::new(),
        }
    }

    /// What is evicted next on a node; its worth becomes the node's clock.
    pub(super) fn victim(&mut self, node: NodeId) -> Option<InstanceId> {
        let on = self.nodes.entry(node.0)?;
        let ((worth, _), version) = on.victims.first()?;
        on.clock = on.clock.max(worth);
        let group = self.groups.get(&(node, version))?;
        group.idle.first().map(|(_, _, instance)| *instance)
    }

    pub(super) fn starting(&mut self, instance: InstanceId, at: &Instance, books: &Books) {
        let clock = self.clock(at.node);
        let mark = Mark {
            clock,
            idle_since: None,
        };
        if self.marks.insert(instance, mark).is_none() {
            self.group(at).instances += 1;
        }
        self.place(at, books);
    }

    pub(super) fn started(&mut self, started: &Started, books: &Books) {
        let Some(at) = books.instance(started.instance) else {
            return;
        };
        let group = self.group(&at);
        if group.cost.is_zero() {
            group.cost = started.took;
            self.place(&at, books);
        }
    }

    pub(super) fn busy(&mut self, instance: InstanceId, at: &Instance, books: &Books) {
        self.stir(instance, at);
        let clock = self.clock(at.node);
        self.marks.entry(instance).or_default().clock = clock;
        self.group(at).frequency += 1;
        self.place(at, books);
    }

    pub(super) fn idle(&mut self, instance: InstanceId, at: &Instance, books: &Books) {
        self.stir(instance, at);
        let mark = self.marks.entry(instance).or_default();
        mark.idle_since = Some(at.since);
        let entry = (mark.clock, at.since, instance);
        self.group(at).idle.insert(entry);
        self.place(at, books);
    }

    pub(super) fn gone(&mut self, instance: InstanceId, at: &Instance, books: &Books) {
        self.stir(instance, at);
        if self.marks.remove(&instance).is_some() {
            let group = self.group(at);
            group.instances = group.instances.saturating_sub(1);
        }
        self.place(at, books);
    }

    /// Takes an instance out of the idle ones, if it is among them.
    fn stir(&mut self, instance: InstanceId, at: &Instance) {
        let Some(mark) = self.marks.get_mut(&instance) else {
            return;
        };
        if let Some(since) = mark.idle_since.take() {
            let entry = (mark.clock, since, instance);
            self.group(at).idle.remove(&entry);
        }
    }

    /// Puts a version where it belongs among the victims of a node.
    fn place(&mut self, at: &Instance, books: &Books) {
        let key = (at.node, at.version);
        let Some(node) = self.nodes.entry(at.node.0) else {
            return;
        };
        let Some(group) = self.groups.get_mut(&key) else {
            return;
        };
        group.size = books.version(at.version).instance_memory();
        match group.idle.first() {
            Some(&(clock, since, _)) => {
                let worth = self.order.worth(group, clock);
                node.victims.set(at.version, (worth, since));
            }
            None => {
                node.victims.remove(at.version);
            }
        }
        if group.instances == 0 {
            self.groups.remove(&key);
        }
    }

    fn group(&mut self, at: &Instance) -> &mut Group {
        self.groups.entry((at.node, at.version)).or_default()
    }

    fn clock(&self, node: NodeId) -> Worth {
        match self.order {
            Order::GreedyDual | Order::Cidre => self
                .nodes
                .get(node.0)
                .map_or(Worth::default(), |node| node.clock),
            Order::Lru | Order::Lfu => Worth::default(),
        }
    }
}
