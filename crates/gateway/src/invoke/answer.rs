//! Answers of Invoke. The one place of this crate that maps a node's errors to HTTP.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use pilotlight_model::error::ThrottleReason;
use pilotlight_model::node::{InvokeReply, NodeError};
use pilotlight_model::start::Timeline;
use pilotlight_model::{ErrorKind, LambdaError, RequestId, StartKind, Version};

use super::Style;
use super::trace_id::TraceId;
use crate::front::Answer;
use crate::metrics::Outcome;
use crate::record::phases;

const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What the function, or its failure, answered: 200 either way.
pub(super) fn reply(reply: InvokeReply, version: &Version, trace: &TraceId) -> Response<Bytes> {
    let mut response = Response::new(reply.payload);
    let headers = response.headers_mut();
    headers.reserve(8);
    headers.insert(CONTENT_TYPE, JSON);
    told(headers, version, trace, reply.kind, &reply.timeline);
    if let Some(kind) = reply.function_error {
        headers.insert(FUNCTION_ERROR, HeaderValue::from_static(kind));
    }
    if let Some(tail) = &reply.log_tail {
        headers.insert(LOG_RESULT, value(BASE64_STANDARD.encode(tail)));
    }
    response
}

/// What every synchronous invocation tells of itself.
pub(super) fn told(
    headers: &mut HeaderMap,
    version: &Version,
    trace: &TraceId,
    kind: StartKind,
    timeline: &Timeline,
) {
    headers.insert(EXECUTED_VERSION, version_value(version));
    headers.insert(TRACE_ID, value(trace.header.clone()));
    headers.insert(SERVER_TIMING, server_timing(kind, timeline));
}

/// 204: all that could be checked without running holds.
pub(super) fn dry_run(trace: &TraceId) -> Answer {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
        .headers_mut()
        .insert(TRACE_ID, value(trace.header.clone()));
    response.into()
}

/// 202: the event is stored.
pub(super) fn accepted(style: Style, trace: &TraceId) -> Answer {
    let mut response = Response::new(match style {
        Style::Invoke | Style::Stream => Bytes::new(),
        Style::InvokeAsync => Bytes::from_static(b"{\"Status\":202}"),
    });
    *response.status_mut() = StatusCode::ACCEPTED;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(TRACE_ID, value(trace.header.clone()));
    response.into()
}

/// The function did not run. All of these may be tried again.
pub(super) fn node_error(error: &NodeError, id: RequestId) -> (Outcome, Response<Bytes>) {
    match error {
        NodeError::Overloaded => {
            let reason = ThrottleReason::ConcurrentInvocationLimitExceeded;
            (
                Outcome::Throttled,
                LambdaError::throttled(reason).response(),
            )
        }
        NodeError::Draining => {
            let message = "The node is shutting down. Try again.";
            let mut response = LambdaError::new(ErrorKind::Service, message).response();
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            (Outcome::Failed, response)
        }
        NodeError::CodeMissing(folder) => (
            Outcome::Failed,
            LambdaError::code_missing(folder).response(),
        ),
        NodeError::InitFailed(cause) | NodeError::Internal(cause) => {
            // What went wrong inside is for the operator, who finds it by the request id.
            tracing::error!(cause, "node failed to run an invocation");
            let message = format!("The platform failed to run the function. RequestId: {id}");
            let response = LambdaError::new(ErrorKind::Service, message).response();
            (Outcome::Failed, response)
        }
    }
}

/// `start;desc="warm", gateway;dur=0.041, …`, in milliseconds. The last phase, `respond`, goes up to the
/// writing of this header; the record of the start has its end.
fn server_timing(kind: StartKind, timeline: &Timeline) -> HeaderValue {
    let mut text = String::with_capacity(320);
    write!(text, "start;desc=\"{kind}\"").expect("writing to a string cannot fail");
    for length in phases(timeline) {
        let (ms, us) = (length.us / 1_000, length.us % 1_000);
        write!(text, ", {};dur={ms}.{us:03}", length.phase)
            .expect("writing to a string cannot fail");
    }
    value(text)
}

fn version_value(version: &Version) -> HeaderValue {
    match version {
        Version::Latest => HeaderValue::from_static("$LATEST"),
        Version::Number(number) => HeaderValue::from(*number),
    }
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("made of visible ASCII alone")
}
