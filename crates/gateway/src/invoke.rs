//! The invocation path, read from top to bottom in [`invoke`].

mod answer;
mod asked;
pub(crate) mod chain;
mod payload;
pub(crate) mod run;
mod streaming;
pub(crate) mod trace_id;

use std::time::UNIX_EPOCH;

use hyper::body::Incoming;
use pilotlight_model::function_policy::{INVOKE_FUNCTION, authorize};
use pilotlight_model::limits::{INVOKE_EVENT_BYTES, INVOKE_REQUEST_BYTES};
use pilotlight_model::names::Target;
use pilotlight_model::node::QueuedEvent;

use crate::answer_body::AnswerBody;
use crate::body::BodyError;
use crate::door::inner::Inside;
use crate::front::{Answer, Answered, Call, Parts};
use asked::{Asked, InvocationType};
use run::{Admitted, permit};
use trace_id::TraceId;

/// Which of the operations was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `Invoke`.
    Invoke,
    /// `InvokeWithResponseStream`: an `Invoke` whose answer comes as it is made.
    Stream,
    /// `InvokeAsync`, long deprecated and still called: an `Event` that answers with a body.
    InvokeAsync,
}

impl Style {
    /// The right that it takes.
    fn action(self) -> &'static str {
        match self {
            Self::Invoke | Self::Stream => INVOKE_FUNCTION,
            Self::InvokeAsync => "lambda:InvokeAsync",
        }
    }
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
    let inside = call.wire.inside();
    let cause = inside.and_then(Inside::request);
    let claim = parts.claim(inside, call.head)?;

    // Then what is asked, still from the head: it decides how large the body may be.
    let asked = Asked::read(call.head, style, name)?;
    let limit = match asked.invocation_type {
        InvocationType::Event => INVOKE_EVENT_BYTES,
        InvocationType::RequestResponse | InvocationType::DryRun => INVOKE_REQUEST_BYTES,
    };

    // The body is refused while it streams in, not after; and it is hashed while it does.
    let received = parts
        .intake_of(inside)
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

    // From here on the caller is known, and so is what the name means to it, and whether it may invoke
    // that. Answered from memory.
    let qualifier = asked.qualifier.as_deref();
    let policy = |target: &Target| parts.directory.policy(target);
    let target = authorize(&caller, &asked.name, qualifier, style.action(), policy)
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
                cause,
            };
            // 202 is a promise: the event must be on stable storage before it is given.
            parts.queue.enqueue(event).await?;
            Ok(answer::accepted(style, &trace))
        }
        InvocationType::RequestResponse => {
            let trace = chain::arrive(parts, trace, &resolved.spec.key).await?;
            let admitted = Admitted {
                permit: permit(parts, &resolved)?,
                resolved,
                payload,
                trace,
                client_context: asked.client_context,
                cause,
                log_tail: asked.log_tail,
                cold: asked.cold,
                at: now.duration_since(UNIX_EPOCH).unwrap_or_default(),
            };
            Ok(respond(parts, call, style, admitted).await)
        }
    }
}

/// Runs the function, and answers with what it says.
async fn respond(parts: &Parts, call: &Call<'_>, style: Style, admitted: Admitted) -> Answer {
    let trace = admitted.trace.clone();
    let version = admitted.resolved.spec.key.version;
    if style == Style::Stream {
        let ran = admitted.run_streaming(parts, call).await;
        return streaming::answer(ran, &version, &trace, call.wire);
    }
    match admitted.run(parts, call).await {
        Ok((reply, responding)) => Answer {
            response: answer::reply(reply, &version, &trace).map(AnswerBody::from),
            responding: Some(responding),
        },
        Err(refused) => refused.into(),
    }
}
