//! Warm-ups: instances made ready before requests come, once.

use std::sync::Arc;

use bytes::Bytes;

use crate::function::FunctionSpec;

/// Instances that are to be ready for requests to come.
#[derive(Debug, Clone)]
pub struct WarmUpOrder {
    /// The version.
    pub spec: Arc<FunctionSpec>,
    /// How many are to be idle.
    pub instances: u32,
    /// Calls the handler of each of them, once; without one no handler is called.
    pub call: Option<WarmUpCall>,
}

/// A call that warms an instance up. Its client context is [`WARM_UP_CONTEXT`].
#[derive(Debug, Clone)]
pub struct WarmUpCall {
    /// The ARN that the function is told.
    pub invoked_arn: String,
    /// The event.
    pub payload: Bytes,
    /// Wall-clock time, in milliseconds since 1970.
    pub at_ms: u64,
}

/// The client context by which a handler tells a warm-up from a request.
pub const WARM_UP_CONTEXT: &str = r#"{"custom":{"pilotlight-warm-up":"true"}}"#;

/// What a warm-up came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WarmedUp {
    /// Instances that are idle now.
    pub idle: u32,
    /// Instances that were started for it and became ready.
    pub started: u32,
    /// Instances whose handler was called.
    pub called: u32,
    /// Those of them whose handler failed.
    pub failed: u32,
}
