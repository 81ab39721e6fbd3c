//! A node whose invocations are recorded although no client waits for them here: what the asynchronous queue
//! delivers is started, warm or cold, like everything else.

use std::io;
use std::sync::Arc;

use pilotlight_model::Runtime;
use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::ids::{AccountId, Digest, Region};
use pilotlight_model::node::{
    Announcement, BoxFuture, CallsAnswer, CallsAsked, Compiled, Declaration, Folder, InvokeReply,
    InvokeRequest, LogLine, Node, NodeError, NodeStatus, Shift, WarmUpOrder, WarmedUp, Why,
};

use pilotlight_model::provisioned::Provisioned;

use crate::invoke::trace_id::TraceId;
use crate::record::{Finished, Recorder};

/// Passes everything on, and records what was invoked.
pub(crate) struct Observed {
    pub(crate) node: Arc<dyn Node>,
    pub(crate) recorder: Arc<Recorder>,
}

impl Node for Observed {
    fn invoke(&self, request: InvokeRequest) -> BoxFuture<'_, Result<InvokeReply, NodeError>> {
        Box::pin(async move {
            let (spec, request_id) = (Arc::clone(&request.spec), request.request_id);
            let (at_ms, trace) = (request.at_ms, TraceId::read(&request.trace_id));
            let reply = self.node.invoke(request).await?;
            self.recorder.record(Finished {
                spec,
                request_id,
                instance: reply.instance,
                kind: reply.kind,
                at_ms,
                timeline: reply.timeline.clone(),
                failed: reply.function_error.is_some(),
                trace,
            });
            Ok(reply)
        })
    }

    fn prepare(&self, spec: Arc<FunctionSpec>) -> BoxFuture<'_, Result<(), NodeError>> {
        self.node.prepare(spec)
    }

    /// No request: nothing is recorded.
    fn warm_up(&self, order: WarmUpOrder) -> BoxFuture<'_, Result<WarmedUp, NodeError>> {
        self.node.warm_up(order)
    }

    fn restore(&self, spec: Arc<FunctionSpec>) -> BoxFuture<'_, Result<bool, NodeError>> {
        self.node.restore(spec)
    }

    fn calls(&self, asked: &CallsAsked) -> CallsAnswer {
        self.node.calls(asked)
    }

    fn why(&self, key: &VersionKey) -> Why {
        self.node.why(key)
    }

    fn shift(&self, shift: Shift) -> BoxFuture<'_, ()> {
        self.node.shift(shift)
    }

    fn announce(&self, announcement: Announcement) {
        self.node.announce(announcement);
    }

    fn declare(&self, declaration: Declaration) {
        self.node.declare(declaration);
    }

    fn provision(&self, spec: &Arc<FunctionSpec>, count: u32) {
        self.node.provision(spec, count);
    }

    fn provisioned(&self, key: &VersionKey) -> Option<Provisioned> {
        self.node.provisioned(key)
    }

    fn most_used_first(&self, keys: &mut [VersionKey]) {
        self.node.most_used_first(keys);
    }

    fn retire(&self, key: &VersionKey) {
        self.node.retire(key);
    }

    fn compile(
        &self,
        runtime: Runtime,
        image: Digest,
        folder: Folder,
    ) -> BoxFuture<'_, Result<Compiled, NodeError>> {
        self.node.compile(runtime, image, folder)
    }

    fn status(&self) -> NodeStatus {
        self.node.status()
    }

    fn read_logs(
        &self,
        account: &AccountId,
        region: &Region,
        log_group: &str,
        position: u64,
        limit: usize,
    ) -> BoxFuture<'_, io::Result<Vec<LogLine>>> {
        self.node
            .read_logs(account, region, log_group, position, limit)
    }
}
