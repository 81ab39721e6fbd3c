//! One node, as the books have it: its room, and what of it is taken.

use crate::Bytes;

/// A node. One that was never heard of has room for everything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// Memory that it has.
    pub(super) memory: Bytes,
    /// Instances that it can have.
    pub(super) most: u32,
    /// Memory that is taken.
    pub(super) used: Bytes,
    /// The same by weight.
    pub(super) counted: Bytes,
    instances: u32,
}

impl Node {
    /// Memory that nothing takes.
    pub(super) fn free(&self) -> Bytes {
        Bytes(self.memory.0.saturating_sub(self.used.0))
    }

    /// Instances that it could have besides those it has.
    pub(super) fn places(&self) -> u32 {
        self.most.saturating_sub(self.instances)
    }

    /// Whether it has more than it has room for.
    pub(super) fn is_over(&self) -> bool {
        self.used > self.memory || self.instances > self.most
    }

    /// So many instances more, or less.
    pub(super) fn count(&mut self, by: i32) {
        self.instances = self.instances.saturating_add_signed(by);
    }

    /// Memory is taken, or given back by the same weight.
    pub(super) fn take(&mut self, memory: Bytes, weight: f32, more: bool) {
        let counted = Bytes((memory.0 as f64 * f64::from(weight)) as u64);
        for (sum, part) in [(&mut self.used, memory), (&mut self.counted, counted)] {
            sum.0 = if more {
                sum.0.saturating_add(part.0)
            } else {
                sum.0.saturating_sub(part.0)
            };
        }
    }
}

impl Default for Node {
    fn default() -> Self {
        Self {
            memory: Bytes(u64::MAX),
            most: u32::MAX,
            used: Bytes(0),
            counted: Bytes(0),
            instances: 0,
        }
    }
}
