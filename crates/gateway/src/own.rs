//! Pilotlight's own read API: what AWS has no words for.
//!
//! Everything asks for the same authentication as the Lambda API, but for two: `/pilotlight/v1/health`
//! says nothing worth hiding and is open; `/metrics` names functions, so where access keys are
//! configured it is open to loopback only, and asks everyone else for a signature. (Behind a proxy on
//! the same machine everyone comes from loopback: such a proxy must not pass `/metrics` on.)

mod calls;
mod logs;
mod starts;
mod why;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};
use hyper::body::Incoming;
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError};
use serde::Serialize;

use crate::api::authenticate;
use crate::front::{Answered, Call, Parts};
use crate::query;

/// Bytes of a body that nobody needs, but that a signature may cover.
const BODY_BYTES: usize = 64 * 1024;

/// An endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// `GET /pilotlight/v1/starts?function=&kind=&since=&limit=`.
    Starts,
    /// `GET /pilotlight/v1/nodes`.
    Nodes,
    /// `GET /pilotlight/v1/logs?function=|log_group=&position=&since=&limit=&wait=`.
    Logs,
    /// `GET /pilotlight/v1/why?function=`.
    Why,
    /// `GET /pilotlight/v1/calls?function=&from=&limit=`.
    Calls,
    /// `GET /pilotlight/v1/health`: 200 when ready, 503 while draining.
    Health,
    /// `GET /metrics`: OpenMetrics text.
    Metrics,
}

/// Whether a path is one of Pilotlight's own rather than of an AWS API.
pub(crate) fn is_own(path: &str) -> bool {
    path.starts_with("/pilotlight/") || path == "/metrics"
}

impl Own {
    /// The endpoint at that path.
    pub(crate) fn of(method: &Method, path: &str) -> Option<Self> {
        if method != Method::GET {
            return None;
        }
        match path {
            "/pilotlight/v1/starts" => Some(Self::Starts),
            "/pilotlight/v1/nodes" => Some(Self::Nodes),
            "/pilotlight/v1/logs" => Some(Self::Logs),
            "/pilotlight/v1/why" => Some(Self::Why),
            "/pilotlight/v1/calls" => Some(Self::Calls),
            "/pilotlight/v1/health" => Some(Self::Health),
            "/metrics" => Some(Self::Metrics),
            _ => None,
        }
    }

    fn needs_caller(self, parts: &Parts, call: &Call<'_>) -> bool {
        match self {
            Self::Health => false,
            Self::Metrics => {
                let local = call.wire.peer().ip().to_canonical().is_loopback();
                parts.authenticator.keyed() && !local
            }
            Self::Starts | Self::Nodes | Self::Logs | Self::Why | Self::Calls => true,
        }
    }
}

/// Answers a request to `own`.
pub(crate) async fn answer(
    parts: &Parts,
    call: &Call<'_>,
    own: Own,
    body: &mut Incoming,
) -> Answered {
    let caller = if own.needs_caller(parts, call) {
        authenticate(parts, call, body, BODY_BYTES).await?.0
    } else {
        Caller {
            account: Default::default(),
            region: Default::default(),
            function: None,
        }
    };
    let query = call.head.uri.query().unwrap_or("");
    let response = match own {
        Own::Starts => starts::read(parts, caller, query)?,
        Own::Nodes => nodes(parts, &caller)?,
        Own::Logs => logs::read(parts, &caller, query).await?,
        Own::Why => why::read(parts, &caller, query)?,
        Own::Calls => calls::read(parts, caller, query)?,
        Own::Health => health(parts)?,
        Own::Metrics => metrics(parts)?,
    };
    Ok(response.into())
}

/// A query parameter that must read as a `T` if it is there.
fn parameter<T: std::str::FromStr>(query: &str, name: &str) -> Result<Option<T>, LambdaError> {
    match query::value(query, name) {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            LambdaError::new(
                ErrorKind::InvalidParameterValue,
                format!("'{text}' is not a valid {name}."),
            )
        }),
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Result<Response<Bytes>, LambdaError> {
    let body = serde_json::to_vec(body)
        .map_err(|error| LambdaError::new(ErrorKind::Service, error.to_string()))?;
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

#[derive(Serialize)]
struct NodeList {
    nodes: Vec<pilotlight_model::node::NodeStatus>,
}

/// Of the versions on a node a caller sees those of its account.
fn nodes(parts: &Parts, caller: &Caller) -> Result<Response<Bytes>, LambdaError> {
    let mut status = parts.node.status();
    let account = Some(caller.account.as_str());
    status
        .versions
        .retain(|arn, _| arn.split(':').nth(4) == account);
    let nodes = vec![status];
    json(StatusCode::OK, &NodeList { nodes })
}

#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    node: &'a str,
}

fn health(parts: &Parts) -> Result<Response<Bytes>, LambdaError> {
    let (code, status) = match parts.is_draining() {
        false => (StatusCode::OK, "ready"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
    };
    let node = &parts.recorder.node;
    json(code, &Health { status, node })
}

fn metrics(parts: &Parts) -> Result<Response<Bytes>, LambdaError> {
    let in_flight = parts.admission.in_flight();
    let text = parts
        .recorder
        .metrics
        .text(in_flight, &parts.node.status())
        .map_err(|error| LambdaError::new(ErrorKind::Service, error.to_string()))?;
    let mut response = Response::new(Bytes::from(text));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}
