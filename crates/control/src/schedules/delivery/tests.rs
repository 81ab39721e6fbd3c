//! Targets, and what is sent to each.

use super::*;
use crate::schedules::settings::RetryPolicy;

const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:f";

fn context() -> Context {
    Context {
        caller: Caller {
            account: Default::default(),
            region: Default::default(),
            function: None,
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
