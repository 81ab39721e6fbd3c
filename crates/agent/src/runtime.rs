//! What a node must know about a runtime to start it.

use std::collections::BTreeMap;

use pilotlight_model::function::Runtime;
use pilotlight_model::ids::Digest;

/// A runtime that this node can start: its image in the store, and how to run what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeImage {
    /// Which runtime it is.
    pub runtime: Runtime,
    /// EROFS image mounted at `/`.
    pub digest: Digest,
    /// Program and arguments that start an instance; paths are inside the sandbox.
    pub argv: Vec<String>,
    /// Variables of this runtime, below the platform's own and the user's.
    pub env: BTreeMap<String, String>,
    /// Program and arguments that compile the code at `/var/task`, for runtimes that have byte code.
    pub compile: Option<Vec<String>>,
    /// Whether its bootstrap can be a zygote: started without a function, and told later which it is.
    pub zygote: bool,
    /// As `INIT_START` shows it: `python:3.11.v1`.
    pub version_label: String,
}
