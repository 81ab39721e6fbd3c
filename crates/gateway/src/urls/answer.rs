//! The HTTP answer that a function's answer means: payload format 2.0, or what a function that streams says first.
//! Source: "Response payload format" in "Invoking Lambda function URLs" of the AWS Lambda developer guide.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::answer_body::AnswerBody;

/// What stands between the head and the body of a streamed HTTP answer.
pub(super) const DELIMITER: [u8; 8] = [0; 8];
/// Bytes of an answer's header fields together; no client takes more.
const HEADER_BYTES: usize = 64 * 1024;
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Headers that speak of a connection, which is not the function's.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// An answer, but for what the platform adds to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shaped {
    pub(super) head: Head,
    pub(super) body: Bytes,
}

/// Its status and its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
}

/// The function's answer is not one that HTTP has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status_code: Value,
    #[serde(default)]
    headers: Option<Map<String, Value>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// A whole answer. What is no answer of format 2.0 is the body itself, as JSON.
pub(super) fn shape(payload: &Bytes) -> Result<Shaped, Malformed> {
    if let Some(at) = delimiter(payload) {
        let body = payload.slice(at + DELIMITER.len()..);
        return Ok(Shaped {
            head: Head::of_prelude(&payload[..at])?,
            body,
        });
    }
    // Not JSON: an answer that was streamed, and nobody took as it came.
    let Ok(text) = std::str::from_utf8(payload) else {
        return Ok(plain(payload.clone()));
    };
    let first = text.trim_start().bytes().next();
    if first == Some(b'"') {
        return Ok(match serde_json::from_str::<String>(text) {
            Ok(text) => plain(text.into()),
            Err(_) => plain(payload.clone()),
        });
    }
    if first == Some(b'{') && has_status(text) {
        let response: Response = serde_json::from_str(text).map_err(|_| Malformed)?;
        return Ok(Shaped {
            head: Head::of(response.status_code, response.headers, response.cookies)?,
            body: body(response.body, response.is_base64_encoded)?,
        });
    }
    Ok(plain(match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => compact(text).into(),
        Err(_) => payload.clone(),
    }))
}

fn plain(body: Bytes) -> Shaped {
    Shaped {
        head: Head {
            status: StatusCode::OK,
            headers: [(CONTENT_TYPE, JSON)].into_iter().collect(),
        },
        body,
    }
}

fn has_status(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Status {
        #[serde(rename = "statusCode")]
        _status: IgnoredAny,
    }
    serde_json::from_str::<Status>(text).is_ok()
}

/// A body that is no text is written as JSON.
fn body(given: Value, base64: Option<bool>) -> Result<Bytes, Malformed> {
    let text = match given {
        Value::Null => return Ok(Bytes::new()),
        Value::String(text) => text,
        other => other.to_string(),
    };
    match base64 {
        Some(true) => BASE64_STANDARD
            .decode(text)
            .map(Bytes::from)
            .map_err(|_| Malformed),
        _ => Ok(text.into()),
    }
}

impl Head {
    /// The answer with that body.
    pub(super) fn with(self, body: AnswerBody) -> http::Response<AnswerBody> {
        let mut response = http::Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    /// What stands before the delimiter of a streamed answer. Without a status it is 200.
    pub(super) fn of_prelude(prelude: &[u8]) -> Result<Self, Malformed> {
        let mut given: Map<String, Value> =
            serde_json::from_slice(prelude).map_err(|_| Malformed)?;
        let mut take = |name| given.remove(name).filter(|value| !value.is_null());
        let status = take("statusCode").unwrap_or_else(|| 200.into());
        let headers = match take("headers") {
            None => None,
            Some(Value::Object(headers)) => Some(headers),
            Some(_) => return Err(Malformed),
        };
        let cookies = take("cookies").map(serde_json::from_value).transpose();
        Self::of(status, headers, cookies.map_err(|_| Malformed)?)
    }

    fn of(
        status: Value,
        headers: Option<Map<String, Value>>,
        cookies: Option<Vec<String>>,
    ) -> Result<Self, Malformed> {
        let number = match &status {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let status = number
            .and_then(|number| u16::try_from(number).ok())
            .and_then(|number| StatusCode::from_u16(number).ok())
            // One that only announces another answer is none.
            .filter(|status| !status.is_informational())
            .ok_or(Malformed)?;
        let mut bytes = 0;
        let mut found = HeaderMap::new();
        for (name, value) in headers.unwrap_or_default() {
            let value = match value {
                Value::String(text) => text,
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                Value::Null => continue,
                Value::Array(_) | Value::Object(_) => return Err(Malformed),
            };
            let name = HeaderName::try_from(name).map_err(|_| Malformed)?;
            // The body says how long it is.
            if name == CONTENT_LENGTH || HOP_BY_HOP.contains(&name.as_str()) {
                continue;
            }
            bytes += name.as_str().len() + value.len();
            found.insert(name, HeaderValue::try_from(value).map_err(|_| Malformed)?);
        }
        for cookie in cookies.unwrap_or_default() {
            bytes += cookie.len();
            let cookie = HeaderValue::try_from(cookie).map_err(|_| Malformed)?;
            found.append(SET_COOKIE, cookie);
        }
        if bytes > HEADER_BYTES {
            return Err(Malformed);
        }
        found.entry(CONTENT_TYPE).or_insert(JSON);
        Ok(Self {
            status,
            headers: found,
        })
    }
}

/// Where the delimiter stands, if the answer has one. JSON holds no such bytes.
pub(super) fn delimiter(data: &[u8]) -> Option<usize> {
    data.windows(DELIMITER.len()).position(|it| it == DELIMITER)
}

/// JSON without the spaces between its tokens; its numbers stay as they are written.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_text, mut escaped) = (false, false);
    for character in json.chars() {
        if in_text {
            in_text = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if character.is_ascii_whitespace() {
            continue;
        } else {
            in_text = character == '"';
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests;
