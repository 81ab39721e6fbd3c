//! What a function URL answers in the function's place.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use pilotlight_model::{ErrorKind, LambdaError};

/// 403: there is no such URL.
pub(super) fn unknown() -> Response<Bytes> {
    denied(r#"{"Message":null}"#)
}

/// 403: the caller may not.
pub(super) fn forbidden() -> Response<Bytes> {
    denied(
        r#"{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}"#,
    )
}

/// 502: the function failed, or has answered what is no answer.
pub(super) fn bad_gateway() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(b"Internal Server Error"));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    put(&mut response, "InternalServerErrorException");
    response
}

/// What the API says, in the words of a URL where those are others.
pub(super) fn of(error: LambdaError) -> Response<Bytes> {
    match error.kind {
        ErrorKind::MissingAuthenticationToken | ErrorKind::AccessDenied => forbidden(),
        // The function has gone, or is not there yet.
        ErrorKind::ResourceNotFound => unknown(),
        ErrorKind::ResourceConflict => bad_gateway(),
        _ => error.response(),
    }
}

fn denied(body: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(body.as_bytes()));
    *response.status_mut() = StatusCode::FORBIDDEN;
    put(&mut response, ErrorKind::AccessDenied.type_name());
    response
}

fn put(response: &mut Response<Bytes>, error_type: &'static str) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-amzn-errortype", HeaderValue::from_static(error_type));
}
