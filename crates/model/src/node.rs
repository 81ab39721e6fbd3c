//! Where gateway, control plane and node agent meet: the requests they make of each other, and the
//! traits through which `pilot` wires them. Futures are boxed so that the traits can be objects.

mod foreseen;
mod inner_door;
mod invocation;
mod status;
mod warm_up;
mod why;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::concurrency::Share;
use crate::error::LambdaError;
use crate::function::{FunctionSpec, VersionKey};
use crate::function_policy::Policy;
use crate::ids::{AccountId, Digest, FunctionName, Region, RequestId, UrlId};
use crate::names::Target;
use crate::provisioned::Provisioned;
use crate::routing::Weight;
use crate::runtime::Runtime;
use crate::url::FunctionUrl;

pub use foreseen::{Announcement, Declaration, Shift};
pub use inner_door::{FunctionApi, INNER_DOOR, Inhabitant, InnerDoor, Serving};
pub use invocation::{Cause, InvokeReply, InvokeRequest, NodeError, ResponseSink, StreamBegun};
pub use status::{NodeStatus, VersionCounts};
pub use warm_up::{WARM_UP_CONTEXT, WarmUpCall, WarmUpOrder, WarmedUp};
pub use why::{
    CallCounters, Calls, CallsAnswer, CallsAsked, CallsOf, Expected, ForecastCounters, Period,
    ToldRequest, Why, WhyAnswer, WhyForecasts, WhyReason, WhyRoute, WhyStart,
};

/// A boxed future, as object-safe traits return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who is asking, as authentication established it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account that the access key belongs to.
    pub account: AccountId,
    /// Region of the signature's credential scope.
    pub region: Region,
    /// The function whose instance asks, where one does.
    pub function: Option<FunctionName>,
}

impl Caller {
    /// Who it is, as AWS names it: an access key acts as the root of its account, for there are no users; a function in
    /// a session of its role. The name of that role means nothing here, and the function's stands for it.
    pub fn arn(&self) -> String {
        let (partition, account) = (self.region.partition(), &self.account);
        match &self.function {
            None => format!("arn:{partition}:iam::{account}:root"),
            Some(name) => format!("arn:{partition}:sts::{account}:assumed-role/{name}/{name}"),
        }
    }
}

/// A line of a log group. Positions are opaque and grow.
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

/// Byte code of one source file; empty where that is none that can be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompiledFile {
    /// Path below the image's root, with `/` and without a leading one.
    pub path: String,
    /// The byte code.
    pub bytes: Bytes,
}

/// What a node agent does for the rest of the platform.
pub trait Node: Send + Sync + 'static {
    /// Runs one invocation. Dropping the future means that the caller is gone: the function still
    /// runs to its end, as on Lambda, and the answer is dropped.
    fn invoke(&self, request: InvokeRequest) -> BoxFuture<'_, Result<InvokeReply, NodeError>>;

    /// Makes the version ready to start without any work that could be done before: its code in place,
    /// its template and a spare made where it can have them. Repeatable. An init that fails is an error of versions that
    /// SnapStart was asked for; of others requests hear of it.
    fn prepare(&self, spec: Arc<FunctionSpec>) -> BoxFuture<'_, Result<(), NodeError>>;

    /// Brings the version to at least so many idle instances, room permitting: nothing that runs or is idle
    /// is reclaimed for them. Returns when they are there, or will not be.
    fn warm_up(&self, order: WarmUpOrder) -> BoxFuture<'_, Result<WarmedUp, NodeError>>;

    /// Does what [`Node::prepare`] does for a version that nobody asks for now: nothing that is kept
    /// for others is given up for it. False, and nothing is done, when the node has no room for more.
    fn restore(&self, spec: Arc<FunctionSpec>) -> BoxFuture<'_, Result<bool, NodeError>>;

    /// Gives a version its share of what another one has ready, before it gets the other's requests. Returns when it has
    /// it, as far as there is room, or will not have it; what was begun goes on when the future is dropped.
    fn shift(&self, shift: Shift) -> BoxFuture<'_, ()>;

    /// Tells of requests before they come, so that who decides on the node can make instances ready for them.
    fn announce(&self, announcement: Announcement);

    /// Tells which version calls which before it was seen to. Repeatable.
    fn declare(&self, declaration: Declaration);

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

    /// Why the last starts of the version were what they were, as far as the node remembers.
    fn why(&self, key: &VersionKey) -> Why;

    /// Which functions call which, as far as the node has learned it: a page.
    fn calls(&self, asked: &CallsAsked) -> CallsAnswer;

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

/// One of the versions that a name and qualifier mean to invocations.
#[derive(Debug, Clone)]
pub struct Route {
    /// The version.
    pub resolved: Resolved,
    /// The share of the invocations that it gets.
    pub weight: Weight,
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

    /// All versions that invocations of the target get: one, or the two that an alias splits them between. Errors are
    /// those of [`Directory::resolve`].
    fn routes(&self, target: &Target) -> Result<Vec<Route>, LambdaError>;

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
    /// Account of the function.
    pub account: AccountId,
    /// Region of the function.
    pub region: Region,
    /// The function.
    pub name: FunctionName,
    /// Qualifier as the caller gave it.
    pub qualifier: Option<String>,
    /// The event.
    pub payload: Bytes,
    /// Decoded JSON of `X-Amz-Client-Context`.
    pub client_context: Option<String>,
    /// `X-Amzn-Trace-Id`.
    pub trace_id: String,
    /// The invocation that made it, where that is known for sure.
    pub cause: Option<Cause>,
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

/// Path of declared chains: all of them by GET, and below it each by its name, by PUT and DELETE.
pub const CHAINS_PATH: &str = "/pilotlight/v1/chains";

/// Path at which the API takes warm-ups, by POST.
pub const WARM_UP_PATH: &str = "/pilotlight/v1/warm-up";
