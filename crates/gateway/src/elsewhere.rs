//! Requests for Amazon S3, which `AWS_ENDPOINT_URL` sends here with all others. It is the one service whose clients read
//! no other error than its own, and whose requests have nothing of their own but the service that they are signed for.
//! Source: "REST error responses" and "List of error codes" in the reference of Amazon S3.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use pilotlight_model::service::ApiId;

use crate::auth;

/// Whether a request is signed for Amazon S3.
pub(crate) fn is_s3(head: &Parts) -> bool {
    auth::service_of(head).is_some_and(|service| service == "s3")
}

/// 501 in its words. Who asks is nobody's business: the answer is the same for all.
pub(crate) fn s3(head: &Parts) -> Response<Bytes> {
    let what = format!("{} {}", head.method, head.uri.path());
    let message = ApiId::not_served(&what)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    // A client that asks for no body takes none.
    let body = match head.method == Method::HEAD {
        true => String::new(),
        false => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NotImplemented</Code><Message>{message}</Message></Error>"
        ),
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
    let kind = HeaderValue::from_static("application/xml");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
