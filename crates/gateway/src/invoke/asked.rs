//! What an invocation asks for, read from the request's head.

use std::borrow::Cow;

use http::HeaderMap;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use pilotlight_model::limits::{INVOKE_EVENT_BYTES, INVOKE_REQUEST_BYTES};
use pilotlight_model::service::lambda;
use pilotlight_model::start::Cold;
use pilotlight_model::{ErrorKind, LambdaError};

use super::Style;
use crate::query;

/// Longest name that the service model lets through.
const NAME_BYTES: usize = 256;
const QUALIFIER_BYTES: usize = 128;

/// `X-Amz-Invocation-Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InvocationType {
    RequestResponse,
    Event,
    DryRun,
}

/// An invocation's parameters.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) invocation_type: InvocationType,
    /// Decoded, in any of the forms of a function's name.
    pub(super) name: String,
    pub(super) qualifier: Option<String>,
    pub(super) log_tail: bool,
    /// Decoded JSON.
    pub(super) client_context: Option<String>,
    pub(super) cold: Option<Cold>,
}

impl Asked {
    /// Reads what the fast path knows; whatever it does not is judged by the service model, whose words
    /// are AWS's.
    pub(super) fn read(head: &Parts, style: Style, raw_name: &str) -> Result<Self, LambdaError> {
        let name = percent_decode_str(raw_name).decode_utf8_lossy();
        let headers = &head.headers;
        let mut plain = name.len() <= NAME_BYTES;
        let mut invocation_type = InvocationType::Event;
        let mut qualifier = None;
        let mut log_tail = false;
        if style != Style::InvokeAsync {
            match text(headers, "x-amz-invocation-type") {
                None | Some("RequestResponse") => {
                    invocation_type = InvocationType::RequestResponse;
                }
                Some("Event") if style == Style::Invoke => {}
                Some("DryRun") => invocation_type = InvocationType::DryRun,
                Some(_) => plain = false,
            }
            match text(headers, "x-amz-log-type") {
                None | Some("None") => {}
                Some("Tail") => log_tail = true,
                Some(_) => plain = false,
            }
            qualifier = head
                .uri
                .query()
                .and_then(|query| query::value(query, "Qualifier"));
            plain &= qualifier.as_deref().is_none_or(plain_qualifier);
        }
        if !plain {
            judge(head)?;
        }
        let client_context = match headers.get("x-amz-client-context") {
            Some(value) => Some(client_context(value.as_bytes())?),
            None => None,
        };
        Ok(Self {
            invocation_type,
            name: name.into_owned(),
            qualifier: qualifier.map(Cow::into_owned),
            log_tail,
            client_context,
            cold: cold(headers)?,
        })
    }

    /// The words for a body of `size` bytes, which is too large.
    pub(super) fn too_large(&self, size: u64) -> String {
        match self.invocation_type {
            InvocationType::Event => format!(
                "{size} byte payload is too large for the Event invocation type \
                 (limit {INVOKE_EVENT_BYTES} bytes)"
            ),
            InvocationType::RequestResponse | InvocationType::DryRun => format!(
                "Request must be smaller than {INVOKE_REQUEST_BYTES} bytes for the InvokeFunction \
                 operation"
            ),
        }
    }

    /// A malformed name is refused in the words of the operation that was called.
    pub(super) fn worded(&self, head: &Parts, error: LambdaError) -> LambdaError {
        match error.kind {
            ErrorKind::Validation => judge(head).err().unwrap_or(error),
            _ => error,
        }
    }
}

/// `X-Pilotlight-Cold`: `true`, or the kind of start that is wanted.
fn cold(headers: &HeaderMap) -> Result<Option<Cold>, LambdaError> {
    match text(headers, "x-pilotlight-cold") {
        None => Ok(None),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(None),
        Some(value) => Cold::from_name(value).map(Some).ok_or_else(|| {
            let message = format!("'{value}' is not a kind of cold start.");
            LambdaError::new(ErrorKind::InvalidParameterValue, message)
        }),
    }
}

/// The service model's verdict on the request's head.
fn judge(head: &Parts) -> Result<(), LambdaError> {
    let uri = &head.uri;
    let path = uri.path_and_query().map_or(uri.path(), |it| it.as_str());
    let Some((operation, params)) = lambda().route(&head.method, path) else {
        return Err(LambdaError::new(
            ErrorKind::UnknownOperation,
            "The path is not that of an operation.",
        ));
    };
    let query = uri.query().unwrap_or("");
    operation.parse(&params, query, &head.headers, b"")?;
    Ok(())
}

fn plain_qualifier(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'$');
    (1..=QUALIFIER_BYTES).contains(&text.len()) && text.bytes().all(plain)
}

fn client_context(value: &[u8]) -> Result<String, LambdaError> {
    pilotlight_model::client_context::decode(value)
        .map_err(|message| LambdaError::new(ErrorKind::InvalidRequestContent, message))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // A value that is not text is not one of those that are looked for.
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}
