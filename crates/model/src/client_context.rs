//! The client context of an invocation: a JSON object that travels as base64.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::IgnoredAny;

use crate::limits::CLIENT_CONTEXT_BYTES;

/// The JSON of a client context as a function gets it. It reaches the function in a header, so its line
/// breaks, which can only stand between tokens, become spaces. An error is AWS's message.
pub fn decode(base64: &[u8]) -> Result<String, &'static str> {
    if base64.len() > CLIENT_CONTEXT_BYTES {
        return Err("Client context must be 3583 bytes or fewer in Base64.");
    }
    let decoded = BASE64_STANDARD.decode(base64).ok();
    decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|text| text.trim_start().starts_with('{'))
        .filter(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
        .map(|text| text.replace(['\r', '\n'], " "))
        .ok_or("Client context must be a valid Base64-encoded JSON object.")
}
