//! What the platform knows ahead of requests, and tells a node.

use std::sync::Arc;

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
