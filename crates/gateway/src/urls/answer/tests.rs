//! What functions answer, and what comes of it.

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
    let own = ok(r#"{"statusCode": 200, "headers": {"content-type": "text/html"}, "body": ""}"#);
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
