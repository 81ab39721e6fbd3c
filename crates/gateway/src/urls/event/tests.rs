//! Events as functions get them.

use std::time::Duration;

use super::*;

fn event(head: http::request::Builder, body: &str, signer: Option<(&Caller, &str)>) -> Value {
    let (head, ()) = head.body(()).unwrap().into_parts();
    let body = Bytes::copy_from_slice(body.as_bytes());
    let told = Told {
        head: &head,
        body: &body,
        path: head.uri.path(),
        domain: "id.lambda-url.us-east-1.localhost",
        id: "id",
        peer: "::ffff:127.0.0.1".parse().unwrap(),
        port: 9000,
        request_id: RequestId(uuid::Uuid::nil()),
        trace: "Root=1",
        now: SystemTime::UNIX_EPOCH + Duration::from_millis(1_584_039_838_123),
        signer,
    };
    serde_json::from_slice(&told.event()).unwrap()
}

#[test]
fn an_event_has_what_aws_s_has() {
    let head = http::Request::builder()
        .method("POST")
        .uri("/a%20b/?x=1&y=%C3%BC+&x=2&z")
        .header("Host", "id.lambda-url.us-east-1.localhost:9000")
        .header("Connection", "close")
        .header("Cookie", "a=1; b=2")
        .header("Cookie", "c=3")
        .header("X-Two", "1")
        .header("X-Two", "2")
        .header("X-Forwarded-For", "10.0.0.1")
        .header("User-Agent", "curl")
        .header("Content-Type", "application/json; charset=utf-8");
    let found = event(head, "{\"ü\": 1}", None);
    assert_eq!(
        found,
        json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/a%20b/",
            "rawQueryString": "x=1&y=%C3%BC+&x=2&z",
            "cookies": ["a=1", "b=2", "c=3"],
            "headers": {
                "host": "id.lambda-url.us-east-1.localhost:9000",
                "x-two": "1,2",
                "x-forwarded-for": "10.0.0.1, 127.0.0.1",
                "user-agent": "curl",
                "content-type": "application/json; charset=utf-8",
                "x-amzn-trace-id": "Root=1",
                "x-forwarded-proto": "http",
                "x-forwarded-port": "9000",
            },
            "queryStringParameters": { "x": "1,2", "y": "ü ", "z": "" },
            "requestContext": {
                "accountId": "anonymous",
                "apiId": "id",
                "domainName": "id.lambda-url.us-east-1.localhost",
                "domainPrefix": "id",
                "http": {
                    "method": "POST", "path": "/a b/", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
                    "userAgent": "curl",
                },
                "requestId": "00000000-0000-0000-0000-000000000000",
                "routeKey": "$default",
                "stage": "$default",
                "time": "12/Mar/2020:19:03:58 +0000",
                "timeEpoch": 1_584_039_838_123_u64,
            },
            "body": "{\"ü\": 1}",
            "isBase64Encoded": false,
        })
    );
}

#[test]
fn bodies_that_are_no_text_come_in_base64() {
    for (kind, body, expected, encoded) in [
        ("text/plain", "a", Some("a"), false),
        ("application/problem+json", "{}", Some("{}"), false),
        (
            "application/x-www-form-urlencoded",
            "a=b",
            Some("YT1i"),
            true,
        ),
        ("multipart/form-data; boundary=x", "a", Some("YQ=="), true),
        ("image/svg+xml", "<svg/>", Some("<svg/>"), false),
        ("application/octet-stream", "", None, false),
    ] {
        let found = event(
            http::Request::builder().header("content-type", kind),
            body,
            None,
        );
        let body = found.get("body").and_then(Value::as_str);
        assert_eq!(
            (body, &found["isBase64Encoded"]),
            (expected, &json!(encoded)),
            "{kind}"
        );
    }
    let found = event(http::Request::builder(), "a", None);
    assert_eq!(found["isBase64Encoded"], true);
    assert_eq!(
        found.get("cookies").or(found.get("queryStringParameters")),
        None
    );
}

#[test]
fn signers_are_named() {
    let caller = Caller {
        account: Default::default(),
        region: Default::default(),
        function: None,
    };
    let head = || http::Request::builder().header("Authorization", "a");
    assert_eq!(event(head(), "", None)["headers"]["authorization"], "a");
    let found = event(head(), "", Some((&caller, "AKIA")));
    assert_eq!(found["headers"].get("authorization"), None);
    let context = &found["requestContext"];
    assert_eq!(context["accountId"], "123456789012");
    let iam = &context["authorizer"]["iam"];
    assert_eq!(
        (&iam["accessKey"], &iam["accountId"]),
        (&json!("AKIA"), &json!("123456789012"))
    );
}

#[test]
fn a_presigned_query_is_told_without_what_could_be_sent_again() {
    let caller = Caller {
        account: Default::default(),
        region: Default::default(),
        function: None,
    };
    let uri = "/?a=1&X-Amz-Date=d&X-Amz-Signature=s&b=%26&X%2DAmz-Security-Token=t&c";
    let head = || http::Request::builder().uri(uri);
    let found = event(head(), "", Some((&caller, "AKIA")));
    assert_eq!(found["rawQueryString"], "a=1&X-Amz-Date=d&b=%26&c");
    assert_eq!(
        found["queryStringParameters"],
        json!({ "a": "1", "X-Amz-Date": "d", "b": "&", "c": "" })
    );
    // Where nobody has judged it, it is the function's.
    let found = event(head(), "", None);
    assert_eq!(found["queryStringParameters"]["X-Amz-Signature"], "s");
    let alone = http::Request::builder().uri("/?X-Amz-Signature=s");
    let found = event(alone, "", Some((&caller, "AKIA")));
    assert_eq!(found["rawQueryString"], "");
    assert_eq!(found.get("queryStringParameters"), None);
}
