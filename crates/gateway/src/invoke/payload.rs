//! The event: any JSON, which is checked without being taken apart.

use bytes::Bytes;
use pilotlight_model::{ErrorKind, LambdaError};
use serde::de::IgnoredAny;

/// Above this the check, at about half a gigabyte per second, would hold up the requests that share the
/// thread.
const INLINE_BYTES: usize = 256 * 1024;

/// The event if it is JSON, `{}` if there is none.
pub(super) async fn json_or_empty(event: Bytes) -> Result<Bytes, LambdaError> {
    if event.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    if event.len() <= INLINE_BYTES {
        check(&event)?;
    } else {
        let whole = event.clone();
        let checked = tokio::task::spawn_blocking(move || check(&whole)).await;
        checked
            .map_err(|_| LambdaError::new(ErrorKind::Service, "The runtime is shutting down."))??;
    }
    Ok(event)
}

fn check(event: &[u8]) -> Result<(), LambdaError> {
    let refused = |error: &dyn std::fmt::Display| {
        LambdaError::new(
            ErrorKind::InvalidRequestContent,
            format!(
                "Could not parse request body into json: Could not parse payload into json: {error}"
            ),
        )
    };
    // The parser does not look into strings that nobody asks for; they must be UTF-8 all the same.
    let text = std::str::from_utf8(event).map_err(|error| refused(&error))?;
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(refused(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_only_json_passes() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        for good in ["1", "null", " \"a\" ", "{\"a\": [1, {}]}", &deep] {
            assert_eq!(check(good.as_bytes()), Ok(()), "{good:.40}");
        }
        let bad: [&[u8]; 8] = [
            b" ",
            b"{",
            b"[1,]",
            b"a",
            b"{} {}",
            b"01",
            b"\"\xff\"",
            b"\"\n\"",
        ];
        for bad in bad {
            let error = check(bad).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidRequestContent);
            assert!(
                error
                    .message
                    .starts_with("Could not parse request body into json: ")
            );
        }
    }
}
