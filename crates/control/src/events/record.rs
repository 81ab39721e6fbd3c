//! What destinations and dead-letter targets are told: the invocation record, version 1.0, and the attributes
//! of a dead letter. Pure. Payloads are put in as the bytes that they are: nothing that a caller or a function
//! wrote is parsed into a tree here, so that none of it can be too deep for the platform.
//! Source: "Capturing records of Lambda asynchronous invocations" and "Adding a dead-letter queue" in the AWS
//! Lambda developer guide; where these leave something open, what AWS was recorded to send.

use std::collections::BTreeMap;

use bytes::Bytes;
use pilotlight_model::RequestId;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::dates;

/// Characters of an error's message that a dead letter carries.
const MESSAGE_CHARS: usize = 1_024;

/// AWS's words, its slip included: programs look for them.
const NOT_INVOKED: &str =
    "Function not invoked. Function isconfigured with zero reserved concurrent executions";

/// How an event ended: `condition` of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Condition {
    Success,
    RetriesExhausted,
    EventAgeExceeded,
    RecursiveInvocation,
    ZeroReservedConcurrency,
}

/// What the last attempt was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    /// As Invoke would have answered.
    pub(crate) status: u16,
    /// Nothing when no version was run.
    pub(crate) executed_version: Option<String>,
    pub(crate) function_error: Option<&'static str>,
    /// Nothing when no version was run.
    pub(crate) payload: Option<Bytes>,
    /// In words, when no version was run.
    pub(crate) message: String,
}

/// An event and its end.
#[derive(Debug)]
pub(crate) struct Ended<'a> {
    pub(crate) at_ms: u64,
    pub(crate) request_id: RequestId,
    /// With the qualifier of the event, `$LATEST` where it has none.
    pub(crate) function_arn: &'a str,
    pub(crate) condition: Condition,
    pub(crate) invocations: u32,
    pub(crate) request: &'a Bytes,
    /// Nothing when it was never tried.
    pub(crate) response: Option<&'a Response>,
}

/// What a dead letter says besides the event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Attributes {
    #[serde(rename = "RequestID")]
    pub(crate) request_id: String,
    pub(crate) error_code: Option<u16>,
    pub(crate) error_message: Option<String>,
    /// What other senders than functions say, by name; such a letter has nothing of the above.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) others: BTreeMap<String, String>,
}

impl Attributes {
    /// As a message of SQS has them.
    pub(crate) fn message_attributes(&self) -> Value {
        let attribute = |kind: &str, value: String| json!({"DataType": kind, "StringValue": value});
        if !self.others.is_empty() {
            let texts = self.others.iter();
            return texts
                .map(|(name, value)| (name.clone(), attribute("String", value.clone())))
                .collect();
        }
        let mut attributes = json!({ "RequestID": attribute("String", self.request_id.clone()) });
        if let Some(code) = self.error_code {
            attributes["ErrorCode"] = attribute("Number", code.to_string());
        }
        if let Some(message) = &self.error_message {
            attributes["ErrorMessage"] = attribute("String", message.clone());
        }
        attributes
    }
}

impl Condition {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Condition::Success => "Success",
            Condition::RetriesExhausted => "RetriesExhausted",
            Condition::EventAgeExceeded => "EventAgeExceeded",
            Condition::RecursiveInvocation => "RecursiveInvocation",
            Condition::ZeroReservedConcurrency => "ZeroReservedConcurrency",
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    request_id: String,
    function_arn: &'a str,
    condition: &'static str,
    approximate_invoke_count: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext<'a> {
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    executed_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_error: Option<&'a str>,
}

impl Ended<'_> {
    /// The invocation record, without the response's payload where the whole would be longer than `limit`.
    pub(crate) fn record(&self, limit: usize) -> Result<Bytes, serde_json::Error> {
        let whole = self.written(true)?;
        match whole.len() <= limit {
            true => Ok(whole),
            false => self.written(false),
        }
    }

    fn written(&self, with_response: bool) -> Result<Bytes, serde_json::Error> {
        let context = RequestContext {
            request_id: self.request_id.to_string(),
            function_arn: self.function_arn,
            condition: self.condition.as_str(),
            approximate_invoke_count: self.invocations,
        };
        let payload = self.response.and_then(|response| response.payload.as_ref());
        let room = self.request.len() + payload.map_or(0, Bytes::len) + 512;
        let mut text = Vec::with_capacity(room);
        text.extend_from_slice(br#"{"version":"1.0","timestamp":""#);
        text.extend_from_slice(dates::written(self.at_ms, dates::OF_RECORDS).as_bytes());
        text.extend_from_slice(br#"","requestContext":"#);
        serde_json::to_writer(&mut text, &context)?;
        text.extend_from_slice(br#","requestPayload":"#);
        raw(&mut text, self.request)?;
        if let Some(response) = self.response {
            let context = ResponseContext {
                status_code: response.status,
                executed_version: response.executed_version.as_deref(),
                function_error: response.function_error,
            };
            text.extend_from_slice(br#","responseContext":"#);
            serde_json::to_writer(&mut text, &context)?;
        }
        if let Some(payload) = payload.filter(|_| with_response) {
            text.extend_from_slice(br#","responsePayload":"#);
            raw(&mut text, payload)?;
        }
        text.push(b'}');
        Ok(text.into())
    }

    /// What a dead letter says of the end.
    pub(crate) fn attributes(&self) -> Attributes {
        let message = self.response.map(|response| {
            let said = response.payload.as_deref().and_then(error_message);
            let message = said.unwrap_or_else(|| response.message.clone());
            message.chars().take(MESSAGE_CHARS).collect()
        });
        let disabled =
            (self.condition == Condition::ZeroReservedConcurrency).then(|| NOT_INVOKED.to_owned());
        Attributes {
            request_id: self.request_id.to_string(),
            error_code: self.response.map(|response| response.status),
            error_message: message.or(disabled),
            others: BTreeMap::new(),
        }
    }
}

/// What is JSON as it is, anything else as a text.
fn raw(text: &mut Vec<u8>, payload: &[u8]) -> Result<(), serde_json::Error> {
    match std::str::from_utf8(payload) {
        Ok(payload) if serde_json::from_str::<IgnoredAny>(payload).is_ok() => {
            text.extend_from_slice(payload.as_bytes());
            Ok(())
        }
        _ => serde_json::to_writer(text, &String::from_utf8_lossy(payload)),
    }
}

fn error_message(payload: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Error {
        error_message: Option<String>,
    }
    serde_json::from_slice::<Error>(payload).ok()?.error_message
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST";

    fn failed(payload: &'static [u8]) -> Response {
        Response {
            status: 200,
            executed_version: Some("$LATEST".to_owned()),
            function_error: Some("Unhandled"),
            payload: Some(Bytes::from_static(payload)),
            message: String::new(),
        }
    }

    fn ended<'a>(request: &'a Bytes, response: Option<&'a Response>) -> Ended<'a> {
        Ended {
            at_ms: 1_573_755_365_568,
            request_id: RequestId::new(),
            function_arn: ARN,
            condition: Condition::RetriesExhausted,
            invocations: 3,
            request,
            response,
        }
    }

    #[test]
    fn a_record_is_as_aws_writes_it() {
        let (request, response) = (
            Bytes::from_static(b"{\"ORDER\": [1.0]}"),
            failed(br#"{"errorMessage":"boom"}"#),
        );
        let ended = ended(&request, Some(&response));
        let text = ended.record(usize::MAX).unwrap();
        let head = format!(
            r#"{{"version":"1.0","timestamp":"2019-11-14T18:16:05.568Z","requestContext":{{"requestId":"{}","#,
            ended.request_id
        );
        assert!(text.starts_with(head.as_bytes()), "{text:?}");
        let value: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            value["requestContext"]["condition"],
            json!("RetriesExhausted")
        );
        assert_eq!(value["requestContext"]["approximateInvokeCount"], 3);
        assert_eq!(value["requestPayload"], json!({"ORDER": [1.0]}));
        assert_eq!(
            value["responseContext"],
            json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"})
        );
        assert_eq!(value["responsePayload"], json!({"errorMessage": "boom"}));
        assert_eq!(
            ended.attributes(),
            Attributes {
                request_id: ended.request_id.to_string(),
                error_code: Some(200),
                error_message: Some("boom".to_owned()),
                others: BTreeMap::new(),
            }
        );
    }

    #[test]
    fn what_never_ran_has_no_response() {
        let request = Bytes::from_static(b"1");
        let text = ended(&request, None).record(usize::MAX).unwrap();
        let value: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            (value.get("responseContext"), value.get("responsePayload")),
            (None, None)
        );
    }

    #[test]
    fn no_payload_is_too_deep_or_too_strange() {
        let deep = Bytes::from(format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000)));
        let strange = failed(b"\xff{not json");
        let text = ended(&deep, Some(&strange)).record(usize::MAX).unwrap();
        let text = std::str::from_utf8(&text).unwrap();
        serde_json::from_str::<IgnoredAny>(text).unwrap();
        assert!(text.ends_with("\"responsePayload\":\"\u{fffd}{not json\"}"));
        let attributes = ended(&deep, Some(&failed(b"[[[[[["))).attributes();
        assert_eq!(attributes.error_message.as_deref(), Some(""));
    }

    #[test]
    fn a_record_that_is_too_long_does_without_the_response() {
        let (request, response) = (Bytes::from_static(b"1"), failed(b"\"long\""));
        let text = ended(&request, Some(&response)).record(100).unwrap();
        let value: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value.get("responsePayload"), None);
        assert_eq!(value["responseContext"]["statusCode"], 200);
    }
}
