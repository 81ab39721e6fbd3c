//! Markers of lists that go by name. They are opaque to clients: what the client saw last.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pilotlight_model::LambdaError;

use super::invalid;

/// Cuts what was found down to a page, and answers the marker of the next where there is more.
pub(super) fn next<T>(
    found: &mut Vec<T>,
    page: usize,
    name: impl Fn(&T) -> &str,
) -> Option<String> {
    let more = found.len() > page;
    found.truncate(page);
    let last = found.last().filter(|_| more);
    last.map(|last| BASE64_URL_SAFE_NO_PAD.encode(name(last)))
}

/// What a marker says; nothing was seen where there is none.
pub(super) fn seen(marker: Option<&str>) -> Result<String, LambdaError> {
    let Some(marker) = marker else {
        return Ok(String::new());
    };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(marker).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(not_a_marker)
}

/// 400 for a marker that this platform has not given.
pub(super) fn not_a_marker() -> LambdaError {
    invalid("The Marker is not one that this operation answered.")
}
