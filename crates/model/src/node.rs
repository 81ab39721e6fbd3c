//! Where gateway, control plane and node agent meet: the requests they make of each other, and the
//! traits through which `pilot` wires them. Futures are boxed so that the traits can be objects.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::concurrency::Share;
use crate::error::LambdaError;
use crate::function::{FunctionSpec, Runtime, VersionKey};
use crate::function_policy::Policy;
use crate::ids::{AccountId, Digest, FunctionName, InstanceId, Region, RequestId, UrlId};
use crate::ladder::{LadderCounters, Refusal, Rung, ZygoteStatus};
use crate::names::Target;
use crate::provisioned::{Provisioned, Usage};
use crate::start::{Cold, StartKind, Timeline};
use crate::url::FunctionUrl;

/// A boxed future, as object-safe traits return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who is asking, as authentication established it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account that the access key belongs to.
    pub account: AccountId,
    /// Region of the signature's credential scope.
    pub region: Region,
}

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
    /// The platform failed. Try again.
    #[error("{0}")]
    Internal(String),
}

/// Where the node's log keeps what a version's instances say. Positions are opaque and grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Position behind this line; pass it to read on.
    pub position: u64,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Stream: one per instance, as on CloudWatch.
    pub stream: String,
    /// The line without its line end.
    pub message: String,
}

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

/// Where instances see an image of the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folder {
    /// `/var/task`: a code package.
    Task,
    /// `/opt`: a layer.
    Layers,
}

/// What a compile step has made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compiled {
    /// Byte code, to be added to the image.
    pub files: Vec<CompiledFile>,
    /// Whether the step came to its end, so that every source file has had its turn.
    pub whole: bool,
}

/// One module to be compiled at publish: its path below the image's folder and its byte code; empty where
/// the source is none that can be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompiledFile {
    /// Path below the image's root, with `/` and without a leading one.
    pub path: String,
    /// Contents.
    pub bytes: Bytes,
}

/// What a node agent does for the rest of the platform.
pub trait Node: Send + Sync + 'static {
    /// Runs one invocation. Dropping the future means that the caller is gone: the function still
    /// runs to its end, as on Lambda, and the answer is dropped.
    fn invoke(&self, request: InvokeRequest) -> BoxFuture<'_, Result<InvokeReply, NodeError>>;

    /// Makes the version ready to start without any work that could be done before: its code in place,
    /// its template and a spare made where it can have them. Repeatable. An init that fails is no error:
    /// requests hear of it.
    fn prepare(&self, spec: Arc<FunctionSpec>) -> BoxFuture<'_, Result<(), NodeError>>;

    /// Brings the version to at least so many idle instances, room permitting: nothing that runs or is idle
    /// is reclaimed for them. Returns when they are there, or will not be.
    fn warm_up(&self, order: WarmUpOrder) -> BoxFuture<'_, Result<WarmedUp, NodeError>>;

    /// Does what [`Node::prepare`] does for a version that nobody asks for now: nothing that is kept
    /// for others is given up for it. False, and nothing is done, when the node has no room for more.
    fn restore(&self, spec: Arc<FunctionSpec>) -> BoxFuture<'_, Result<bool, NodeError>>;

    /// From now on the node keeps so many instances of the version, initialised ahead: nothing reclaims them
    /// until another number is given. With fewer, running invocations end first. Repeatable.
    fn provision(&self, spec: &Arc<FunctionSpec>, count: u32);

    /// What the version has of what was asked for; `None` where nothing was.
    fn provisioned(&self, key: &VersionKey) -> Option<Provisioned>;

    /// Puts the versions that were used most in front, as far as the node remembers.
    fn most_used_first(&self, keys: &mut [VersionKey]);

    /// Lets go of every instance of the version; running invocations end first.
    fn retire(&self, key: &VersionKey);

    /// Compiles the source files of an image (byte code for Python) inside a sandbox. Byte code names its
    /// source as instances see it, in that folder.
    fn compile(
        &self,
        runtime: Runtime,
        image: Digest,
        folder: Folder,
    ) -> BoxFuture<'_, Result<Compiled, NodeError>>;

    /// What the node holds now.
    fn status(&self) -> NodeStatus;

    /// Up to `limit` log lines of a log group behind `position` (0: from the oldest kept).
    fn read_logs(
        &self,
        account: &AccountId,
        region: &Region,
        log_group: &str,
        position: u64,
        limit: usize,
    ) -> BoxFuture<'_, std::io::Result<Vec<LogLine>>>;
}

/// A version that a name and qualifier resolved to, ready to be invoked.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What to run.
    pub spec: Arc<FunctionSpec>,
    /// Function ARN with the qualifier that the caller used, if any.
    pub invoked_arn: String,
    /// The concurrency that it may draw on.
    pub share: Share,
}

/// Finds what an invocation means. Answered from memory: it is on the request path.
pub trait Directory: Send + Sync + 'static {
    /// Resolves a function and an optional qualifier. Errors are `ResourceNotFound`, `ResourceConflict`
    /// (still Pending) and the like, as Invoke answers them.
    fn resolve(
        &self,
        account: &AccountId,
        region: &Region,
        name: &FunctionName,
        qualifier: Option<&str>,
    ) -> Result<Resolved, LambdaError>;

    /// Whether invocations that go on with a loop through the function may run. Asked only where a loop has
    /// been found, so that it may take a while.
    fn may_loop<'a>(&'a self, version: &'a VersionKey) -> BoxFuture<'a, bool>;

    /// The policy that holds for a function or, where the target has a qualifier, for that version or
    /// alias. One that allows nothing where there is none, or nothing to have one.
    fn policy(&self, target: &Target) -> Arc<Policy>;

    /// The function URL of that id.
    fn function_url(&self, id: &UrlId) -> Option<Arc<FunctionUrl>>;
}

/// One asynchronous invocation to be kept until it has been delivered.
#[derive(Debug, Clone)]
pub struct QueuedEvent {
    /// Id that the caller was told, and that every attempt carries.
    pub request_id: RequestId,
    /// What to invoke.
    pub account: AccountId,
    /// Region of the function.
    pub region: Region,
    /// Function.
    pub name: FunctionName,
    /// Qualifier as the caller gave it.
    pub qualifier: Option<String>,
    /// The event.
    pub payload: Bytes,
    /// Decoded JSON of `X-Amz-Client-Context`.
    pub client_context: Option<String>,
    /// `X-Amzn-Trace-Id`.
    pub trace_id: String,
}

/// The durable queue of asynchronous invocations.
pub trait EventQueue: Send + Sync + 'static {
    /// Resolves when the event is on stable storage; only then may the caller be told 202.
    fn enqueue(&self, event: QueuedEvent) -> BoxFuture<'_, Result<(), LambdaError>>;
}

/// An API that the gateway's listener serves besides invocations.
pub trait Api: Send + Sync + 'static {
    /// Answers one request whose body has been read and whose caller is known.
    fn handle(
        &self,
        caller: Caller,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, http::Response<Bytes>>;
}

/// Paths below which the API serves original code packages. A request there carries its own signature in
/// the query string, as a presigned URL does, and reaches [`Api`] without authentication.
pub const CODE_PATH: &str = "/pilotlight/v1/code/";

/// Path at which the API takes warm-ups, by POST.
pub const WARM_UP_PATH: &str = "/pilotlight/v1/warm-up";

/// What the platform counts per version on a node, for `pilot ls`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VersionCounts {
    /// Instances that run a request now.
    pub busy: u32,
    /// Instances that wait for one.
    pub idle: u32,
    /// Instances that start now.
    pub starting: u32,
    /// Instances forked ahead of time.
    pub spares: u32,
    /// Empty sandboxes that wait for a fork of the template.
    #[serde(default)]
    pub berths: u32,
    /// The highest rung of the ladder that the version stands on.
    pub rung: Rung,
    /// Memory that the template has for itself, in bytes.
    pub template_bytes: u64,
    /// Memory that the spares have for themselves, in bytes.
    pub spare_bytes: u64,
    /// Why the version has no template, if its process could not be one.
    pub refusal: Option<Refusal>,
    /// What it has of what is provisioned for it. Its instances are counted above too.
    #[serde(default)]
    pub provisioned: Option<Provisioned>,
}

/// A snapshot of a node.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct NodeStatus {
    /// Node name.
    pub node: String,
    /// Ready slots in the pool.
    pub slots: u32,
    /// Memory promised to instances, and held by what is kept for starts, in MiB.
    pub promised_mb: u64,
    /// Memory that may be promised, in MiB.
    pub capacity_mb: u64,
    /// Log lines that could not be written since the node started.
    pub dropped_log_lines: u64,
    /// Counts by version, keyed by qualified ARN.
    pub versions: BTreeMap<String, VersionCounts>,
    /// The zygotes of the node's runtimes.
    #[serde(default)]
    pub zygotes: Vec<ZygoteStatus>,
    /// What the ladder has done since the node started.
    #[serde(default)]
    pub ladder: LadderCounters,
    /// What provisioned instances of all versions have done and cost since the node started.
    #[serde(default)]
    pub provisioned: Usage,
}
