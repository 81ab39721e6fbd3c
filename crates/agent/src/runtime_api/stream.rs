//! Answers in streaming mode, handed on as they come: HTTP chunks, and trailers where an error cuts them short.
//!
//! A chunk is read when the one before it has been taken: a client that is slow makes the function wait, and not the
//! node's memory grow. Source: "Building a custom runtime" of the AWS Lambda developer guide, "Response streaming".

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use pilotlight_model::limits::STREAMED_RESPONSE_BYTES;
use pilotlight_model::node::ResponseSink;

use super::accepted;
use super::answer::{Claim, DISCARDED_BYTES, error_in, too_large, truncated};
use crate::instance::Answer;

/// Whether an answer comes whole or in pieces.
const MODE: &str = "lambda-runtime-function-response-mode";

/// Whether the runtime says that it streams its answer.
pub(super) fn is_streaming(headers: &HeaderMap) -> bool {
    headers
        .get(MODE)
        .is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"streaming"))
}

/// Reads an answer into `sink`. An error before the first byte is the answer, like that of one which is not streamed.
pub(super) async fn hand_on(
    claim: Claim<'_>,
    sink: &dyn ResponseSink,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let content_type = request.headers().get(header::CONTENT_TYPE).cloned();
    let mut body = request.into_body();
    let (mut begun, mut count, mut error) = (false, 0, None);
    while let Some(frame) = body.frame().await {
        let data = match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) => data,
            Ok(Err(frame)) => {
                error = frame.into_trailers().ok().as_ref().and_then(error_in);
                continue;
            }
            // The runtime may still tell of an error, or end; what was handed on stays so.
            Err(_) => return truncated(),
        };
        count += data.len() as u64;
        if count > STREAMED_RESPONSE_BYTES {
            claim.finish(Answer::TooLarge);
            discard(body).await;
            return too_large(STREAMED_RESPONSE_BYTES);
        }
        if !begun {
            begun = true;
            begin(&claim, sink, content_type.clone());
        }
        sink.send(data).await;
    }
    match error {
        Some(error) => claim.finish(Answer::Error(error)),
        None => {
            if !begun {
                begin(&claim, sink, content_type);
            }
            claim.finish(Answer::Streamed(count));
        }
    }
    accepted()
}

fn begin(claim: &Claim<'_>, sink: &dyn ResponseSink, content_type: Option<http::HeaderValue>) {
    // One that comes too late has nobody who waits for it: its request has been answered.
    if let Some(begun) = claim.begin_stream(content_type) {
        sink.begin(begun);
    }
}

/// Reads on up to a bound, so that a runtime which sends before it listens hears why.
async fn discard(mut body: Incoming) {
    let mut left = DISCARDED_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let size = frame.data_ref().map_or(0, Bytes::len) as u64;
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
