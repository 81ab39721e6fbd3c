//! One instance, as the books have it.

use pilotlight_model::start::Instant;

use crate::{Bytes, NodeId, VersionId};

/// An instance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Instance {
    /// Whose.
    pub version: VersionId,
    /// Where.
    pub node: NodeId,
    /// What it does.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// What it takes: measured when it was last idle, before that what those of its version took last.
    pub memory: Bytes,
    /// How many versions like its own that one stood for when it was made.
    pub weight: f32,
}

/// What an instance does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is being made, or is ready and has not been said to be idle or busy.
    Starting,
    /// Nothing.
    Idle,
    /// It serves a request.
    Busy,
}
