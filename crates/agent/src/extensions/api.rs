//! The Extensions API as an instance's extensions see it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{Event, Events, Refusal};
use crate::instance::Instance;
use crate::runtime_api::{Ended, OnFree, Then, Via, accepted, error, json};

const NAME: &str = "lambda-extension-name";
const IDENTIFIER: &str = "lambda-extension-identifier";
const FEATURES: &str = "lambda-extension-accept-feature";
const ERROR_TYPE: &str = "lambda-extension-function-error-type";
const EVENT_IDENTIFIER: &str = "lambda-extension-event-identifier";

/// Longest name of an extension: what a file's can be.
const NAME_BYTES: usize = 255;
/// Bytes of an error type that are kept.
const ERROR_TYPE_BYTES: usize = 256;
/// Bytes of a request's body. Of errors only their type is looked at.
pub(crate) const BODY_BYTES: usize = 64 * 1024;

/// The body of `POST …/register`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registration {
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    configuration_keys: Vec<String>,
}

/// `POST /2020-01-01/extension/register`.
pub(crate) async fn register(
    instance: &Arc<Instance>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let headers = request.headers().clone();
    let name = text(&headers, NAME).unwrap_or_default();
    if name.is_empty() || name.len() > NAME_BYTES {
        let message = match name {
            "" => "Empty extension name",
            _ => "Extension name too long",
        };
        return forbidden("Extension.InvalidExtensionName", message);
    }
    let registration = match body(request).await {
        Ok(body) => serde_json::from_slice::<Registration>(&body).map_err(|why| why.to_string()),
        Err(why) => Err(why),
    };
    let registration = match registration {
        Ok(registration) if registration.configuration_keys.is_empty() => registration,
        Ok(_) => {
            let message = "configurationKeys are deprecated; use environment variables instead";
            return forbidden("InvalidRequestFormat", message);
        }
        Err(why) => return forbidden("InvalidRequestFormat", &why),
    };
    let registered =
        Events::of(&registration.events).and_then(|events| instance.register(name, events));
    let id = match registered {
        Ok(id) => id,
        Err(refusal) => return refused(&refusal),
    };
    let key = &instance.spec.key;
    let mut told = json!({
        "functionName": key.name,
        "functionVersion": key.version.to_string(),
        "handler": instance.spec.handler,
    });
    let mut features = text(&headers, FEATURES).unwrap_or_default().split(',');
    if features.any(|feature| feature.trim() == "accountId") {
        told["accountId"] = json!(key.account.to_string());
    }
    let mut response = json(StatusCode::OK, told.to_string().into());
    put_uuid(&mut response, IDENTIFIER, id);
    response
}

/// `GET /2020-01-01/extension/event/next`.
pub(crate) async fn next(
    instance: &Arc<Instance>,
    on_free: &dyn OnFree,
    headers: &HeaderMap,
) -> Result<Response<Full<Bytes>>, Ended> {
    let id = match identifier(headers) {
        Ok(id) => id,
        Err(refused) => return Ok(*refused),
    };
    let (event, freed) = match instance.extension_asks(id) {
        Ok(asked) => asked,
        Err(refusal) => return Ok(refused(&refusal)),
    };
    if let Some(first) = freed {
        on_free.free(instance, first, Via::Tcp, Then::Keep);
    }
    let event = event.await.map_err(|_| Ended)?;
    let mut response = json(StatusCode::OK, event.json().to_string().into());
    put_uuid(&mut response, EVENT_IDENTIFIER, Uuid::new_v4());
    Ok(response)
}

/// `POST /2020-01-01/extension/init/error`.
pub(crate) async fn init_error(
    instance: &Arc<Instance>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    failed(request, |id, error_type| {
        instance.extension_failed_init(id, error_type)
    })
    .await
}

/// `POST /2020-01-01/extension/exit/error`.
pub(crate) async fn exit_error(
    instance: &Arc<Instance>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    failed(request, |id, error_type| {
        instance.extension_failed(id, error_type)
    })
    .await
}

/// The process is expected to end next; its end is what counts.
async fn failed(
    request: Request<Incoming>,
    fail: impl FnOnce(Uuid, String) -> Result<(), Refusal>,
) -> Response<Full<Bytes>> {
    let id = match identifier(request.headers()) {
        Ok(id) => id,
        Err(refused) => return *refused,
    };
    let error_type = match text(request.headers(), ERROR_TYPE) {
        None | Some("") => {
            let message = "Lambda-Extension-Function-Error-Type not found";
            return forbidden("Extension.MissingHeader", message);
        }
        Some(given) => given.chars().take(ERROR_TYPE_BYTES).collect(),
    };
    // So that a sender that does not listen before all is sent hears the answer.
    let _ = body(request).await;
    match fail(id, error_type) {
        Ok(()) => accepted(),
        Err(refusal) => refused(&refusal),
    }
}

/// Who asks.
pub(crate) fn identifier(headers: &HeaderMap) -> Result<Uuid, Box<Response<Full<Bytes>>>> {
    let refused = |error_type, message| Box::new(forbidden(error_type, message));
    let given = text(headers, IDENTIFIER).unwrap_or_default();
    if given.is_empty() {
        return Err(refused(
            "Extension.MissingExtensionIdentifier",
            "Missing Lambda-Extension-Identifier header",
        ));
    }
    given.parse().map_err(|_| {
        refused(
            "Extension.InvalidExtensionIdentifier",
            "Invalid Lambda-Extension-Identifier",
        )
    })
}

/// A whole body, if it is not longer than it may be.
pub(crate) async fn body(request: Request<Incoming>) -> Result<Bytes, String> {
    let body = Limited::new(request.into_body(), BODY_BYTES);
    let body = body.collect().await.map_err(|why| why.to_string())?;
    Ok(body.to_bytes())
}

pub(crate) fn refused(refusal: &Refusal) -> Response<Full<Bytes>> {
    forbidden(refusal.error_type(), &refusal.to_string())
}

pub(crate) fn forbidden(error_type: &str, message: &str) -> Response<Full<Bytes>> {
    error(StatusCode::FORBIDDEN, error_type, message)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn put_uuid(response: &mut Response<Full<Bytes>>, name: &'static str, id: Uuid) {
    let value = HeaderValue::from_str(&id.to_string()).expect("digits and hyphens");
    response.headers_mut().insert(name, value);
}

impl Event {
    fn json(&self) -> serde_json::Value {
        match self {
            Event::Invoke {
                request,
                deadline_ms,
                invoked_arn,
                trace_id,
            } => json!({
                "eventType": "INVOKE",
                "deadlineMs": deadline_ms,
                "requestId": request,
                "invokedFunctionArn": invoked_arn,
                "tracing": { "type": "X-Amzn-Trace-Id", "value": trace_id },
            }),
            Event::Shutdown {
                reason,
                deadline_ms,
            } => json!({
                "eventType": "SHUTDOWN",
                "shutdownReason": reason,
                "deadlineMs": deadline_ms,
            }),
        }
    }
}
