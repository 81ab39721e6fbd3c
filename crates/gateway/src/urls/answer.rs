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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shaped(payload: &str) -> Result<Shaped, Malformed> {
        shape(&Bytes::copy_from_slice(payload.as_bytes()))
    }

    fn ok(payload: &str) -> (u16, Vec<(String, String)>, Bytes) {
        let Shaped { head, body } = shaped(payload).unwrap();
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let pairs = head.headers.iter();
        let headers = pairs
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect();
        (head.status.as_u16(), headers, body)
    }

    #[test]
    fn what_has_no_status_is_the_body() {
        for (payload, body) in [
            (r#"{"hello": "w o"}"#, r#"{"hello":"w o"}"#),
            (r#"["hello", 3, true]"#, r#"["hello",3,true]"#),
            (r#""hel\"lo""#, "hel\"lo"),
            ("3.10", "3.10"),
            ("true", "true"),
            ("null", "null"),
            (
                r#"{"body": "b", "n": 12345678901234567890123}"#,
                r#"{"body":"b","n":12345678901234567890123}"#,
            ),
            ("no json", "no json"),
        ] {
            let (status, headers, found) = ok(payload);
            assert_eq!(
                (status, found),
                (200, Bytes::copy_from_slice(body.as_bytes()))
            );
            let json = ("content-type".to_owned(), "application/json".to_owned());
            assert_eq!(headers, [json]);
        }
    }

    #[test]
    fn what_has_one_is_an_answer() {
        let (status, mut headers, body) = ok(
            r#"{"statusCode": 201, "headers": {"My-Header": "V", "N": 1, "Connection": "close", "Content-Length": "9"},
                "cookies": ["a=1", "b=2; Path=/"], "body": "hi"}"#,
        );
        headers.sort();
        let pairs = [
            ("content-type", "application/json"),
            ("my-header", "V"),
            ("n", "1"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2; Path=/"),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!((status, headers, body), (201, pairs.to_vec(), "hi".into()));
        assert_eq!(ok(r#"{"statusCode": "418", "body": "tea"}"#).0, 418);
        assert_eq!(
            ok(r#"{"statusCode": 200, "body": {"a": 1}}"#).2,
            r#"{"a":1}"#
        );
        assert_eq!(ok(r#"{"statusCode": 204}"#).2, "");
        assert_eq!(
            ok(r#"{"statusCode": 200, "body": null, "headers": null}"#).2,
            ""
        );
        assert_eq!(
            ok(r#"{"statusCode": 200, "body": "aGk=", "isBase64Encoded": true}"#).2,
            "hi"
        );
        let own =
            ok(r#"{"statusCode": 200, "headers": {"content-type": "text/html"}, "body": ""}"#);
        assert_eq!(own.1, [("content-type".to_owned(), "text/html".to_owned())]);
    }

    #[test]
    fn what_http_does_not_have_is_malformed() {
        for bad in [
            r#"{"statusCode": 42}"#,
            r#"{"statusCode": 101}"#,
            r#"{"statusCode": 1000}"#,
            r#"{"statusCode": true}"#,
            r#"{"statusCode": "2oo"}"#,
            r#"{"statusCode": 200, "headers": []}"#,
            r#"{"statusCode": 200, "headers": {"a b": "c"}}"#,
            r#"{"statusCode": 200, "headers": {"a": "b\r\nc: d"}}"#,
            r#"{"statusCode": 200, "headers": {"a": ["b"]}}"#,
            r#"{"statusCode": 200, "cookies": ["a\n"]}"#,
            r#"{"statusCode": 200, "body": "%", "isBase64Encoded": true}"#,
        ] {
            assert_eq!(shaped(bad), Err(Malformed), "{bad}");
        }
        let huge = format!(
            r#"{{"statusCode": 200, "headers": {{"a": "{}"}}}}"#,
            "b".repeat(HEADER_BYTES)
        );
        assert_eq!(shaped(&huge), Err(Malformed));
    }

    #[test]
    fn a_streamed_answer_has_its_head_before_the_delimiter() {
        let (status, headers, body) =
            ok("{\"statusCode\":302,\"headers\":{\"location\":\"/\"}}\0\0\0\0\0\0\0\0bo\0dy");
        assert_eq!((status, body), (302, "bo\0dy".into()));
        assert!(headers.contains(&("location".to_owned(), "/".to_owned())));
        assert_eq!(ok("{}\0\0\0\0\0\0\0\0").0, 200);
        assert_eq!(shaped("x\0\0\0\0\0\0\0\0"), Err(Malformed));
    }

    proptest! {
        #[test]
        fn whatever_a_function_answers_is_an_answer_or_malformed(
            payload in proptest::collection::vec(any::<u8>(), 0..200),
            json in "[{}\\[\\]\",: a-z0-9\\\\]{0,60}",
        ) {
            let _ = shape(&payload.into());
            let _ = shape(&json.into());
        }

        #[test]
        fn compact_json_means_the_same(words in proptest::collection::vec("\\PC{0,8}", 0..5)) {
            let value = serde_json::json!({ "words": words, "n": [1, 2.5] });
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compact(&pretty), value.to_string());
        }
    }
}
