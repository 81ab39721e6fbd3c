//! The requests of a runtime that have a body: answers and errors.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use pilotlight_model::ids::RequestId;
use pilotlight_model::limits::INVOKE_RESPONSE_BYTES;

use super::{accepted, error as http_error, refused};
use crate::instance::{Answer, Instance, Refusal};

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
const DISCARDED_BYTES: u64 = 64 * 1024 * 1024;

/// `POST …/invocation/{id}/response`. An answer in streaming mode is collected like any other; one that an error
/// cut short is that error.
pub(super) async fn response(
    instance: &Arc<Instance>,
    id: RequestId,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    answer(instance, id, request, Answer::Response).await
}

/// `POST …/invocation/{id}/error`.
pub(super) async fn error(
    instance: &Arc<Instance>,
    id: RequestId,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    answer(instance, id, request, Answer::Error).await
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
        Ok(Read::TooLarge(_)) | Err(_) => Bytes::new(),
    };
    (error_type, body)
}

async fn answer(
    instance: &Arc<Instance>,
    id: RequestId,
    request: Request<Incoming>,
    whole: fn(Bytes) -> Answer,
) -> Response<Full<Bytes>> {
    // Claimed before the body is read: an instance has one body in memory, however many it sends.
    let claim = match Claim::of(instance, id) {
        Ok(claim) => claim,
        Err(why) => return refused(why),
    };
    match read(request.into_body(), INVOKE_RESPONSE_BYTES as u64).await {
        Ok(Read::Whole(body)) => {
            claim.finish(whole(body));
            accepted()
        }
        Ok(Read::CutShort(error)) => {
            claim.finish(Answer::Error(error));
            accepted()
        }
        Ok(Read::TooLarge(bytes)) => {
            claim.finish(Answer::TooLarge(bytes));
            http_error(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLarge",
                &format!("Exceeded maximum allowed payload size ({INVOKE_RESPONSE_BYTES} bytes)."),
            )
        }
        Err(_) => http_error(
            StatusCode::BAD_REQUEST,
            "TruncatedRequest",
            "The body is not whole",
        ),
    }
}

/// The right to answer a request. Dropped without an answer (the connection broke) it gives the right
/// back, so that the runtime can try again.
struct Claim<'a> {
    instance: &'a Arc<Instance>,
    id: RequestId,
    open: bool,
}

impl<'a> Claim<'a> {
    fn of(instance: &'a Arc<Instance>, id: RequestId) -> Result<Self, Refusal> {
        instance.begin_answer(id)?;
        Ok(Self {
            instance,
            id,
            open: true,
        })
    }

    fn finish(mut self, answer: Answer) {
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
    /// It has, or says that it has, that many bytes.
    TooLarge(u64),
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
        (None, size) if size > limit => Ok(Read::TooLarge(size)),
        (None, _) => Ok(Read::Whole(bytes.freeze())),
    }
}

/// The error that the trailers of an answer tell of; what they do not tell in full is told by its type.
fn error_in(trailers: &HeaderMap) -> Option<Bytes> {
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
