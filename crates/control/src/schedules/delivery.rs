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

/// Whether messages can be sent to that queue, or kept for it.
pub(crate) fn queue(arn: &str, caller: &Caller) -> Result<(), Unusable> {
    let Caller { account, region } = caller;
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
mod tests {
    use super::*;
    use crate::schedules::settings::RetryPolicy;

    const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:f";

    fn context() -> Context {
        Context {
            caller: Caller {
                account: Default::default(),
                region: Default::default(),
            },
            schedule_arn: "arn:aws:scheduler:us-east-1:123456789012:schedule/default/s".to_owned(),
            scheduled_ms: 1_785_153_600_000,
            execution_id: "e1".to_owned(),
            attempt: 2,
        }
    }

    fn delivery(arn: &str, input: Option<&str>) -> Result<Delivery, Unusable> {
        let target = Target {
            arn: arn.to_owned(),
            dead_letter_config: None,
            input: input.map(str::to_owned),
            retry_policy: RetryPolicy::default(),
            role_arn: "arn:aws:iam::123456789012:role/r".to_owned(),
        };
        Delivery::of(&target, &context())
    }

    fn payload_of(arn: &str, input: Option<&str>) -> Value {
        match delivery(arn, input) {
            Ok(Delivery::Invoke { payload, .. }) => serde_json::from_slice(&payload).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn context_attributes_are_filled_in() {
        let input = r#"{"arn": "<aws.scheduler.schedule-arn>", "at": "<aws.scheduler.scheduled-time>",
                        "id": "<aws.scheduler.execution-id>", "attempt": <aws.scheduler.attempt-number>,
                        "other": "<aws.scheduler.nonsense>"}"#;
        assert_eq!(
            payload_of(FUNCTION, Some(input)),
            json!({"arn": context().schedule_arn, "at": "2026-07-27T12:00:00Z", "id": "e1", "attempt": 2,
                   "other": "<aws.scheduler.nonsense>"})
        );
    }

    #[test]
    fn without_an_input_the_event_tells_of_the_schedule() {
        let event = payload_of(&format!("{FUNCTION}:live"), None);
        assert_eq!(event["source"], "aws.scheduler");
        assert_eq!(event["detail-type"], "Scheduled Event");
        assert_eq!(event["resources"][0], context().schedule_arn);
    }

    #[test]
    fn a_function_is_invoked_by_the_operation_too() {
        // base64 of {"custom":{"a":"b"}}
        let input = r#"{"FunctionName": "f", "Qualifier": "3", "InvocationType": "Event",
                        "Payload": "{\"n\": <aws.scheduler.attempt-number>}",
                        "ClientContext": "eyJjdXN0b20iOnsiYSI6ImIifX0="}"#;
        let Ok(Delivery::Invoke {
            function,
            payload,
            client_context,
        }) = delivery(INVOKE, Some(input))
        else {
            panic!("not an invocation");
        };
        assert_eq!(function.arn(), format!("{FUNCTION}:3"));
        assert_eq!(payload, r#"{"n": 2}"#);
        assert_eq!(client_context.as_deref(), Some(r#"{"custom":{"a":"b"}}"#));
    }

    #[test]
    fn a_queue_gets_the_input_as_it_is() {
        let arn = "arn:aws:sqs:us-east-1:123456789012:q";
        let body = Bytes::from_static(b"attempt 2");
        let queue = Delivery::Queue {
            arn: arn.to_owned(),
            body,
        };
        let input = "attempt <aws.scheduler.attempt-number>";
        assert_eq!(delivery(arn, Some(input)), Ok(queue));
    }

    #[test]
    fn what_cannot_be_called_is_refused_by_name() {
        for (arn, input) in [
            ("arn:aws:sns:us-east-1:123456789012:t", None),
            ("arn:aws:scheduler:::aws-sdk:sqs:sendMessage", Some("{}")),
            ("arn:aws:lambda:eu-west-1:123456789012:function:f", None),
            ("arn:aws:lambda:us-east-1:210987654321:function:f", None),
            ("arn:aws:lambda:us-east-1:123456789012:layer:f", None),
            ("arn:aws:sqs:us-east-1:123456789012:../q", None),
            ("not an arn", None),
            (FUNCTION, Some("not json")),
            (INVOKE, None),
            (INVOKE, Some("[]")),
            (INVOKE, Some("{}")),
            (INVOKE, Some(r#"{"FunctionName": "f", "Nonsense": 1}"#)),
            (
                INVOKE,
                Some(r#"{"FunctionName": "f", "InvocationType": "DryRun"}"#),
            ),
            (INVOKE, Some(r#"{"FunctionName": "f", "Payload": "{"}"#)),
            (
                INVOKE,
                Some(r#"{"FunctionName": "f", "ClientContext": "?"}"#),
            ),
            (WARM_UP, Some("{}")),
            (WARM_UP, Some(r#"{"FunctionName": "f", "Instances": 0}"#)),
        ] {
            assert!(delivery(arn, input).is_err(), "{arn} {input:?}");
        }
    }
}
