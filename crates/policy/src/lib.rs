//! Pure decisions: which versions stand on which rung of the ladder, where, and until when.
//!
//! A [`Policy`] sees what happens and says what is to be done about it. It does no IO, reads no clock and
//! draws no random number: every event carries its time, and the same events give the same actions, so
//! that the simulator runs on a trace the very code that runs a node.
#![forbid(unsafe_code)]

pub mod action;
pub mod books;
pub mod budget;
pub mod costs;
pub mod dense;
pub mod durations;
pub mod event;
pub mod eventlog;
pub mod explain;
pub mod fairness;
pub mod giving_up;
pub mod histogram;
pub mod kept;
pub mod placement;
pub mod policies;
pub mod predict;
pub mod queueing;
pub mod ranking;

pub use action::Action;
pub use event::Event;
pub use explain::{Counters, Explained};

use std::fmt;
use std::time::Duration;

use pilotlight_model::node::CallCounters;
use pilotlight_model::start::Instant;
use serde::{Deserialize, Serialize};

/// Decides on keep-alive, eviction, starts ahead of time, and whether a request waits or gets a start.
pub trait Policy: Send {
    /// Takes one event in and adds to `actions` what follows from it. Times never go backwards.
    fn observe(&mut self, now: Instant, event: Event, actions: &mut Vec<Action>);

    /// When the policy wants its next [`Event::Tick`], if at all. A tick may come earlier or later.
    fn wake_at(&self) -> Option<Instant>;

    /// Whether it reckons with what idle instances were measured to take
    /// ([`Event::Measured`]), so that this is worth measuring.
    fn weighs(&self) -> bool {
        false
    }

    /// Whether it makes something ready for what a request causes, and so is to hear of it while it runs. Others hear
    /// of it when it is over, at the latest.
    fn hurries(&self) -> bool {
        false
    }

    /// What is known of a version and was done about it, where the policy keeps account of that.
    fn explain(&self, version: VersionId, now: Instant) -> Option<Explained<'_>> {
        let _ = (version, now);
        None
    }

    /// What forecasts were worth, all versions together, where the policy makes any.
    fn counters(&self) -> Option<Counters> {
        None
    }

    /// What forecasts of calls were worth, all callers together, where the policy makes any.
    fn call_counters(&self) -> Option<CallCounters> {
        None
    }
}

/// Versions that a policy has room for. What it is told of one from this number on, it does not keep.
pub const MOST_VERSIONS: u32 = 1 << 22;

/// Nodes that a policy has room for, likewise.
pub const MOST_NODES: u32 = 1 << 12;

/// A function's version. Numbers are dense and given by who drives the policy: from 0 on, and used again
/// only after [`Event::Retired`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VersionId(pub u32);

/// A node of the cluster, dense as [`VersionId`] is. A node that decides for itself alone is number 0.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NodeId(pub u32);

/// A request without an instance, for as long as it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(pub u64);

/// Memory, in bytes.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    /// So many MiB.
    pub const fn mib(mib: u64) -> Self {
        Self(mib << 20)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} MiB", self.0 as f64 / f64::from(1 << 20))
    }
}

/// The time so much after another; the latest that there is, if that would be later still.
pub fn later(from: Instant, by: Duration) -> Instant {
    let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
    Instant(from.0.saturating_add(nanos))
}
