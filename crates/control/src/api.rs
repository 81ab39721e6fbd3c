//! The edge of the AWS APIs: a request is routed and validated from its service model, handed to the one
//! handler of its operation, and the answer or error written as that service writes it. The handlers of
//! Lambda's operations are the modules of this one.

mod account;
mod aliases;
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
mod layers;
mod listing;
mod logging;
mod markers;
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
use pilotlight_model::service::{ApiId, Operation, Protocol};
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
            Ok(Answer::Json(body)) => reply(ApiId::Lambda, StatusCode::OK, body.to_string().into()),
            Ok(Answer::Empty(status)) => reply(ApiId::Lambda, status, Bytes::new()),
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
        Ok((operation, Answer::Json(body))) => {
            reply(api, operation.status(), Bytes::from(body.to_string()))
        }
        Ok((_, Answer::Empty(status))) => reply(api, status, Bytes::new()),
        Err(error) => error.response_of(api),
    }
}

fn reply(api: ApiId, status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static(match api.protocol() {
        Protocol::RestJson => "application/json",
        Protocol::Json11 => "application/x-amz-json-1.1",
    });
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    response
}

async fn operate(
    parts: &Arc<Parts>,
    caller: &Caller,
    api: ApiId,
    request: &Request<Bytes>,
) -> Result<(&'static Operation, Answer), LambdaError> {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let (operation, params) = api.operation(method, uri, headers).ok_or_else(|| {
        LambdaError::new(
            ErrorKind::UnknownOperation,
            format!("No operation of {} is {method} {}", api.title(), uri.path()),
        )
    })?;
    let query = uri.query().unwrap_or_default();
    let input = operation.parse(&params, query, headers, request.body())?;
    let answer = match api {
        ApiId::Lambda => {
            let acting = ownership::acting(parts, caller, operation, &input)?;
            dispatch(parts, &acting, operation, input).await?
        }
        ApiId::Logs => logs::dispatch(parts, caller, operation, input).await?,
        ApiId::Scheduler => scheduler::dispatch(parts, caller, operation, input).await?,
    };
    Ok((operation, answer))
}

/// The table of Lambda's operations. What is not in it is one of AWS's that this platform does not have yet.
async fn dispatch(
    parts: &Arc<Parts>,
    caller: &Caller,
    operation: &Operation,
    input: Value,
) -> Result<Answer, LambdaError> {
    match operation.name() {
        "CreateFunction" => create::create_function(parts, caller, input)
            .await
            .and_then(json),
        "GetFunction" => read::get_function(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "GetFunctionConfiguration" => {
            read::get_function_configuration(parts, caller, typed(input)?)
                .await
                .and_then(json)
        }
        "UpdateFunctionCode" => update::update_function_code(parts, caller, input)
            .await
            .and_then(json),
        "UpdateFunctionConfiguration" => {
            update::update_function_configuration(parts, caller, input)
                .await
                .and_then(json)
        }
        "PublishVersion" => publish::publish_version(parts, caller, input)
            .await
            .and_then(json),
        "DeleteFunction" => delete::delete_function(parts, caller, typed(input)?).await,
        "ListFunctions" => listing::list_functions(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "ListVersionsByFunction" => listing::list_versions(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "CreateAlias" => aliases::create_alias(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "GetAlias" => aliases::get_alias(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "UpdateAlias" => aliases::update_alias(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "DeleteAlias" => aliases::delete_alias(parts, caller, typed(input)?).await,
        "ListAliases" => aliases::list_aliases(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "ListTags" => tags::list_tags(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "TagResource" => tags::tag_resource(parts, caller, typed(input)?).await,
        "UntagResource" => tags::untag_resource(parts, caller, typed(input)?).await,
        "PutFunctionConcurrency" => {
            concurrency::put_function_concurrency(parts, caller, typed(input)?)
                .await
                .and_then(json)
        }
        "GetFunctionConcurrency" => {
            concurrency::get_function_concurrency(parts, caller, typed(input)?)
                .await
                .and_then(json)
        }
        "DeleteFunctionConcurrency" => {
            concurrency::delete_function_concurrency(parts, caller, typed(input)?).await
        }
        "PutProvisionedConcurrencyConfig" => provisioned::put(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "GetProvisionedConcurrencyConfig" => provisioned::get(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "DeleteProvisionedConcurrencyConfig" => {
            provisioned::delete(parts, caller, typed(input)?).await
        }
        "ListProvisionedConcurrencyConfigs" => provisioned::list(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "GetAccountSettings" => account::get_account_settings(parts, caller)
            .await
            .and_then(json),
        "CreateCodeSigningConfig" => code_signing::create(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "GetCodeSigningConfig" => code_signing::get(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "UpdateCodeSigningConfig" => code_signing::update(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "DeleteCodeSigningConfig" => code_signing::delete(parts, caller, typed(input)?).await,
        "ListCodeSigningConfigs" => code_signing::list(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "ListFunctionsByCodeSigningConfig" => function_signing::list(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "PutFunctionCodeSigningConfig" => function_signing::put(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "GetFunctionCodeSigningConfig" => function_signing::get(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "DeleteFunctionCodeSigningConfig" => {
            function_signing::delete(parts, caller, typed(input)?).await
        }
        "AddPermission" => permissions::add_permission(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "RemovePermission" => permissions::remove_permission(parts, caller, typed(input)?).await,
        "GetPolicy" => permissions::get_policy(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "CreateFunctionUrlConfig" => urls::create_function_url_config(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "GetFunctionUrlConfig" => urls::get_function_url_config(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "UpdateFunctionUrlConfig" => urls::update_function_url_config(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "DeleteFunctionUrlConfig" => {
            urls::delete_function_url_config(parts, caller, typed(input)?).await
        }
        "ListFunctionUrlConfigs" => urls::list_function_url_configs(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "PutFunctionEventInvokeConfig" => event_invoke::put(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "UpdateFunctionEventInvokeConfig" => event_invoke::update(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "GetFunctionEventInvokeConfig" => event_invoke::get(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "DeleteFunctionEventInvokeConfig" => {
            event_invoke::delete(parts, caller, typed(input)?).await
        }
        "ListFunctionEventInvokeConfigs" => event_invoke::list(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "GetFunctionRecursionConfig" => {
            recursion::get_function_recursion_config(parts, caller, typed(input)?)
                .await
                .and_then(json)
        }
        "PutFunctionRecursionConfig" => {
            recursion::put_function_recursion_config(parts, caller, typed(input)?)
                .await
                .and_then(json)
        }
        "GetRuntimeManagementConfig" => {
            runtime_updates::get_runtime_management_config(parts, caller, typed(input)?)
                .await
                .and_then(json)
        }
        "PutRuntimeManagementConfig" => {
            runtime_updates::put_runtime_management_config(parts, caller, typed(input)?)
                .await
                .and_then(json)
        }
        "ListEventSourceMappings" => json(event_sources::list_event_source_mappings()),
        "CreateEventSourceMapping" => Err(event_sources::not_here()),
        "GetEventSourceMapping" | "UpdateEventSourceMapping" | "DeleteEventSourceMapping" => {
            Err(event_sources::none_such())
        }
        "PublishLayerVersion" => layers::publish(parts, caller, input).await.and_then(json),
        "GetLayerVersion" => layers::get(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "GetLayerVersionByArn" => layers::get_by_arn(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "DeleteLayerVersion" => layers::delete(parts, caller, typed(input)?).await,
        "ListLayers" => layers::listing::layers(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "ListLayerVersions" => layers::listing::versions(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "AddLayerVersionPermission" => layers::policy::add(parts, caller, typed(input)?)
            .await
            .and_then(json),
        "RemoveLayerVersionPermission" => {
            layers::policy::remove(parts, caller, typed(input)?).await
        }
        "GetLayerVersionPolicy" => layers::policy::get(parts, caller, typed(input)?)
            .await
            .and_then(json),
        name => Err(not_yet(name)),
    }
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
