//! The API of CloudWatch Logs: log groups, streams, events, retention and tags.
//!
//! What was said of a group is in the catalog; what was written to it is in the node's log store. A group
//! or stream is there if either knows of it: those of functions appear when they are first written to.

mod events;
mod filters;
mod groups;
mod identifier;
mod listing;
mod pattern;
mod put;
mod retention;
mod streams;
mod tags;
mod token;

use std::sync::Arc;

use http::StatusCode;
use pilotlight_model::node::Caller;
use pilotlight_model::service::Operation;
use pilotlight_model::{ErrorKind, LambdaError};
use serde_json::Value;

use crate::api::{Answer, answered, invalid, not_yet, typed};
use crate::control::Parts;

pub(crate) use retention::tell as tell_retention;

/// Characters of the name of a group or a stream.
const NAME_CHARS: usize = 512;

/// The table of operations. What is not in it is one of AWS's that this platform does not have yet.
pub(crate) async fn dispatch(
    parts: &Arc<Parts>,
    caller: &Caller,
    operation: &Operation,
    input: Value,
) -> Result<Answer, LambdaError> {
    check_names(&input)?;
    match operation.name() {
        "CreateLogGroup" => done(groups::create(parts, caller, typed(input)?).await),
        "DeleteLogGroup" => done(groups::delete(parts, caller, typed(input)?).await),
        "DescribeLogGroups" => answered(groups::describe(parts, caller, typed(input)?)).await,
        "ListLogGroups" => answered(listing::list(parts, caller, typed(input)?)).await,
        "PutRetentionPolicy" => done(retention::put(parts, caller, typed(input)?).await),
        "DeleteRetentionPolicy" => done(retention::delete(parts, caller, typed(input)?).await),
        "CreateLogStream" => done(streams::create(parts, caller, typed(input)?).await),
        "DeleteLogStream" => done(streams::delete(parts, caller, typed(input)?).await),
        "DescribeLogStreams" => answered(streams::describe(parts, caller, typed(input)?)).await,
        "PutLogEvents" => answered(put::put(parts, caller, typed(input)?)).await,
        "GetLogEvents" => answered(events::get(parts, caller, typed(input)?)).await,
        "FilterLogEvents" => answered(events::filter(parts, caller, typed(input)?)).await,
        "DescribeSubscriptionFilters" => {
            answered(filters::subscriptions(parts, caller, typed(input)?)).await
        }
        "DescribeMetricFilters" => answered(filters::metrics(parts, caller, typed(input)?)).await,
        "TagResource" => done(tags::tag(parts, caller, typed(input)?).await),
        "UntagResource" => done(tags::untag(parts, caller, typed(input)?).await),
        "ListTagsForResource" => answered(tags::list(parts, caller, typed(input)?)).await,
        "TagLogGroup" => done(tags::tag_group(parts, caller, typed(input)?).await),
        "UntagLogGroup" => done(tags::untag_group(parts, caller, typed(input)?).await),
        "ListTagsLogGroup" => answered(tags::list_group(parts, caller, typed(input)?)).await,
        name => Err(not_yet(name)),
    }
}

/// The service model leaves this to the service, which has words of its own for it.
fn check_names(input: &Value) -> Result<(), LambdaError> {
    let long = |member: &str| {
        let name = input[member].as_str().unwrap_or_default();
        name.chars().count() > NAME_CHARS
    };
    match long("logGroupName") || long("logStreamName") {
        true => Err(invalid(format!(
            "Invalid LogGroup or LogStream, both must have length less than or equal to {NAME_CHARS}."
        ))),
        false => Ok(()),
    }
}

/// The answer of an operation that has nothing to say.
fn done(outcome: Result<(), LambdaError>) -> Result<Answer, LambdaError> {
    outcome.map(|()| Answer::Empty(StatusCode::OK))
}

fn no_group() -> LambdaError {
    LambdaError::new(
        ErrorKind::ResourceNotFound,
        "The specified log group does not exist.",
    )
}

fn no_stream() -> LambdaError {
    LambdaError::new(
        ErrorKind::ResourceNotFound,
        "The specified log stream does not exist.",
    )
}

/// The log store could not do what it was asked.
fn failed(error: std::io::Error) -> LambdaError {
    tracing::error!(%error, "the log store failed");
    LambdaError::new(ErrorKind::Service, "The log store failed.")
}
