//! What a firing does: its target and input, with the context attributes filled in. Pure.
//!
//! Targets are functions of the schedule's own account and region; queues, whose messages go where
//! destinations and dead letters go; and two universal targets (an operation of an API and its request as
//! JSON): `lambda:invoke`, and `lambda:warmUp`, which is Pilotlight's own.

use bytes::Bytes;
use pilotlight_model::limits::INVOKE_EVENT_BYTES;
use pilotlight_model::names;
use pilotlight_model::node::Caller;
use serde::Deserialize;
use serde_json::{Value, json};

use super::settings::Target;
use crate::dates;
use crate::destination::{self, Arn, Use};
use crate::warm_up;

const INVOKE: &str = "arn:aws:scheduler:::aws-sdk:lambda:invoke";
const WARM_UP: &str = "arn:aws:scheduler:::aws-sdk:lambda:warmUp";

/// What is known of a firing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Context {
    /// Whose schedule it is.
    pub(crate) caller: Caller,
    pub(crate) schedule_arn: String,
    /// When it was due, in milliseconds since 1970.
    pub(crate) scheduled_ms: u64,
    pub(crate) execution_id: String,
    /// Counted from 1.
    pub(crate) attempt: u32,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Delivery {
    /// The event goes into the function's asynchronous queue.
    Invoke {
        function: names::Target,
        payload: Bytes,
        client_context: Option<String>,
    },
    /// Instances are made ready.
    WarmUp(warm_up::Request),
    /// A message goes where those for that queue go.
    Queue { arn: String, body: Bytes },
}

/// Why a target or its input is none, in words for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unusable(pub(crate) String);

/// The request of the universal target `lambda:invoke`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct InvokeInput {
    function_name: String,
    qualifier: Option<String>,
    payload: Option<Value>,
    client_context: Option<String>,
    invocation_type: Option<String>,
    /// Nobody reads the answer, and so neither its log.
    #[serde(rename = "LogType")]
    _log_type: Option<String>,
}

impl Delivery {
    /// What `target` means for that firing.
    pub(crate) fn of(target: &Target, context: &Context) -> Result<Self, Unusable> {
        let input = target.input.as_deref().map(|input| context.fill_in(input));
        if input
            .as_ref()
            .is_some_and(|input| input.len() > INVOKE_EVENT_BYTES)
        {
            return Err(unusable(format!(
                "The input is larger than {INVOKE_EVENT_BYTES} bytes."
            )));
        }
        match target.arn.as_str() {
            INVOKE => invoke(request(input)?, context),
            WARM_UP => warm_up::Request::read(request(input)?, &context.caller)
                .map(Self::WarmUp)
                .map_err(|error| unusable(error.message)),
            arn if Arn::parse(arn).is_some_and(|arn| arn.service == "sqs") => {
                queue(arn, &context.caller)?;
                Ok(Self::Queue {
                    arn: arn.to_owned(),
                    body: input.unwrap_or_else(|| context.notification()).into(),
                })
            }
            arn => {
                let payload = input.unwrap_or_else(|| context.notification());
                if serde_json::from_str::<serde::de::IgnoredAny>(&payload).is_err() {
                    return Err(unusable("The input of a Lambda target must be JSON."));
                }
                Ok(Self::Invoke {
                    function: function(arn, &context.caller)?,
                    payload: payload.into(),
                    client_context: None,
                })
            }
        }
    }
}

impl Delivery {
    /// The function that it is for, if it is for one.
    pub(crate) fn function(&self) -> Option<&names::Target> {
        match self {
            Self::Invoke { function, .. } => Some(function),
            Self::WarmUp(request) => Some(request.function()),
            Self::Queue { .. } => None,
        }
    }
}

/// Whether messages can be sent to that queue, or kept for it.
pub(crate) fn queue(arn: &str, caller: &Caller) -> Result<(), Unusable> {
    let Caller {
        account, region, ..
    } = caller;
    destination::check(arn, Use::OnFailure, account, region).map_err(|_| {
        unusable(format!(
            "{arn} is not available as a queue on this platform."
        ))
    })
}

/// A function by its ARN; its account and region must be the schedule's.
fn function(arn: &str, caller: &Caller) -> Result<names::Target, Unusable> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, service, _, _, resource] = parts[..] else {
        return Err(unusable("Provided Arn is not in correct format."));
    };
    if service != "lambda" || !resource.starts_with("function:") {
        return Err(unusable(format!(
            "{arn} is not available as a target on this platform. Targets are functions, queues, \
             {INVOKE} and {WARM_UP}."
        )));
    }
    names::Target::resolve(caller, arn, None).map_err(|error| unusable(error.message))
}

fn invoke(input: Value, context: &Context) -> Result<Delivery, Unusable> {
    let input: InvokeInput = serde_json::from_value(input)
        .map_err(|error| unusable(format!("Invalid input: {error}.")))?;
    match input.invocation_type.as_deref() {
        None | Some("Event" | "RequestResponse") => {}
        Some(other) => {
            return Err(unusable(format!(
                "InvocationType {other} is not supported."
            )));
        }
    }
    let qualifier = input.qualifier.as_deref();
    let client_context = input.client_context.as_deref();
    Ok(Delivery::Invoke {
        function: names::Target::resolve(&context.caller, &input.function_name, qualifier)
            .map_err(|error| unusable(error.message))?,
        payload: payload(input.payload)?,
        client_context: client_context
            .map(|it| pilotlight_model::client_context::decode(it.as_bytes()))
            .transpose()
            .map_err(unusable)?,
    })
}

/// A payload travels as a text that holds JSON; JSON itself is taken, too.
fn payload(given: Option<Value>) -> Result<Bytes, Unusable> {
    match given {
        None => Ok(Bytes::from_static(b"{}")),
        Some(Value::String(text)) => match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => Ok(text.into()),
            Err(_) => Err(unusable("The Payload of a Lambda target must be JSON.")),
        },
        Some(value) => Ok(value.to_string().into()),
    }
}

fn request(input: Option<String>) -> Result<Value, Unusable> {
    let input = input.ok_or_else(|| unusable("A universal target needs an Input."))?;
    match serde_json::from_str(&input) {
        Ok(value @ Value::Object(_)) => Ok(value),
        _ => Err(unusable(
            "The Input of a universal target must be a JSON object.",
        )),
    }
}

impl Context {
    /// Replaces the context attributes in an input ("Adding context attributes", user guide).
    pub(crate) fn fill_in(&self, input: &str) -> String {
        if !input.contains("<aws.scheduler.") {
            return input.to_owned();
        }
        input
            .replace("<aws.scheduler.schedule-arn>", &self.schedule_arn)
            .replace("<aws.scheduler.scheduled-time>", &self.scheduled_time())
            .replace("<aws.scheduler.execution-id>", &self.execution_id)
            .replace("<aws.scheduler.attempt-number>", &self.attempt.to_string())
    }

    /// The event of a schedule that has no input.
    fn notification(&self) -> String {
        json!({
            "version": "0",
            "id": self.execution_id,
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "account": self.caller.account,
            "time": self.scheduled_time(),
            "region": self.caller.region,
            "resources": [self.schedule_arn],
            "detail": "{}",
        })
        .to_string()
    }

    /// `2026-07-27T12:00:00Z`.
    pub(crate) fn scheduled_time(&self) -> String {
        dates::written(self.scheduled_ms, dates::OF_SCHEDULES)
    }
}

fn unusable(words: impl Into<String>) -> Unusable {
    Unusable(words.into())
}

#[cfg(test)]
mod tests;
