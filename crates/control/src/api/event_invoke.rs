//! Put-, Update-, Get-, Delete- and ListFunctionEventInvokeConfig: how often, how long and with what end
//! asynchronous events of a qualifier are tried.

use std::sync::Arc;

use http::StatusCode;
use pilotlight_model::names::Target;
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError, VersionKey};
use serde::{Deserialize, Serialize};

use super::markers::{FunctionListRequest, page, seen};
use super::read::FunctionRequest;
use super::{Answer, invalid, rules};
use crate::catalog::Session;
use crate::catalog::event_invoke::EventInvoke;
use crate::control::Parts;
use crate::destination::{self, Refused, Use};
use crate::paging::cut;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WriteRequest {
    function_name: String,
    qualifier: Option<String>,
    maximum_retry_attempts: Option<u32>,
    maximum_event_age_in_seconds: Option<u64>,
    destination_config: Option<Destinations>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Destinations {
    on_success: Option<Destination>,
    on_failure: Option<Destination>,
}

/// Where records go; nowhere when it is left out or empty.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Destination {
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EventInvokeConfig {
    /// Seconds since 1970.
    last_modified: f64,
    function_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_retry_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_event_age_in_seconds: Option<u64>,
    destination_config: ShownDestinations,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownDestinations {
    on_success: Destination,
    on_failure: Destination,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EventInvokeConfigs {
    function_event_invoke_configs: Vec<EventInvokeConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

/// Writes all of it: what is not given is unset.
pub(super) async fn put(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: WriteRequest,
) -> Result<EventInvokeConfig, LambdaError> {
    write(parts, caller, request, false).await
}

/// Writes what is given over what is there.
pub(super) async fn update(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: WriteRequest,
) -> Result<EventInvokeConfig, LambdaError> {
    write(parts, caller, request, true).await
}

async fn write(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: WriteRequest,
    over: bool,
) -> Result<EventInvokeConfig, LambdaError> {
    if request.maximum_retry_attempts.is_none()
        && request.maximum_event_age_in_seconds.is_none()
        && request.destination_config.is_none()
    {
        return Err(invalid(
            "You must specify at least one of error handling or destination setting.",
        ));
    }
    let target = Target::resolve(caller, &request.function_name, request.qualifier.as_deref())
        .map_err(missing)?;
    let modified_ms = parts.config.clock.unix_ms();
    parts
        .catalog
        .write(move |session| {
            let (function, qualifier) = (rules::latest(&target), qualifier(&target));
            if !rules::exists(session, &target)? {
                return Err(no_function());
            }
            let before = match over {
                true => session
                    .event_invoke(&function, qualifier)?
                    .ok_or_else(|| no_config(&target))?,
                false => EventInvoke::default(),
            };
            if let Some(given) = &request.destination_config {
                given.check(session, &target)?;
            }
            let settings = request.over(before, modified_ms);
            session.set_event_invoke(&function, qualifier, &settings)?;
            Ok(EventInvokeConfig::of(&target, qualifier, settings))
        })
        .await
}

pub(super) async fn get(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: FunctionRequest,
) -> Result<EventInvokeConfig, LambdaError> {
    let target = request.target(caller)?;
    parts
        .catalog
        .read(move |session| {
            let settings = session
                .event_invoke(&rules::latest(&target), qualifier(&target))?
                .ok_or_else(|| no_config(&target))?;
            Ok(EventInvokeConfig::of(&target, qualifier(&target), settings))
        })
        .await
}

pub(super) async fn delete(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: FunctionRequest,
) -> Result<Answer, LambdaError> {
    let target = request.target(caller)?;
    parts
        .catalog
        .write(move |session| {
            match session.remove_event_invoke(&rules::latest(&target), qualifier(&target))? {
                true => Ok(Answer::Empty(StatusCode::NO_CONTENT)),
                false => Err(no_config(&target)),
            }
        })
        .await
}

pub(super) async fn list(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: FunctionListRequest,
) -> Result<EventInvokeConfigs, LambdaError> {
    let target = Target::resolve(caller, &request.function_name, None).map_err(missing)?;
    let page = page(request.max_items);
    let after = seen(request.marker.as_deref())?.unwrap_or_default();
    parts
        .catalog
        .read(move |session| {
            let function = rules::latest(&target);
            if session.find(&function)?.is_none() {
                return Err(no_function());
            }
            let mut found = session.event_invokes(&function, &after, page + 1)?;
            let next_marker = cut(&mut found, page, |(last, _)| last.clone());
            let shown = found
                .into_iter()
                .map(|(qualifier, settings)| EventInvokeConfig::of(&target, &qualifier, settings));
            Ok(EventInvokeConfigs {
                function_event_invoke_configs: shown.collect(),
                next_marker,
            })
        })
        .await
}

impl WriteRequest {
    fn over(self, before: EventInvoke, modified_ms: u64) -> EventInvoke {
        let (on_success, on_failure) = match self.destination_config {
            Some(given) => (arn(given.on_success), arn(given.on_failure)),
            None => (before.on_success, before.on_failure),
        };
        EventInvoke {
            maximum_retries: self.maximum_retry_attempts.or(before.maximum_retries),
            maximum_age_s: self.maximum_event_age_in_seconds.or(before.maximum_age_s),
            on_success,
            on_failure,
            modified_ms,
        }
    }
}

impl Destinations {
    fn check(&self, session: &Session<'_>, function: &Target) -> Result<(), LambdaError> {
        let uses = [
            (&self.on_failure, Use::OnFailure),
            (&self.on_success, Use::OnSuccess),
        ];
        for (given, used) in uses {
            let arn = given.as_ref().and_then(|it| it.destination.as_deref());
            if let Some(arn) = arn.filter(|arn| !arn.is_empty()) {
                check(session, function, arn, used, || self.words())?;
            }
        }
        Ok(())
    }

    /// The configuration as AWS repeats it.
    fn words(&self) -> String {
        let shown = |name: &str, given: &Option<Destination>| match given {
            Some(given) => {
                let arn = given.destination.as_deref().unwrap_or("null");
                format!("{name}(destination={arn})")
            }
            None => "null".to_owned(),
        };
        format!(
            "The provided destination config DestinationConfig(onSuccess={}, onFailure={}) is invalid.",
            shown("OnSuccess", &self.on_success),
            shown("OnFailure", &self.on_failure)
        )
    }
}

/// Whether what happens to events of `function` can be told to `arn`.
pub(super) fn check(
    session: &Session<'_>,
    function: &Target,
    arn: &str,
    used: Use,
    config: impl FnOnce() -> String,
) -> Result<(), LambdaError> {
    destination::check(arn, used, &function.account, &function.region)
        .map_err(|refused| refused.error(config))?;
    let Some(named) = destination::function(arn) else {
        return Ok(());
    };
    if named.name == function.name {
        return Err(invalid(
            "You can't specify the function as a destination for itself.",
        ));
    }
    match rules::exists(session, &named)? {
        true => Ok(()),
        false => Err(Refused::invalid(arn).error(String::new)),
    }
}

/// Whether dead letters of `function` can go to `arn`.
pub(super) fn check_dead_letter(
    session: &Session<'_>,
    function: &VersionKey,
    arn: &str,
) -> Result<(), LambdaError> {
    let function = Target {
        account: function.account.clone(),
        region: function.region.clone(),
        name: function.name.clone(),
        qualifier: None,
    };
    let config = || format!("The destination ARN {arn} is invalid.");
    check(session, &function, arn, Use::DeadLetter, config)
}

impl EventInvokeConfig {
    fn of(target: &Target, qualifier: &str, settings: EventInvoke) -> Self {
        let shown = |destination| Destination { destination };
        Self {
            last_modified: settings.modified_ms as f64 / 1_000.0,
            function_arn: format!("{}:{qualifier}", target.function_arn()),
            maximum_retry_attempts: settings.maximum_retries,
            maximum_event_age_in_seconds: settings.maximum_age_s,
            destination_config: ShownDestinations {
                on_success: shown(settings.on_success),
                on_failure: shown(settings.on_failure),
            },
        }
    }
}

fn arn(given: Option<Destination>) -> Option<String> {
    given?.destination.filter(|arn| !arn.is_empty())
}

fn qualifier(target: &Target) -> &str {
    target.qualifier.as_deref().unwrap_or("$LATEST")
}

fn no_config(target: &Target) -> LambdaError {
    LambdaError::new(
        ErrorKind::ResourceNotFound,
        format!(
            "The function {}:{} doesn't have an EventInvokeConfig",
            target.function_arn(),
            qualifier(target)
        ),
    )
}

fn no_function() -> LambdaError {
    LambdaError::new(ErrorKind::ResourceNotFound, "The function doesn't exist.")
}

/// A name that no function can have is worded as one that none has.
fn missing(error: LambdaError) -> LambdaError {
    match error.kind {
        ErrorKind::ResourceNotFound => no_function(),
        _ => error,
    }
}
