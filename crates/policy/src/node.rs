//! What a node decides by as yet: fixed keep-alive, eviction by age, and what of the ladder is given up.

mod keep_alive;
pub mod ladder;

use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::Instant;

pub use keep_alive::KeepAlive;

/// Something that happened on a node, as its policy sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// An instance has nothing to do: its start or its request is over.
    Idle(Idle),
    /// An idle instance was given a request.
    Busy(InstanceId),
    /// An instance is no more, whatever it did before.
    Gone(InstanceId),
    /// A start needs room that the node does not have.
    Pressure(Shortage),
    /// Time has passed; due at the latest when [`Policy::wake_at`] says.
    Tick,
}

/// An instance that waits for its next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idle {
    /// The instance.
    pub instance: InstanceId,
    /// What its reclamation gives back, in MiB.
    pub memory_mb: u64,
    /// How long its function wants it kept.
    pub keep_alive: Duration,
}

/// Room that is missing. Both parts must be met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shortage {
    /// Memory, in MiB.
    pub memory_mb: u64,
    /// Instances.
    pub instances: u64,
}

/// What the node is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// End this idle instance. The policy counts it as gone from here on.
    Reclaim(InstanceId),
}

/// Decides which instances live. Events come in the order in which they happened.
pub trait Policy: Send {
    /// Takes one event in and returns what follows from it.
    fn observe(&mut self, now: Instant, event: Event) -> Vec<Action>;

    /// When the policy wants its next [`Event::Tick`], if at all.
    fn wake_at(&self) -> Option<Instant>;
}
