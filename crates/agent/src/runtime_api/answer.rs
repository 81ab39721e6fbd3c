//! The requests of a runtime that have a body: answers and errors.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use pilotlight_model::ids::RequestId;
use pilotlight_model::limits::INVOKE_RESPONSE_BYTES;
use pilotlight_model::node::StreamBegun;

use super::{accepted, error as http_error, refused, stream};
use crate::instance::{Answer, Instance};

/// Error type of a runtime's error.
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
/// Trailer of an answer in streaming mode that an error cut short: the error's JSON, in base64.
const ERROR_BODY: &str = "lambda-runtime-function-error-body";
/// Bytes of an error type that are kept.
const ERROR_TYPE_BYTES: usize = 256;
/// Bytes of an init or restore error; of a longer one only the type is kept.
const INIT_ERROR_BYTES: u64 = 256 * 1024;
/// Bytes read of an answer that is too large, so that a runtime which sends before it listens hears
/// why; beyond it the connection is closed.
pub(super) const DISCARDED_BYTES: u64 = 64 * 1024 * 1024;

/// `POST …/invocation/{id}/response`. One in streaming mode is handed on as it comes, where the caller takes it so;
/// else it is collected like any other, and one that an error cut short is that error.
pub(super) async fn response(
    instance: &Arc<Instance>,
    id: RequestId,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    // Claimed before the body is read: an instance has one body in memory, however many it sends.
    let sink = match instance.begin_response(id) {
        Ok(sink) => sink,
        Err(why) => return refused(why),
    };
    let claim = Claim::new(instance, id);
    match sink {
        Some(sink) if stream::is_streaming(request.headers()) => {
            stream::hand_on(claim, sink.as_ref(), request).await
        }
        _ => collect(claim, request, Answer::Response).await,
    }
}

/// `POST …/invocation/{id}/error`.
pub(super) async fn error(
    instance: &Arc<Instance>,
    id: RequestId,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    if let Err(why) = instance.begin_answer(id) {
        return refused(why);
    }
    collect(Claim::new(instance, id), request, Answer::Error).await
}

/// `POST …/init/error`.
pub(super) async fn init_error(
    instance: &Arc<Instance>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (error_type, body) = told(request).await;
    match instance.fail_init(error_type, body) {
        Ok(()) => accepted(),
        Err(why) => refused(why),
    }
}

/// `POST …/restore/error`.
pub(super) async fn restore_error(
    instance: &Arc<Instance>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (error_type, body) = told(request).await;
    match instance.fail_restore(error_type, body) {
        Ok(()) => accepted(),
        Err(why) => refused(why),
    }
}

/// Type and words of an error that no event is to blame for.
async fn told(request: Request<Incoming>) -> (String, Bytes) {
    let error_type = request
        .headers()
        .get(ERROR_TYPE)
        .and_then(|value| value.to_str().ok())
        .filter(|value| !value.is_empty())
        .map_or_else(
            || "Runtime.Unknown".to_owned(),
            |value| value.chars().take(ERROR_TYPE_BYTES).collect(),
        );
    let body = match read(request.into_body(), INIT_ERROR_BYTES).await {
        Ok(Read::Whole(body) | Read::CutShort(body)) => body,
        Ok(Read::TooLarge) | Err(_) => Bytes::new(),
    };
    (error_type, body)
}

async fn collect(
    claim: Claim<'_>,
    request: Request<Incoming>,
    whole: fn(Bytes) -> Answer,
) -> Response<Full<Bytes>> {
    match read(request.into_body(), INVOKE_RESPONSE_BYTES as u64).await {
        Ok(Read::Whole(body)) => {
            claim.finish(whole(body));
            accepted()
        }
        Ok(Read::CutShort(error)) => {
            claim.finish(Answer::Error(error));
            accepted()
        }
        Ok(Read::TooLarge) => {
            claim.finish(Answer::TooLarge);
            too_large(INVOKE_RESPONSE_BYTES as u64)
        }
        Err(_) => truncated(),
    }
}

/// The runtime hears that its answer is larger than `limit`.
pub(super) fn too_large(limit: u64) -> Response<Full<Bytes>> {
    http_error(
        StatusCode::PAYLOAD_TOO_LARGE,
        "RequestEntityTooLarge",
        &format!("Exceeded maximum allowed payload size ({limit} bytes)."),
    )
}

/// The runtime hears that its answer broke off.
pub(super) fn truncated() -> Response<Full<Bytes>> {
    http_error(
        StatusCode::BAD_REQUEST,
        "TruncatedRequest",
        "The body is not whole",
    )
}

/// The right to answer a request. Dropped without an answer (the connection broke) it gives the right
/// back, so that the runtime can try again.
pub(super) struct Claim<'a> {
    instance: &'a Arc<Instance>,
    id: RequestId,
    open: bool,
}

impl<'a> Claim<'a> {
    /// Of an answer that has begun.
    fn new(instance: &'a Arc<Instance>, id: RequestId) -> Self {
        Self {
            instance,
            id,
            open: true,
        }
    }

    /// The first byte of an answer that is streamed is there.
    pub(super) fn begin_stream(&self, content_type: Option<HeaderValue>) -> Option<StreamBegun> {
        self.instance.begin_stream(self.id, content_type)
    }

    /// The answer is whole, or is not to become so.
    pub(super) fn finish(mut self, answer: Answer) {
        self.open = false;
        self.instance.finish_answer(self.id, answer);
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if self.open {
            self.instance.abandon_answer(self.id);
        }
    }
}

enum Read {
    Whole(Bytes),
    /// By this error of the function.
    CutShort(Bytes),
    /// It has, or says that it has, more bytes than the limit.
    TooLarge,
}

async fn read(mut body: Incoming, limit: u64) -> Result<Read, hyper::Error> {
    let announced = body.size_hint().exact();
    let expected = announced.unwrap_or(0).min(limit);
    let mut bytes = BytesMut::with_capacity(usize::try_from(expected).unwrap_or(0));
    let mut count = 0;
    let mut error = None;
    while let Some(frame) = body.frame().await {
        let data = match frame?.into_data() {
            Ok(data) => data,
            Err(frame) => {
                error = frame.into_trailers().ok().as_ref().and_then(error_in);
                continue;
            }
        };
        count += data.len() as u64;
        if count <= limit {
            bytes.extend_from_slice(&data);
        } else if count > DISCARDED_BYTES {
            break;
        } else {
            bytes = BytesMut::new();
        }
    }
    match (error, announced.unwrap_or(0).max(count)) {
        (Some(error), _) => Ok(Read::CutShort(error)),
        (None, size) if size > limit => Ok(Read::TooLarge),
        (None, _) => Ok(Read::Whole(bytes.freeze())),
    }
}

/// The error that the trailers of an answer tell of; what they do not tell in full is told by its type.
pub(super) fn error_in(trailers: &HeaderMap) -> Option<Bytes> {
    let error_type = trailers.get(ERROR_TYPE)?.to_str().ok()?;
    let body = trailers
        .get(ERROR_BODY)
        .and_then(|body| BASE64.decode(body).ok());
    let body = body.unwrap_or_else(|| {
        let error = serde_json::json!({ "errorType": error_type, "errorMessage": error_type });
        error.to_string().into_bytes()
    });
    Some(body.into())
}
