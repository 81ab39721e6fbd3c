//! Warm-ups: instances of a version that are made ready before requests come, on demand or by a schedule.

use std::sync::Arc;

use bytes::Bytes;
use pilotlight_model::limits::{INVOKE_EVENT_BYTES, WARM_UP_INSTANCES};
use pilotlight_model::names::Target;
use pilotlight_model::node::{Caller, NodeError, Route, WarmUpCall, WarmUpOrder, WarmedUp};
use pilotlight_model::{ErrorKind, LambdaError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::control::Parts;

/// What is to be warm.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    function: Target,
    instances: u32,
    /// The event that handlers are called with; without one none is called.
    payload: Option<Bytes>,
}

/// A request as JSON: of `POST /pilotlight/v1/warm-up`, and the input of a schedule.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Fields {
    function_name: String,
    qualifier: Option<String>,
    #[serde(default = "one")]
    instances: u32,
    #[serde(default, deserialize_with = "present")]
    payload: Option<Value>,
}

/// What a warm-up came to, as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    function_arn: String,
    /// One, or the two that an alias splits invocations between.
    versions: Vec<Warmed>,
}

/// What it came to for one version.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Warmed {
    version: String,
    /// That were asked for.
    instances: u32,
    idle: u32,
    started: u32,
    called: u32,
    failed: u32,
}

/// Why nothing was warmed up.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No such function, or it is not ready.
    Function(LambdaError),
    /// The node could not.
    Node(NodeError),
}

impl Request {
    /// What is to be warm.
    pub(crate) fn function(&self) -> &Target {
        &self.function
    }

    /// Reads a request of that caller.
    pub(crate) fn read(input: Value, caller: &Caller) -> Result<Self, LambdaError> {
        let fields: Fields = serde_json::from_value(input)
            .map_err(|error| invalid(format!("Invalid warm-up: {error}.")))?;
        if !(1..=WARM_UP_INSTANCES).contains(&fields.instances) {
            return Err(invalid(format!(
                "Instances must be a number from 1 to {WARM_UP_INSTANCES}."
            )));
        }
        let payload = fields
            .payload
            .map(|payload| Bytes::from(payload.to_string()));
        if payload
            .as_ref()
            .is_some_and(|it| it.len() > INVOKE_EVENT_BYTES)
        {
            return Err(invalid(format!(
                "The Payload is larger than {INVOKE_EVENT_BYTES} bytes."
            )));
        }
        let qualifier = fields.qualifier.as_deref();
        Ok(Self {
            function: Target::resolve(caller, &fields.function_name, qualifier)?,
            instances: fields.instances,
            payload,
        })
    }
}

impl Request {
    /// What is to be warm, and how many instances of it.
    pub(crate) fn wanted(&self) -> (&Target, u32) {
        (&self.function, self.instances)
    }
}

/// Warms up, as far as there is room. Where an alias splits invocations, each version gets its part of the
/// instances.
pub(crate) async fn run(parts: &Parts, request: &Request) -> Result<Answer, Failure> {
    let routes = parts.routes(&request.function).map_err(Failure::Function)?;
    let mut versions = Vec::with_capacity(routes.len());
    for route in &routes {
        versions.push(one_version(parts, request, route).await?);
    }
    parts.metrics.warm_ups.inc();
    Ok(Answer {
        function_arn: request.function.arn(),
        versions,
    })
}

async fn one_version(parts: &Parts, request: &Request, route: &Route) -> Result<Warmed, Failure> {
    let resolved = &route.resolved;
    let instances = route.weight.part_of(request.instances);
    let at_ms = parts.config.clock.unix_ms();
    let order = WarmUpOrder {
        spec: Arc::clone(&resolved.spec),
        instances,
        call: request.payload.clone().map(|payload| WarmUpCall {
            invoked_arn: resolved.invoked_arn.clone(),
            payload,
            at_ms,
        }),
    };
    let done = parts.node.warm_up(order).await.map_err(Failure::Node)?;
    let key = &resolved.spec.key;
    let WarmedUp {
        idle,
        started,
        called,
        failed,
    } = done;
    parts.metrics.warm_up_starts.inc_by(started.into());
    parts.metrics.warm_up_calls.inc_by(called.into());
    tracing::info!(function = %key, wanted = instances, idle, started, called, failed, "warmed up");
    Ok(Warmed {
        version: key.version.to_string(),
        instances,
        idle,
        started,
        called,
        failed,
    })
}

/// Answers `POST /pilotlight/v1/warm-up`.
pub(crate) async fn answer(
    parts: &Parts,
    caller: &Caller,
    body: &[u8],
) -> Result<Answer, LambdaError> {
    let input = serde_json::from_slice(body).map_err(|_| {
        LambdaError::new(
            ErrorKind::InvalidRequestContent,
            "A warm-up is a JSON object.",
        )
    })?;
    let request = Request::read(input, caller)?;
    run(parts, &request).await.map_err(|failure| match failure {
        Failure::Function(error) => error,
        Failure::Node(NodeError::Internal(cause)) => {
            tracing::error!(cause, "node failed to warm up");
            LambdaError::new(ErrorKind::Service, "The node failed.")
        }
        Failure::Node(NodeError::CodeMissing(folder)) => LambdaError::code_missing(&folder),
        Failure::Node(error) => LambdaError::new(ErrorKind::Service, error.to_string()),
    })
}

fn one() -> u32 {
    1
}

/// A payload that is `null` is one.
fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

fn invalid(message: impl Into<String>) -> LambdaError {
    LambdaError::new(ErrorKind::InvalidParameterValue, message)
}
