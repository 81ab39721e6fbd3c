//! Running a synchronous invocation on a node: its span, its record, and the task that outlives its client.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use pilotlight_model::concurrency::{Admit, Permit};
use pilotlight_model::node::{
    Cause, InvokeReply, InvokeRequest, NodeError, Resolved, ResponseSink, StreamBegun,
};
use pilotlight_model::start::{Cold, Timeline};
use pilotlight_model::{FunctionName, FunctionSpec, LambdaError, Phase, RequestId};
use tokio::task::JoinHandle;
use tracing::{Instrument, Span, field};

use super::answer;
use super::trace_id::TraceId;
use crate::clock::monotonic_now;
use crate::front::{Call, Parts};
use crate::metrics::Outcome;
use crate::record::{Finished, Recorder, Responding};
use crate::stream::{Pieces, pipe};

/// A synchronous invocation that may run.
pub(crate) struct Admitted {
    pub(crate) resolved: Resolved,
    pub(crate) permit: Permit,
    pub(crate) payload: Bytes,
    pub(crate) trace: TraceId,
    pub(crate) client_context: Option<String>,
    /// The invocation that called, if one did.
    pub(crate) cause: Option<Cause>,
    pub(crate) log_tail: bool,
    pub(crate) cold: Option<Cold>,
    /// Wall-clock time of the request, since 1970.
    pub(crate) at: Duration,
}

/// How a node ends an invocation: with the function's answer and its record, or without having run it.
pub(crate) type Ended = Result<(InvokeReply, Responding), NodeError>;

/// The same as a client hears of it, where the API's answer is already worded.
pub(crate) type Whole = Result<(InvokeReply, Responding), Response<Bytes>>;

/// What there is of an invocation whose answer may come in pieces.
pub(crate) enum Ran {
    /// All of it.
    Whole(Whole),
    /// The beginning of an answer; the function runs on.
    Begun(StreamBegun, Pieces),
}

/// The right to run it. A throttled request must cost next to nothing, so this comes before the node.
pub(crate) fn permit(parts: &Parts, resolved: &Resolved) -> Result<Permit, LambdaError> {
    let Resolved { spec, share, .. } = resolved;
    parts.admission.admit(&spec.key, share).map_err(|reason| {
        let metrics = &parts.recorder.metrics;
        metrics.refused(&spec.key.name, Outcome::Throttled);
        LambdaError::throttled(reason)
    })
}

impl Admitted {
    /// Runs it on a node.
    pub(crate) async fn run(self, parts: &Parts, call: &Call<'_>) -> Whole {
        let mut running = self.start(parts, call, None);
        running.whole(parts, call).await
    }

    /// Runs it on a node up to the first byte of an answer that the function streams, or to its end.
    pub(crate) async fn run_streaming(self, parts: &Parts, call: &Call<'_>) -> Ran {
        let (inlet, outlet) = pipe();
        let mut running = self.start(parts, call, Some(inlet));
        // Whoever streams has begun before the end.
        tokio::select! {
            biased;
            Ok(begun) = outlet.begun => {
                Ran::Begun(begun, Pieces::new(outlet.chunks, running.task))
            }
            whole = running.whole(parts, call) => Ran::Whole(whole),
        }
    }

    fn start(
        self,
        parts: &Parts,
        call: &Call<'_>,
        stream: Option<Arc<dyn ResponseSink>>,
    ) -> Running {
        let Resolved {
            spec, invoked_arn, ..
        } = self.resolved;
        let span = tracing::info_span!(
            "invocation",
            function = %spec.key.name,
            version = %spec.key.version,
            request_id = %call.request_id,
            node = parts.recorder.node,
            instance = field::Empty,
            kind = field::Empty,
        );
        let mut request = InvokeRequest {
            spec: Arc::clone(&spec),
            request_id: call.request_id,
            invoked_arn,
            payload: self.payload,
            client_context: self.client_context,
            trace_id: self.trace.header.clone(),
            cause: self.cause,
            log_tail: self.log_tail,
            cold: self.cold,
            stream,
            timeline: Timeline::begin(call.began),
            at_ms: self.at.as_millis() as u64,
        };
        let function = spec.key.name.clone();
        let subject = Subject {
            spec,
            request_id: call.request_id,
            at_ms: request.at_ms,
            trace: self.trace,
            recorder: Arc::clone(&parts.recorder),
        };
        // A task of its own: when the client goes away this future is dropped, but the function runs
        // on, and keeps its permit until it ends. A result that nobody waits for is recorded too.
        let node = Arc::clone(&parts.node);
        let permit = self.permit;
        let in_task = span.clone();
        let task = tokio::spawn(
            async move {
                // All that was done before the node counts as the gateway's.
                request.timeline.end(Phase::Gateway, monotonic_now());
                let reply = node.invoke(request).await;
                drop(permit);
                let mut reply = reply?;
                in_task.record("instance", field::display(reply.instance));
                in_task.record("kind", reply.kind.as_str());
                reply.timeline.end(Phase::Respond, monotonic_now());
                let responding = subject.answered(&reply);
                Ok((reply, responding))
            }
            .instrument(span.clone()),
        );
        Running {
            task,
            span,
            function,
        }
    }
}

/// An invocation that runs.
struct Running {
    task: JoinHandle<Ended>,
    span: Span,
    function: FunctionName,
}

impl Running {
    /// Waits for its end.
    async fn whole(&mut self, parts: &Parts, call: &Call<'_>) -> Whole {
        // The task is never aborted, so its failure is a panic of the node.
        let ended = (&mut self.task).await;
        let ended = ended.unwrap_or_else(|error| Err(NodeError::Internal(error.to_string())));
        ended.map_err(|error| {
            let _entered = self.span.enter();
            let (outcome, response) = answer::node_error(&error, call.request_id);
            parts.recorder.metrics.refused(&self.function, outcome);
            response
        })
    }
}

/// What is known of an invocation before it runs.
struct Subject {
    spec: Arc<FunctionSpec>,
    request_id: RequestId,
    at_ms: u64,
    trace: TraceId,
    recorder: Arc<Recorder>,
}

impl Subject {
    fn answered(self, reply: &InvokeReply) -> Responding {
        let finished = Finished {
            spec: self.spec,
            request_id: self.request_id,
            instance: reply.instance,
            kind: reply.kind,
            at_ms: self.at_ms,
            timeline: reply.timeline.clone(),
            failed: reply.function_error.is_some(),
            trace: self.trace,
        };
        Responding::new(finished, self.recorder)
    }
}
