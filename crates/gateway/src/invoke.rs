//! The invocation path, read from top to bottom in [`invoke`].

mod answer;
mod asked;
mod payload;
pub(crate) mod trace_id;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use hyper::body::Incoming;
use pilotlight_model::limits::{INVOKE_EVENT_BYTES, INVOKE_REQUEST_BYTES};
use pilotlight_model::names::Target;
use pilotlight_model::node::{InvokeReply, InvokeRequest, NodeError, QueuedEvent, Resolved};
use pilotlight_model::start::{Cold, Timeline};
use pilotlight_model::{FunctionSpec, Phase, RequestId};
use tracing::{Instrument, field};

use crate::admission::Permit;
use crate::body::BodyError;
use crate::clock::monotonic_now;
use crate::front::{Answer, Answered, Call, Parts};
use crate::metrics::Outcome;
use crate::record::{Finished, Recorder, Responding};
use asked::{Asked, InvocationType};
use trace_id::TraceId;

/// Which of the two operations was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `Invoke`.
    Invoke,
    /// `InvokeAsync`, long deprecated and still called: an `Event` that answers with a body.
    InvokeAsync,
}

/// Serves one invocation.
pub(crate) async fn invoke(
    parts: &Parts,
    call: &Call<'_>,
    style: Style,
    name: &str,
    body: &mut Incoming,
) -> Answered {
    // First who asks, from the head alone: a stranger's body is not read.
    let now = (parts.config.now)();
    let claim = parts.authenticator.claim(call.head, now)?;

    // Then what is asked, still from the head: it decides how large the body may be.
    let asked = Asked::read(call.head, style, name)?;
    let limit = match asked.invocation_type {
        InvocationType::Event => INVOKE_EVENT_BYTES,
        InvocationType::RequestResponse | InvocationType::DryRun => INVOKE_REQUEST_BYTES,
    };

    // The body is refused while it streams in, not after; and it is hashed while it does.
    let received = parts
        .intake
        .receive(body, claim.limit(limit), claim.covers_body())
        .await
        .map_err(|error| error.into_lambda(|size| asked.too_large(size)))?;
    let (caller, received) = claim.verify(received)?;
    if received.bytes.len() > limit {
        let error = BodyError::TooLarge {
            size: received.bytes.len() as u64,
        };
        return Err(error.into_lambda(|size| asked.too_large(size)));
    }

    // From here on the caller is known, and so is what the name means to it. Answered from memory.
    let qualifier = asked.qualifier.as_deref();
    let target = Target::resolve(&caller, &asked.name, qualifier)
        .map_err(|error| asked.worded(call.head, error))?;
    let resolved = parts.directory.resolve(
        &target.account,
        &target.region,
        &target.name,
        target.qualifier.as_deref(),
    )?;

    // The event goes to the function as it came; all that is checked is that it is JSON.
    let payload = payload::json_or_empty(received.bytes).await?;
    // From here on the number of events in memory is bounded by admission, or by the queue.
    drop(received.share);
    let trace = TraceId::of(&call.head.headers, now);

    match asked.invocation_type {
        InvocationType::DryRun => Ok(answer::dry_run(&trace)),
        InvocationType::Event => {
            let event = QueuedEvent {
                request_id: call.request_id,
                account: target.account,
                region: target.region,
                name: target.name,
                qualifier: target.qualifier,
                payload,
                client_context: asked.client_context,
                trace_id: trace.header.clone(),
            };
            // 202 is a promise: the event must be on stable storage before it is given.
            parts.queue.enqueue(event).await?;
            Ok(answer::accepted(style, &trace))
        }
        InvocationType::RequestResponse => {
            // A throttled request must cost next to nothing, so the permit comes before the node.
            let permit = parts.admission.admit(&target.account).inspect_err(|_| {
                let metrics = &parts.recorder.metrics;
                metrics.refused(&target.name, Outcome::Throttled);
            })?;
            let admitted = Admitted {
                resolved,
                permit,
                payload,
                trace,
                client_context: asked.client_context,
                log_tail: asked.log_tail,
                cold: asked.cold,
                at: now.duration_since(UNIX_EPOCH).unwrap_or_default(),
            };
            Ok(admitted.run(parts, call).await)
        }
    }
}

/// A synchronous invocation that may run.
struct Admitted {
    resolved: Resolved,
    permit: Permit,
    payload: Bytes,
    trace: TraceId,
    client_context: Option<String>,
    log_tail: bool,
    cold: Option<Cold>,
    /// Wall-clock time of the request, since 1970.
    at: Duration,
}

impl Admitted {
    /// Runs it on a node and answers.
    async fn run(self, parts: &Parts, call: &Call<'_>) -> Answer {
        let Resolved { spec, invoked_arn } = self.resolved;
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
            log_tail: self.log_tail,
            cold: self.cold,
            stream: None,
            timeline: Timeline::begin(call.began),
            at_ms: self.at.as_millis() as u64,
        };
        let subject = Subject {
            spec: Arc::clone(&spec),
            request_id: call.request_id,
            at_ms: request.at_ms,
            trace: self.trace.clone(),
            recorder: Arc::clone(&parts.recorder),
        };
        // A task of its own: when the client goes away this future is dropped, but the function runs
        // on, and keeps its permit until it ends. A result that nobody waits for is recorded too.
        let node = Arc::clone(&parts.node);
        let permit = self.permit;
        let in_task = span.clone();
        let running = tokio::spawn(
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
        let result = running.await.unwrap_or_else(|error| {
            // The task is never aborted, so this is a panic of the node.
            Err(NodeError::Internal(error.to_string()))
        });
        match result {
            Ok((reply, responding)) => Answer {
                response: answer::reply(reply, &spec.key.version, &self.trace),
                responding: Some(responding),
            },
            Err(error) => {
                let _entered = span.entered();
                let (outcome, response) = answer::node_error(&error, call.request_id);
                parts.recorder.metrics.refused(&spec.key.name, outcome);
                response.into()
            }
        }
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
