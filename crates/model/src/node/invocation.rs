//! One invocation on a node: what it is asked, where its answer goes, and what comes back.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::BoxFuture;
use crate::function::{FunctionSpec, VersionKey};
use crate::ids::{InstanceId, RequestId};
use crate::start::{Cold, StartKind, Timeline};

/// One invocation, handed from the gateway (or the asynchronous queue) to a node.
#[derive(Debug, Clone)]
pub struct InvokeRequest {
    /// The version to run.
    pub spec: Arc<FunctionSpec>,
    /// Id of this invocation.
    pub request_id: RequestId,
    /// The ARN as the caller named it, qualifier included: `Lambda-Runtime-Invoked-Function-Arn`.
    pub invoked_arn: String,
    /// The event.
    pub payload: Bytes,
    /// Decoded JSON of `X-Amz-Client-Context`.
    pub client_context: Option<String>,
    /// `X-Amzn-Trace-Id`, given by the caller or made by the gateway.
    pub trace_id: String,
    /// The invocation that made this one, where that is known for sure.
    pub cause: Option<Cause>,
    /// Whether the last 4 KiB of the log are wanted with the answer.
    pub log_tail: bool,
    /// Do without idle instances: a start, or one of that kind.
    pub cold: Option<Cold>,
    /// Where the answer goes as it comes, should the function stream it. Without one it is collected.
    pub stream: Option<Arc<dyn ResponseSink>>,
    /// What has already been spent on this request.
    pub timeline: Timeline,
    /// Wall-clock time of the request, in milliseconds since 1970.
    pub at_ms: u64,
}

/// An invocation that made another: its function has called, or its end was told to another function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// What ran.
    pub version: VersionKey,
    /// The invocation.
    pub request_id: RequestId,
    /// When it was asked for, in milliseconds since 1970.
    pub at_ms: u64,
}

/// Takes an answer that a function streams, while the function runs. The invocation ends when the function
/// does, as any other.
pub trait ResponseSink: fmt::Debug + Send + Sync + 'static {
    /// The answer begins. Called once, before its first chunk; never for an answer that is not streamed.
    fn begin(&self, begun: StreamBegun);

    /// Takes a chunk as soon as there is room for it: until then the function waits. Once nobody listens any more
    /// there always is.
    fn send(&self, chunk: Bytes) -> BoxFuture<'_, ()>;
}

/// What is known of a streamed answer when its first byte is there.
#[derive(Debug, Clone)]
pub struct StreamBegun {
    /// The `Content-Type` that the runtime gave, if it can stand in a header.
    pub content_type: Option<http::HeaderValue>,
    /// Instance that runs it.
    pub instance: InstanceId,
    /// What the instance came from.
    pub kind: StartKind,
    /// The waterfall up to the first byte.
    pub timeline: Timeline,
}

/// What a node answers. An error in the function is an answer too.
#[derive(Debug, Clone)]
pub struct InvokeReply {
    /// The handler's answer, or the error object when `function_error` is set. Of an answer that went into the
    /// request's [`ResponseSink`] nothing is left but the error that cut it short.
    pub payload: Bytes,
    /// Value of `X-Amz-Function-Error` (`Unhandled`) when the function failed.
    pub function_error: Option<&'static str>,
    /// Last bytes of the log, at most 4 KiB, if asked for.
    pub log_tail: Option<Vec<u8>>,
    /// Instance that ran it.
    pub instance: InstanceId,
    /// What the instance came from.
    pub kind: StartKind,
    /// The waterfall up to the answer; whoever returns it to the client adds `Phase::Respond`.
    pub timeline: Timeline,
}

/// Why a node could not run an invocation at all. The function did not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// No room: instances, memory or waiting places of the node are used up. Try again later.
    #[error("the node has no room for another instance")]
    Overloaded,
    /// The node is shutting down. Try again.
    #[error("the node is draining")]
    Draining,
    /// The folder that the version's code is loaded from (hot reload) is not there.
    #[error("the folder {} that the function's code is loaded from is not there", .0.display())]
    CodeMissing(std::path::PathBuf),
    /// Of a version that is ready with its template alone: its init failed, with that status. Only of
    /// [`Node::prepare`](super::Node::prepare).
    #[error("the function's initialization failed: {0}")]
    InitFailed(String),
    /// The platform failed. Try again.
    #[error("{0}")]
    Internal(String),
}
