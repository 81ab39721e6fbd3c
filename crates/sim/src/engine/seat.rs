//! What a version has on a node, and the memory and memory-time of it.

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Instant, StartKind};
use pilotlight_policy::action::Source;
use pilotlight_policy::{Bytes, NodeId, VersionId};

use super::facts::{Fact, Facts};
use crate::options::Cluster;

/// Mebibytes times seconds in bytes times nanoseconds.
const MB_S: f64 = (1u64 << 20) as f64 * 1e9;

/// What of a version memory is held by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// An instance that is being made.
    Starting,
    /// An idle one.
    Idle,
    /// One that runs a request.
    Busy,
}

/// A template or spare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Holding {
    #[default]
    None,
    /// Being made; its memory counts.
    Making,
    There,
}

/// What one version has on one node.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    /// Up to when its memory-time has been counted.
    since: Instant0,
    pub(crate) template: Holding,
    pub(crate) spare: Holding,
    /// The rung that the policy wants.
    pub(crate) wanted: Rung,
    /// When an instance of it there last had a request, or was wanted.
    pub(crate) last_used: Instant0,
    /// What expects a request, where that is why it is held.
    pub(crate) forecast: Option<(Source, Instant)>,
    /// Instances that were made from a template, by part.
    forked: [u32; 3],
    /// All others.
    whole: [u32; 3],
    /// Idle instances, the one used last at the end.
    pub(crate) idle: Vec<InstanceId>,
}

/// Nanoseconds; [`Instant`] has no default.
pub(crate) type Instant0 = u64;

/// Memory of a seat, by what it is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) template: u64,
    pub(crate) spare: u64,
    /// Starting and idle instances.
    pub(crate) idle: u64,
    pub(crate) busy: u64,
}

impl Load {
    fn total(self) -> u64 {
        self.template + self.spare + self.idle + self.busy
    }
}

/// Memory-time of a version on all nodes, in MB·s, by what it was for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Held {
    /// Templates.
    pub template: f64,
    /// Spares.
    pub spare: f64,
    /// Instances that were starting or idle.
    pub idle: f64,
    /// Instances that ran requests.
    pub busy: f64,
}

impl Held {
    /// What did not run.
    pub fn wasted(&self) -> f64 {
        self.template + self.spare + self.idle
    }
}

fn was_forked(kind: StartKind) -> bool {
    matches!(kind, StartKind::Spare | StartKind::Forked)
}

impl Seat {
    pub(crate) fn add(&mut self, kind: StartKind, part: Part) {
        let counts = if was_forked(kind) {
            &mut self.forked
        } else {
            &mut self.whole
        };
        counts[part as usize] += 1;
    }

    pub(crate) fn remove(&mut self, kind: StartKind, part: Part) {
        let counts = if was_forked(kind) {
            &mut self.forked
        } else {
            &mut self.whole
        };
        debug_assert!(counts[part as usize] > 0);
        counts[part as usize] -= 1;
    }

    /// Instances in that part.
    pub(crate) fn instances(&self, part: Part) -> u32 {
        self.forked[part as usize] + self.whole[part as usize]
    }

    /// Instances of any part.
    pub(crate) fn all_instances(&self) -> u32 {
        [Part::Starting, Part::Idle, Part::Busy]
            .map(|part| self.instances(part))
            .iter()
            .sum()
    }

    /// What it weighs.
    fn load(&self, fact: &Fact) -> Load {
        self.sum(fact, fact.template, fact.forked)
    }

    /// What it takes of its node's room.
    fn takes(&self, fact: &Fact) -> u64 {
        let template = match self.template {
            Holding::Making => fact.room_to_make,
            Holding::None | Holding::There => fact.template,
        };
        self.sum(fact, template, fact.forked_takes).total()
    }

    /// All of it, with that for a template and for a fork beside it.
    fn sum(&self, fact: &Fact, template: Bytes, forked: Bytes) -> Load {
        let held = |holding: Holding, bytes: Bytes| match holding {
            Holding::None => 0,
            Holding::Making | Holding::There => bytes.0,
        };
        // What a fork shares with its template is its own once the template has gone.
        let fork = match self.template {
            Holding::There => forked.0,
            _ => fact.memory.0,
        };
        let of = |part: Part| {
            u64::from(self.forked[part as usize]) * fork
                + u64::from(self.whole[part as usize]) * fact.memory.0
        };
        Load {
            template: held(self.template, template),
            spare: held(self.spare, fact.spare),
            idle: of(Part::Starting) + of(Part::Idle),
            busy: of(Part::Busy),
        }
    }
}

/// An instance's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Of its node's room.
    pub(crate) takes: Bytes,
    /// By itself, beside what it shares with a template.
    pub(crate) weighs: Bytes,
}

/// All seats of a cluster.
#[derive(Debug)]
pub(crate) struct Seats {
    nodes: usize,
    /// By version, then by node.
    seats: Vec<Seat>,
    held: Vec<Held>,
    /// The part of the time of each version's busy instances in which they are not needed.
    idle_share: Vec<f64>,
    used: Vec<u64>,
    limit: Option<u64>,
    /// The most that was used at once, over all nodes.
    peak: u64,
}

impl Seats {
    pub(crate) fn new(functions: usize, cluster: Cluster, begin: Instant) -> Self {
        let nodes = cluster.nodes.max(1) as usize;
        let mut seats = Vec::new();
        seats.resize_with(functions * nodes, || Seat {
            since: begin.0,
            ..Seat::default()
        });
        Self {
            nodes,
            seats,
            held: vec![Held::default(); functions],
            idle_share: vec![0.0; functions],
            used: vec![0; nodes],
            limit: cluster.memory.map(|memory| memory.0),
            peak: 0,
        }
    }

    fn index(&self, version: VersionId, node: NodeId) -> usize {
        version.0 as usize * self.nodes + node.0 as usize
    }

    /// Whether there are such a version and such a node.
    pub(crate) fn exists(&self, version: VersionId, node: NodeId) -> bool {
        (version.0 as usize) < self.held.len() && (node.0 as usize) < self.nodes
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes as u32).map(NodeId)
    }

    pub(crate) fn at(&self, version: VersionId, node: NodeId) -> &Seat {
        &self.seats[self.index(version, node)]
    }

    /// For what takes no memory.
    pub(crate) fn at_mut(&mut self, version: VersionId, node: NodeId) -> &mut Seat {
        let index = self.index(version, node);
        &mut self.seats[index]
    }

    /// Changes what takes memory, and counts what was there up to now.
    pub(crate) fn change(
        &mut self,
        version: VersionId,
        node: NodeId,
        now: Instant,
        facts: &Facts,
        change: impl FnOnce(&mut Seat),
    ) {
        let index = self.index(version, node);
        let fact = facts.of(version);
        self.settle(index, now, fact);
        let seat = &mut self.seats[index];
        let before = fact.weighted(seat.takes(fact));
        change(seat);
        let after = fact.weighted(seat.takes(fact));
        let used = &mut self.used[node.0 as usize];
        // Whatever a trace says of memory, what is added is what is taken away later.
        *used = used.wrapping_add(after).wrapping_sub(before);
        if after > before {
            self.peak = self.peak.max(
                self.used
                    .iter()
                    .fold(0, |sum, used| sum.saturating_add(*used)),
            );
        }
    }

    fn settle(&mut self, index: usize, now: Instant, fact: &Fact) {
        let seat = &mut self.seats[index];
        let elapsed = now.0.saturating_sub(seat.since) as f64 / MB_S;
        seat.since = now.0.max(seat.since);
        if elapsed > 0.0 {
            let load = seat.load(fact);
            let held = &mut self.held[index / self.nodes];
            held.template += load.template as f64 * elapsed;
            held.spare += load.spare as f64 * elapsed;
            let idle = self.idle_share[index / self.nodes];
            held.idle += (load.idle as f64 + load.busy as f64 * idle) * elapsed;
            held.busy += load.busy as f64 * (1.0 - idle) * elapsed;
        }
    }

    /// From now on that part of a version's busy memory-time counts as idle.
    pub(crate) fn idle_share(
        &mut self,
        version: VersionId,
        share: f64,
        now: Instant,
        facts: &Facts,
    ) {
        let first = version.0 as usize * self.nodes;
        for index in first..first + self.nodes {
            self.settle(index, now, facts.of(version));
        }
        self.idle_share[version.0 as usize] = share;
    }

    /// Counts what is there up to the end.
    pub(crate) fn settle_all(&mut self, end: Instant, facts: &Facts) {
        for index in 0..self.seats.len() {
            let version = VersionId((index / self.nodes) as u32);
            self.settle(index, end, facts.of(version));
        }
    }

    pub(crate) fn held(&self, version: VersionId) -> Held {
        self.held[version.0 as usize]
    }

    pub(crate) fn peak(&self) -> Bytes {
        Bytes(self.peak)
    }

    /// What an instance of that kind takes of the node's room, and what it weighs.
    pub(crate) fn size(
        &self,
        version: VersionId,
        node: NodeId,
        kind: StartKind,
        facts: &Facts,
    ) -> Size {
        let fact = facts.of(version);
        let beside = self.at(version, node).template == Holding::There && was_forked(kind);
        let (takes, weighs) = match beside {
            true => (fact.forked_takes, fact.forked),
            false => (fact.memory, fact.memory),
        };
        Size { takes, weighs }
    }

    /// What is missing on a node for so much more of a version. A version that stands for several takes as
    /// much as all of them.
    pub(crate) fn shortage(
        &self,
        version: VersionId,
        node: NodeId,
        need: Bytes,
        facts: &Facts,
    ) -> Bytes {
        let Some(limit) = self.limit else {
            return Bytes(0);
        };
        let need = facts.of(version).weighted(need.0);
        let used = self.used[node.0 as usize];
        Bytes(used.saturating_add(need).saturating_sub(limit))
    }

    /// Whether no node could ever have so much.
    pub(crate) fn is_too_much(&self, bytes: u64) -> bool {
        self.limit.is_some_and(|limit| bytes > limit)
    }

    /// The node with the most room.
    pub(crate) fn roomiest(&self) -> NodeId {
        let used = self.used.iter().enumerate();
        let least = used.min_by_key(|(index, used)| (**used, *index));
        NodeId(least.map_or(0, |(index, _)| index as u32))
    }
}
