//! One attempt at an event: what it means now, whether it may run, and what the function answers.

use pilotlight_model::error::{Causes, ThrottleReason};
use pilotlight_model::lineage;
use pilotlight_model::node::{Cause, InvokeRequest, NodeError, QueuedEvent, Resolved};
use pilotlight_model::start::Timeline;
use pilotlight_model::{ErrorKind, LambdaError, VersionKey};
use tracing::{Instrument, field};

use super::record::Response;
use super::retry::Outcome;
use crate::catalog::CatalogError;
use crate::catalog::events::Event;
use crate::control::Parts;

/// An attempt that was made.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) outcome: Outcome,
    pub(super) response: Option<Response>,
    /// What ran, or would have.
    pub(super) version: Option<VersionKey>,
    /// The chain that the event belongs to, with the function counted.
    pub(super) trace_id: String,
    /// What ran, as the cause of what follows.
    pub(super) began: Option<Cause>,
}

impl Attempt {
    /// One in which nothing ran.
    fn without(event: &QueuedEvent, outcome: Outcome, error: &LambdaError) -> Self {
        Self {
            outcome,
            response: Some(Response {
                status: error.kind.status().as_u16(),
                executed_version: None,
                function_error: None,
                payload: None,
                message: error.message.clone(),
            }),
            version: None,
            trace_id: event.trace_id.clone(),
            began: None,
        }
    }

    /// One that was not made, because the event is too old.
    pub(super) fn expired(event: &Event) -> Self {
        let throttled = LambdaError::throttled(ThrottleReason::ConcurrentInvocationLimitExceeded);
        let mut attempt = Self::without(&event.event, Outcome::Expired, &throttled);
        if event.attempts.refusals == 0 {
            attempt.response = None;
        }
        attempt
    }

    /// One that was not made, because the function is to take none.
    fn disabled(event: &QueuedEvent) -> Self {
        Self {
            outcome: Outcome::Disabled,
            response: None,
            version: None,
            trace_id: event.trace_id.clone(),
            began: None,
        }
    }

    /// One that must not be made.
    pub(super) fn unworkable(event: &QueuedEvent) -> Self {
        let error = LambdaError::new(
            ErrorKind::Service,
            "The platform cannot work with this event.",
        );
        Self::without(event, Outcome::Unworkable, &error)
    }

    /// Why the event is not done with, in a few words.
    pub(super) fn why(&self) -> String {
        let response = self.response.as_ref();
        match (self.outcome, response) {
            (Outcome::FunctionError, _) => "the function failed".to_owned(),
            (_, Some(response)) => response.message.clone(),
            (_, None) => String::new(),
        }
    }
}

/// Makes an attempt.
pub(super) async fn make(parts: &Parts, event: &Event) -> Attempt {
    let QueuedEvent {
        account,
        region,
        name,
        qualifier,
        ..
    } = &event.event;
    // At every attempt anew: an alias may have moved on, and one with two versions chooses again.
    let resolved = match parts.resolve(account, region, name, qualifier.as_deref()) {
        Ok(resolved) => resolved,
        Err(error) => {
            let outcome = match error.kind {
                ErrorKind::ResourceNotFound => Outcome::Gone,
                _ => Outcome::Refused,
            };
            return Attempt::without(&event.event, outcome, &error);
        }
    };
    let key = resolved.spec.key.clone();
    let arrived = lineage::arrive(&event.event.trace_id, &key);
    if arrived.is_loop() && !may_loop(parts, &key).await {
        let error = LambdaError::recursive();
        return Attempt {
            version: Some(key),
            ..Attempt::without(&event.event, Outcome::Looped, &error)
        };
    }
    // Not what is left of it: that is nothing, too, where all that is reserved is provisioned.
    if parts.catalog.index().claim(&key).reserved == Some(0) {
        return Attempt {
            version: Some(key),
            ..Attempt::disabled(&event.event)
        };
    }
    // Throttled as any other invocation, and held until the attempt is over.
    let permit = match parts.admit.admit(&key, &resolved.share) {
        Ok(permit) => permit,
        Err(reason) => {
            let error = LambdaError::throttled(reason);
            return Attempt {
                version: Some(key),
                ..Attempt::without(&event.event, Outcome::Refused, &error)
            };
        }
    };
    let trace_id = arrived.header;
    let at_ms = parts.config.clock.unix_ms();
    let ran = run(parts, event, resolved, trace_id.clone(), at_ms).await;
    drop(permit);
    let began = Cause {
        version: key.clone(),
        request_id: event.event.request_id,
        at_ms,
    };
    Attempt {
        version: Some(key),
        trace_id,
        began: Some(began),
        ..ran
    }
}

/// Has the node run it.
async fn run(
    parts: &Parts,
    event: &Event,
    resolved: Resolved,
    trace_id: String,
    at_ms: u64,
) -> Attempt {
    let cause = event.event.cause.clone();
    // What is tried again is not called again.
    let cause = cause.filter(|_| event.attempts.runs == 0);
    let event = &event.event;
    let request = InvokeRequest {
        spec: resolved.spec,
        request_id: event.request_id,
        invoked_arn: resolved.invoked_arn,
        payload: event.payload.clone(),
        client_context: event.client_context.clone(),
        trace_id,
        cause,
        log_tail: false,
        cold: None,
        stream: None,
        timeline: Timeline::begin(parts.config.clock.monotonic()),
        at_ms,
    };
    let version = request.spec.key.version;
    let span = tracing::info_span!(
        "invocation",
        function = %request.spec.key.name,
        %version,
        request_id = %event.request_id,
        node = parts.node_name,
        instance = field::Empty,
        kind = field::Empty,
    );
    let reply = parts.node.invoke(request).instrument(span.clone()).await;
    match reply {
        Ok(reply) => {
            span.record("instance", field::display(reply.instance));
            span.record("kind", reply.kind.as_str());
            span.in_scope(|| tracing::debug!(failed = reply.function_error.is_some(), "event run"));
            Attempt {
                outcome: match reply.function_error {
                    None => Outcome::Answered,
                    Some(_) => Outcome::FunctionError,
                },
                response: Some(Response {
                    status: 200,
                    executed_version: Some(version.to_string()),
                    function_error: reply.function_error,
                    payload: Some(reply.payload),
                    message: String::new(),
                }),
                version: None,
                trace_id: String::new(),
                began: None,
            }
        }
        Err(error) => {
            if let NodeError::Internal(cause) = &error {
                span.in_scope(|| tracing::error!(cause, "node failed to run an invocation"));
            }
            Attempt::without(event, Outcome::Refused, &refusal(&error))
        }
    }
}

/// What Invoke would have answered.
fn refusal(error: &NodeError) -> LambdaError {
    match error {
        NodeError::Overloaded => {
            LambdaError::throttled(ThrottleReason::ConcurrentInvocationLimitExceeded)
        }
        NodeError::Draining => LambdaError::new(ErrorKind::Service, "The node is shutting down."),
        NodeError::CodeMissing(folder) => LambdaError::code_missing(folder),
        NodeError::InitFailed(_) | NodeError::Internal(_) => LambdaError::new(
            ErrorKind::Service,
            "The platform failed to run the function.",
        ),
    }
}

/// Whether the function's owner wants its loops to go on. Asked of the catalog, and only where one is found.
pub(crate) async fn may_loop(parts: &Parts, function: &VersionKey) -> bool {
    let function = function.clone();
    let setting = parts
        .catalog
        .read(move |session| session.recursive_loop(&function))
        .await;
    match setting {
        Ok(setting) => setting.as_deref() == Some("Allow"),
        Err(error) => {
            let error: CatalogError = error;
            tracing::error!(error = %Causes(&error), "cannot see whether a loop is allowed");
            false
        }
    }
}
