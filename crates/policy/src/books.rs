//! What a policy must remember of what it was told: the nodes and their room, the versions and where they
//! stand, and the life of every instance.

mod instances;
mod nodes;
mod versions;

pub use instances::{Instance, State};
pub use versions::{Holding, Version};

use std::collections::{BTreeSet, HashMap};

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::Instant;

use crate::dense::Dense;
use crate::event::{Event, Idle, Room, Starting, Waits};
use crate::{Bytes, MOST_NODES, MOST_VERSIONS, NodeId, Ticket, VersionId};
use nodes::Node;

/// The books. An event costs O(log n) of the instances; a version takes about 100 bytes and an instance
/// about 120.
#[derive(Debug)]
pub struct Books {
    nodes: Dense<Node>,
    versions: Dense<Version>,
    instances: HashMap<InstanceId, Instance>,
    of_version: BTreeSet<(VersionId, InstanceId)>,
    tickets: HashMap<Ticket, VersionId>,
}

/// What an event meant for an instance that the books know.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seen {
    /// Nothing: the event is about something else, or about an instance that is not known (any more).
    Nothing,
    /// It is being made.
    Starting(InstanceId, Instance),
    /// It has nothing to do. `served` says that it just has served a request; otherwise its start is over.
    Idle {
        /// The instance.
        instance: InstanceId,
        /// As it stands now.
        at: Instance,
        /// Whether it comes from a request.
        served: bool,
    },
    /// It was given a request.
    Busy(InstanceId, Instance),
    /// It is no more; this is how it stood last.
    Gone(InstanceId, Instance),
}

impl Books {
    /// Writes an event down.
    pub fn observe(&mut self, now: Instant, event: &Event) -> Seen {
        match *event {
            Event::Node(room) => self.room(room),
            Event::Deployed(deployed) => {
                if let Some(version) = self.version_mut(deployed.version) {
                    version.deploy(&deployed);
                }
            }
            Event::Retired(id) => {
                if let Some(version) = self.version_mut(id) {
                    version.retire();
                }
            }
            Event::Held(held) => self.hold(
                held.version,
                Holding {
                    node: held.node,
                    rung: held.rung,
                    memory: held.memory,
                    weight: self.version(held.version).weight,
                },
            ),
            Event::Lost {
                version,
                node,
                rung,
            } => self.lose(version, node, rung),
            Event::Waits(waits) => self.waits(waits),
            Event::Left(ticket) => self.left(ticket),
            Event::Starting(starting) => return self.starting(now, starting),
            Event::Idle(idle) => return self.idle(now, idle),
            Event::Busy(instance) => return self.busy(now, instance),
            Event::Gone(instance) => {
                return self
                    .remove(instance)
                    .map_or(Seen::Nothing, |at| Seen::Gone(instance, at));
            }
            Event::Arrived(_)
            | Event::Measured(_)
            | Event::Started(_)
            | Event::Refused { .. }
            | Event::Shift(_)
            | Event::Calls(_)
            | Event::Announced(_)
            | Event::Pressure { .. }
            | Event::Tick => {}
        }
        Seen::Nothing
    }

    /// Strikes an instance out, as one that is no more.
    pub fn remove(&mut self, instance: InstanceId) -> Option<Instance> {
        let at = self.instances.remove(&instance)?;
        self.of_version.remove(&(at.version, instance));
        self.count(at, -1);
        Some(at)
    }

    /// How an instance stands.
    pub fn instance(&self, instance: InstanceId) -> Option<Instance> {
        self.instances.get(&instance).copied()
    }

    /// The instances of a version, in order.
    pub fn instances_of(&self, version: VersionId) -> impl Iterator<Item = (InstanceId, Instance)> {
        let from = (version, InstanceId(0));
        let to = (version, InstanceId(u64::MAX));
        self.of_version
            .range(from..=to)
            .filter_map(|&(_, id)| Some((id, self.instance(id)?)))
    }

    /// The idle instances of a version, in order.
    pub fn idle_of(&self, version: VersionId) -> Vec<InstanceId> {
        self.instances_of(version)
            .filter(|(_, at)| at.state == State::Idle)
            .map(|(instance, _)| instance)
            .collect()
    }

    /// What is known of a version; of one that was never heard of, what a new one has.
    pub fn version(&self, version: VersionId) -> &Version {
        const UNHEARD: &Version = &Version::UNHEARD;
        self.versions.get(version.0).unwrap_or(UNHEARD)
    }

    /// Nodes that were heard of, in order. There is always one.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        (0..self.nodes.len().max(1)).map(NodeId)
    }

    /// Memory that instances, templates and zygotes of a node take, as far as it is known.
    pub fn used(&self, node: NodeId) -> Bytes {
        self.node(node).used
    }

    /// The same, each version's as many times as it stands for others like it: what a budget is compared
    /// with.
    pub fn counted(&self, node: NodeId) -> Bytes {
        self.node(node).counted
    }

    /// Memory of a node that nothing takes.
    pub fn free(&self, node: NodeId) -> Bytes {
        self.node(node).free()
    }

    /// Memory that a node has.
    pub fn memory(&self, node: NodeId) -> Bytes {
        self.node(node).memory
    }

    /// Instances that a node could have besides those it has.
    pub fn places(&self, node: NodeId) -> u32 {
        self.node(node).places()
    }

    /// Whether a node has more than it has room for.
    pub fn is_over(&self, node: NodeId) -> bool {
        self.node(node).is_over()
    }

    fn waits(&mut self, waits: Waits) {
        let is_new = self.tickets.insert(waits.ticket, waits.version).is_none();
        if let Some(version) = self.version_mut(waits.version).filter(|_| is_new) {
            version.waiting += 1;
        }
    }

    fn left(&mut self, ticket: Ticket) {
        let version = self.tickets.remove(&ticket);
        if let Some(version) = version.and_then(|version| self.version_mut(version)) {
            version.waiting = version.waiting.saturating_sub(1);
        }
    }

    fn starting(&mut self, now: Instant, starting: Starting) -> Seen {
        let known = self.instances.contains_key(&starting.instance);
        let node = self.node_mut(starting.node).is_some();
        if known || !node || self.version_mut(starting.version).is_none() {
            return Seen::Nothing;
        }
        let at = Instance {
            version: starting.version,
            node: starting.node,
            state: State::Starting,
            since: now,
            memory: self.version(starting.version).instance_memory(),
            weight: self.version(starting.version).weight,
        };
        self.instances.insert(starting.instance, at);
        self.of_version.insert((at.version, starting.instance));
        self.count(at, 1);
        Seen::Starting(starting.instance, at)
    }

    fn idle(&mut self, now: Instant, idle: Idle) -> Seen {
        let Some(before) = self.instance(idle.instance) else {
            return Seen::Nothing;
        };
        let at = Instance {
            state: State::Idle,
            since: now,
            memory: idle.memory,
            ..before
        };
        self.replace(idle.instance, before, at);
        if let Some(version) = self.version_mut(at.version) {
            version.measured(idle.memory);
        }
        Seen::Idle {
            instance: idle.instance,
            at,
            served: before.state == State::Busy,
        }
    }

    fn busy(&mut self, now: Instant, instance: InstanceId) -> Seen {
        let Some(before) = self.instance(instance) else {
            return Seen::Nothing;
        };
        let at = Instance {
            state: State::Busy,
            since: now,
            ..before
        };
        self.replace(instance, before, at);
        Seen::Busy(instance, at)
    }

    fn replace(&mut self, instance: InstanceId, before: Instance, at: Instance) {
        self.count(before, -1);
        self.instances.insert(instance, at);
        self.count(at, 1);
    }

    /// Adds an instance to the sums it is part of, or takes it off them.
    fn count(&mut self, at: Instance, by: i32) {
        if let Some(version) = self.version_mut(at.version) {
            version.count(at.state, by);
        }
        if let Some(node) = self.node_mut(at.node) {
            node.count(by);
            node.take(at.memory, at.weight, by > 0);
        }
    }

    fn room(&mut self, room: Room) {
        if let Some(node) = self.node_mut(room.node) {
            node.memory = room.memory;
            node.most = room.instances;
        }
    }

    fn hold(&mut self, version: VersionId, holding: Holding) {
        self.lose(version, holding.node, holding.rung);
        if let Some(known) = self.version_mut(version) {
            known.held.push(holding);
            if let Some(node) = self.node_mut(holding.node) {
                node.take(holding.memory, holding.weight, true);
            }
        }
    }

    fn lose(&mut self, version: VersionId, node: NodeId, rung: Rung) {
        let lost = self
            .version_mut(version)
            .and_then(|version| version.lose(node, rung));
        if let Some(holding) = lost
            && let Some(node) = self.node_mut(node)
        {
            node.take(holding.memory, holding.weight, false);
        }
    }

    fn node(&self, node: NodeId) -> Node {
        self.nodes.get(node.0).copied().unwrap_or_default()
    }

    fn node_mut(&mut self, node: NodeId) -> Option<&mut Node> {
        self.nodes.entry(node.0)
    }

    fn version_mut(&mut self, version: VersionId) -> Option<&mut Version> {
        self.versions.entry(version.0)
    }
}

impl Default for Books {
    fn default() -> Self {
        Self {
            nodes: Dense::new(MOST_NODES),
            versions: Dense::new(MOST_VERSIONS),
            instances: HashMap::new(),
            of_version: BTreeSet::new(),
            tickets: HashMap::new(),
        }
    }
}

#[cfg(test)]
mod tests;
