//! The instances that live.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::{Instant, StartKind};
use pilotlight_policy::action::Source;
use pilotlight_policy::{Bytes, NodeId, Ticket, VersionId};

use super::seat::Part;

/// An instance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instance {
    pub(crate) version: VersionId,
    pub(crate) node: NodeId,
    pub(crate) kind: StartKind,
    pub(crate) part: Part,
    /// The request that it is made for.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) began: Instant,
    /// What its start takes, in nanoseconds.
    pub(crate) took: u64,
    /// What expected a request, until one comes.
    pub(crate) forecast: Option<Source>,
    /// Its memory when it was made.
    pub(crate) weighs: Bytes,
}

/// All instances that live, by number.
#[derive(Debug, Default)]
pub(crate) struct Instances {
    by_id: HashMap<InstanceId, Instance, BuildHasherDefault<Numbers>>,
    count: u64,
}

impl Instances {
    pub(crate) fn add(&mut self, instance: Instance) -> InstanceId {
        self.count += 1;
        let id = InstanceId(self.count);
        self.by_id.insert(id, instance);
        id
    }

    pub(crate) fn get(&self, id: InstanceId) -> Option<Instance> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn get_mut(&mut self, id: InstanceId) -> Option<&mut Instance> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn remove(&mut self, id: InstanceId) -> Option<Instance> {
        self.by_id.remove(&id)
    }

    /// All of them, in the order in which they were made.
    pub(crate) fn all(&self) -> Vec<Instance> {
        let mut all: Vec<_> = self.by_id.iter().collect();
        all.sort_unstable_by_key(|(id, _)| **id);
        all.into_iter().map(|(_, instance)| *instance).collect()
    }
}

/// Numbers that count up need no more of a hash than to be spread.
#[derive(Debug, Default)]
pub(crate) struct Numbers(u64);

impl Hasher for Numbers {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(26);
    }
}
