//! The edge of the AWS APIs: a request is routed and validated from its service model, handed to the one
//! handler of its operation, and the answer or error written as that service writes it. The handlers of
//! Lambda's operations are the modules of this one.

mod account;
mod aliases;
mod chains;
mod code_signing;
mod concurrency;
mod configuration;
mod create;
mod delete;
mod download;
mod event_invoke;
mod event_sources;
mod function_signing;
mod hot_reload;
mod identity;
mod layers;
mod listing;
mod logging;
mod markers;
mod operations;
mod ownership;
mod permissions;
mod provisioned;
mod publish;
mod read;
mod recursion;
mod rules;
mod runtime_updates;
mod scheduler;
mod settings;
pub(crate) mod tags;
mod update;
mod urls;
mod waiting;

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use pilotlight_model::node::{CODE_PATH, Caller, WARM_UP_PATH};
use pilotlight_model::service::{ApiId, Operation, Protocol, UriParams};
use pilotlight_model::{ErrorKind, LambdaError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::control::Parts;
use crate::logs;
use crate::warm_up;

/// What an operation answers with success.
pub(crate) enum Answer {
    /// The model's status, and a body.
    Json(Value),
    /// The same of the query protocol.
    Xml(String),
    /// A status of its own, and no body.
    Empty(StatusCode),
}

/// Answers one request. Faults of ours were logged where they happened.
pub(crate) async fn answer(
    parts: Arc<Parts>,
    caller: Caller,
    request: Request<Bytes>,
) -> Response<Bytes> {
    if request.method() == Method::GET && request.uri().path().starts_with(CODE_PATH) {
        return download::serve(&parts, request.uri())
            .await
            .unwrap_or_else(|error| error.response());
    }
    if request.method() == Method::POST && request.uri().path() == WARM_UP_PATH {
        let warmed = warm_up::answer(&parts, &caller, request.body()).await;
        return match warmed.and_then(json) {
            Ok(answer) => reply(ApiId::Lambda, StatusCode::OK, answer),
            Err(error) => error.response(),
        };
    }
    if let Some(asked) = chains::Asked::of(request.method(), request.uri().path()) {
        let answered = chains::answer(&parts, &caller, asked, request.body()).await;
        return match answered {
            Ok(answer) => reply(ApiId::Lambda, StatusCode::OK, answer),
            Err(error) => error.response(),
        };
    }
    if let Some(own) = waiting::Own::of(request.method(), request.uri().path()) {
        return waiting::answer(&parts, &caller, own, request.uri())
            .await
            .unwrap_or_else(|error| error.response());
    }
    let api = ApiId::of(request.method(), request.uri(), request.headers());
    match operate(&parts, &caller, api, &request).await {
        Ok((operation, answer)) => reply(api, operation.status(), answer),
        Err(error) => error.response_of(match api {
            // Another service of that protocol, whose clients read no other errors. Its words are those of Logs.
            ApiId::Lambda if has_target(&request) => ApiId::Logs,
            api => api,
        }),
    }
}

/// Whether a request names its operation as those of the JSON protocol do.
fn has_target(request: &Request<Bytes>) -> bool {
    request.uri().path() == "/" && request.headers().contains_key("x-amz-target")
}

/// `status` is what the model says.
fn reply(api: ApiId, status: StatusCode, answer: Answer) -> Response<Bytes> {
    let (status, body) = match answer {
        Answer::Json(body) => (status, body.to_string().into()),
        Answer::Xml(body) => (status, body.into()),
        Answer::Empty(own) => (own, Bytes::new()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static(match api.protocol() {
        Protocol::RestJson => "application/json",
        Protocol::Json11 => "application/x-amz-json-1.1",
        Protocol::Query => "text/xml",
    });
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, kind);
    response
}

fn no_operation(api: ApiId, request: &Request<Bytes>) -> String {
    let (method, uri) = (request.method(), request.uri());
    let asked = ApiId::asked(method, uri, request.headers());
    // Paths of Lambda begin with a date, and those of others have gone to others: this one is meant for a service
    // that is somewhere else, as happens with `AWS_ENDPOINT_URL`, which is for all of them.
    if api == ApiId::Lambda && !uri.path().starts_with("/20") {
        return ApiId::not_served(&asked);
    }
    format!("No operation of {} is {asked}", api.title())
}

async fn operate(
    parts: &Arc<Parts>,
    caller: &Caller,
    api: ApiId,
    request: &Request<Bytes>,
) -> Result<(&'static Operation, Answer), LambdaError> {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let (operation, params) = match api.protocol() {
        Protocol::Query => (identity::operation(request.body())?, UriParams::new()),
        Protocol::RestJson | Protocol::Json11 => {
            api.operation(method, uri, headers).ok_or_else(|| {
                LambdaError::new(ErrorKind::UnknownOperation, no_operation(api, request))
            })?
        }
    };
    let query = uri.query().unwrap_or_default();
    let input = operation.parse(&params, query, headers, request.body())?;
    let answer = match api {
        ApiId::Lambda => {
            let acting = ownership::acting(parts, caller, operation, &input)?;
            operations::dispatch(parts, &acting, operation, input).await?
        }
        ApiId::Logs => logs::dispatch(parts, caller, operation, input).await?,
        ApiId::Scheduler => scheduler::dispatch(parts, caller, operation, input).await?,
        ApiId::Sts => identity::dispatch(caller, operation)?,
    };
    Ok((operation, answer))
}

/// 404 for an operation of AWS's that this platform does not have.
pub(crate) fn not_yet(name: &str) -> LambdaError {
    LambdaError::new(
        ErrorKind::UnknownOperation,
        format!("{name} is not available on this platform yet."),
    )
}

/// The model has checked the types, so that this can only fail where struct and model differ.
pub(crate) fn typed<T: DeserializeOwned>(input: Value) -> Result<T, LambdaError> {
    serde_json::from_value(input).map_err(|error| ours("a request", &error))
}

/// The answer of an operation that has something to say.
pub(crate) async fn answered<T: Serialize>(
    outcome: impl Future<Output = Result<T, LambdaError>>,
) -> Result<Answer, LambdaError> {
    outcome.await.and_then(json)
}

/// An answer with a body.
pub(crate) fn json(body: impl Serialize) -> Result<Answer, LambdaError> {
    serde_json::to_value(body)
        .map(Answer::Json)
        .map_err(|error| ours("an answer", &error))
}

fn ours(what: &str, error: &serde_json::Error) -> LambdaError {
    tracing::error!(%error, what, "does not fit its shape");
    LambdaError::new(ErrorKind::Service, "An internal error occurred.")
}

/// 400 for a parameter whose meaning is wrong.
pub(crate) fn invalid(message: impl Into<String>) -> LambdaError {
    LambdaError::new(ErrorKind::InvalidParameterValue, message)
}
