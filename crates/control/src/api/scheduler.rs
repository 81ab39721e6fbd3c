//! The EventBridge Scheduler API: its operations, each with its one handler.

mod groups;
mod listing;
mod rules;
mod schedules;
mod tags;

use std::sync::Arc;

use pilotlight_model::node::Caller;
use pilotlight_model::service::Operation;
use pilotlight_model::{ErrorKind, LambdaError};
use serde::Serialize;
use serde_json::{Value, json as object};

use super::{Answer, answered, not_yet, typed};
use crate::catalog::Session;
use crate::control::Parts;

/// How long a request is known by its client token.
const TOKEN_MS: u64 = 3_600_000;

/// A request that is known by the token that its client gave it, which may send it again.
struct Repeatable {
    operation: &'static str,
    token: Option<String>,
    /// All of it but the token.
    request: String,
}

/// The table of operations.
pub(super) async fn dispatch(
    parts: &Arc<Parts>,
    caller: &Caller,
    operation: &Operation,
    input: Value,
) -> Result<Answer, LambdaError> {
    match operation.name() {
        "CreateSchedule" => answered(schedules::create(parts, caller, input)).await,
        "GetSchedule" => answered(schedules::get(parts, caller, typed(input)?)).await,
        "UpdateSchedule" => answered(schedules::update(parts, caller, input)).await,
        "DeleteSchedule" => schedules::delete(parts, caller, input).await,
        "ListSchedules" => answered(listing::schedules(parts, caller, typed(input)?)).await,
        "CreateScheduleGroup" => answered(groups::create(parts, caller, input)).await,
        "GetScheduleGroup" => answered(groups::get(parts, caller, typed(input)?)).await,
        "DeleteScheduleGroup" => groups::delete(parts, caller, input).await,
        "ListScheduleGroups" => answered(listing::groups(parts, caller, typed(input)?)).await,
        "TagResource" => tags::tag(parts, caller, typed(input)?).await,
        "UntagResource" => tags::untag(parts, caller, typed(input)?).await,
        "ListTagsForResource" => answered(tags::list(parts, caller, typed(input)?)).await,
        name => Err(not_yet(name)),
    }
}

/// An answer without members.
fn nothing() -> Answer {
    Answer::Json(object!({}))
}

impl Repeatable {
    /// Takes the token out of a request.
    fn take(operation: &'static str, input: &mut Value) -> Self {
        let token = input
            .as_object_mut()
            .and_then(|fields| fields.remove("ClientToken"));
        Self {
            operation,
            token: token.and_then(|token| token.as_str().map(str::to_owned)),
            request: input.to_string(),
        }
    }

    /// Whether the very same request was done before.
    fn was_done(&self, session: &Session<'_>, caller: &Caller) -> Result<bool, LambdaError> {
        let Some(token) = &self.token else {
            return Ok(false);
        };
        let before = session.request_of_token(caller, self.operation, token)?;
        Ok(before.is_some_and(|before| before == self.request))
    }

    /// It has been done.
    fn done(&self, session: &Session<'_>, caller: &Caller, now_ms: u64) -> Result<(), LambdaError> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        let times = (now_ms, now_ms.saturating_sub(TOKEN_MS));
        session.remember_token(caller, self.operation, token, &self.request, times)?;
        Ok(())
    }
}

/// Seconds since 1970, as the API shows times.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Seconds(f64);

impl Seconds {
    fn of(unix_ms: u64) -> Self {
        Self(unix_ms as f64 / 1_000.0)
    }
}

fn schedule_not_found(name: &str) -> LambdaError {
    LambdaError::new(
        ErrorKind::ResourceNotFound,
        format!("Schedule {name} does not exist."),
    )
}

fn group_not_found(name: &str) -> LambdaError {
    LambdaError::new(
        ErrorKind::ResourceNotFound,
        format!("Schedule group {name} does not exist."),
    )
}

fn conflict(message: impl Into<String>) -> LambdaError {
    LambdaError::new(ErrorKind::ResourceConflict, message)
}

fn invalid(message: impl Into<String>) -> LambdaError {
    LambdaError::new(ErrorKind::Validation, message)
}
