//! What the platform knows ahead of requests, and tells a node.

use std::sync::Arc;
use std::time::Duration;

use crate::function::FunctionSpec;

/// Requests move from one version to another: the routing of an alias is about to change.
#[derive(Debug, Clone)]
pub struct Shift {
    /// From that version.
    pub from: Arc<FunctionSpec>,
    /// To that one.
    pub to: Arc<FunctionSpec>,
    /// The part of `from`'s requests that moves, more than 0 and at most 1.
    pub part: f64,
    /// The share of the alias's requests that `to` has from then on.
    pub share: f64,
}

/// Requests that will come: a schedule is going to fire.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// For that version.
    pub spec: Arc<FunctionSpec>,
    /// So many at once. With none, what was announced for that time is taken back.
    pub requests: u32,
    /// From now.
    pub after: Duration,
}

/// Requests of one version cause requests of another: a chain was declared, or is no more.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// Version that calls.
    pub caller: Arc<FunctionSpec>,
    /// Version that is called.
    pub callee: Arc<FunctionSpec>,
    /// The part of the caller's requests that make the call, from 0 to 1. With none, it is not declared any more.
    pub part: f64,
    /// From the caller's request to the callee's, where that is known.
    pub after: Option<Duration>,
}
