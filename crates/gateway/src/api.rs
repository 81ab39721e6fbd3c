//! Everything of the AWS APIs but invocations: authenticated and read here, answered by the control
//! plane.

use bytes::Bytes;
use hyper::body::Incoming;
use pilotlight_model::limits::API_REQUEST_BYTES;
use pilotlight_model::node::Caller;
use pilotlight_model::service::ApiId;
use pilotlight_model::{ErrorKind, LambdaError};

use crate::body::Received;
use crate::front::{Answered, Call, Parts};

/// Hands an authenticated request to the control plane.
pub(crate) async fn forward(parts: &Parts, call: &Call<'_>, body: &mut Incoming) -> Answered {
    if let Some(inside) = call.wire.inside() {
        inside.may_ask(call.head, parts.config.function_api)?;
    }
    let (caller, received) = authenticate(parts, call, body, API_REQUEST_BYTES).await?;
    let request = http::Request::from_parts(call.head.clone(), received.bytes);
    Ok(parts.control.handle(caller, request).await.into())
}

/// Hands on a request that carries its own proof in its query string; its body is not read.
pub(crate) async fn open(parts: &Parts, head: http::request::Parts) -> Answered {
    let nobody = Caller {
        account: Default::default(),
        region: Default::default(),
        function: None,
    };
    let request = http::Request::from_parts(head, Bytes::new());
    Ok(parts.control.handle(nobody, request).await.into())
}

/// The caller and the body of a request, neither without the other.
pub(crate) async fn authenticate(
    parts: &Parts,
    call: &Call<'_>,
    body: &mut Incoming,
    limit: usize,
) -> Result<(Caller, Received), LambdaError> {
    let inside = call.wire.inside();
    let claim = parts.claim(inside, call.head)?;
    let received = parts
        .intake_of(inside)
        .receive(body, claim.limit(limit), claim.covers_body())
        .await
        .map_err(|error| error.into_lambda(|_| too_large(call, limit)))?;
    let (caller, received) = claim.verify(received)?;
    if received.bytes.len() > limit {
        let message = too_large(call, limit);
        return Err(LambdaError::new(ErrorKind::RequestEntityTooLarge, message));
    }
    Ok((caller, received))
}

fn too_large(call: &Call<'_>, limit: usize) -> String {
    let http::request::Parts {
        method,
        uri,
        headers,
        ..
    } = call.head;
    match ApiId::of(method, uri, headers).operation(method, uri, headers) {
        Some((operation, _)) => format!(
            "Request must be smaller than {limit} bytes for the {} operation",
            operation.name()
        ),
        None => format!("Request must be smaller than {limit} bytes"),
    }
}
