//! What an instance is worth keeping, by each of the policies.

use super::groups::Group;

/// By what instances are ordered for eviction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// When they were last used.
    Lru,
    /// How often their version is used.
    Lfu,
    /// FaasCache's priority.
    GreedyDual,
    /// CIDRE's priority, and its waiting for busy instances.
    Cidre,
}

/// A worth: a number that is not negative, in an order that is total.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Worth(u64);

impl Worth {
    pub(super) fn new(worth: f64) -> Self {
        // The bits of numbers that are not negative are in the numbers' order.
        Self(if worth > 0.0 { worth.to_bits() } else { 0 })
    }

    pub(super) fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl Order {
    /// What an idle instance with that clock is worth. Of equal ones, the longest idle goes.
    pub(super) fn worth(self, group: &Group, clock: Worth) -> Worth {
        let frequency = group.frequency as f64;
        let cost_ms = group.cost.as_secs_f64() * 1e3;
        let size_mib = group.size.0.max(1) as f64 / f64::from(1 << 20);
        let value = frequency * cost_ms / size_mib;
        match self {
            Order::Lru => Worth::default(),
            Order::Lfu => Worth::new(frequency),
            Order::GreedyDual => Worth::new(clock.get() + value),
            Order::Cidre => Worth::new(clock.get() + value / f64::from(group.instances.max(1))),
        }
    }
}
