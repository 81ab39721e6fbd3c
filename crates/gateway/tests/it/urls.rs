//! Function URLs: what the function is told, what becomes of its answer, and who may call.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use pilotlight_gateway::Config;
use pilotlight_model::url::{AuthType, Cors, FunctionUrl, InvokeMode};
use serde_json::{Value, json};

use crate::streaming::{Step, directed};
use crate::support::*;

const ID: &str = "0123456789abcdefghijklmnopqrstuv";
const HOST: &str = "0123456789abcdefghijklmnopqrstuv.lambda-url.us-east-1.localhost:9000";

fn url(change: impl FnOnce(&mut FunctionUrl)) -> FunctionUrl {
    let mut url = FunctionUrl {
        id: ID.parse().unwrap(),
        account: Default::default(),
        region: Default::default(),
        name: "hello".parse().unwrap(),
        alias: None,
        auth: AuthType::None,
        mode: InvokeMode::Buffered,
        cors: None,
    };
    change(&mut url);
    url
}

/// A gateway with one URL, whose function answers the event with itself.
async fn echoing(change: impl FnOnce(&mut FunctionUrl)) -> Stage {
    let stage = Stage::echoing().await;
    stage.fakes.urls.lock().push(Arc::new(url(change)));
    stage
}

/// A gateway with one URL, whose function answers that.
async fn answering(payload: &'static str, error: Option<&'static str>) -> Stage {
    let node: Behaviour = Arc::new(move |request| {
        Box::pin(async move {
            let mut reply = reply(request, Bytes::from_static(payload.as_bytes()));
            reply.function_error = error;
            Ok(reply)
        })
    });
    let stage = Stage::start(Config::default(), node).await;
    stage.fakes.urls.lock().push(Arc::new(url(|_| {})));
    stage
}

async fn call(
    stage: &Stage,
    method: Method,
    path: &str,
    more: &[(&str, &str)],
    body: &str,
) -> Response<Bytes> {
    let mut headers = vec![("host", HOST)];
    headers.extend(more);
    stage.send(request(method, path, &headers, body)).await
}

fn text(response: &Response<Bytes>) -> (u16, &str) {
    (
        response.status().as_u16(),
        std::str::from_utf8(response.body()).unwrap(),
    )
}

#[tokio::test]
async fn requests_become_events_by_host_and_by_path() {
    let stage = echoing(|url| url.alias = Some("live".parse().unwrap())).await;
    // A path of the API is the function's here, and nothing else.
    let path = "/2015-03-31/functions?x=1";
    let response = call(&stage, Method::GET, path, &[("cookie", "a=1")], "").await;
    assert_eq!(response.status(), 200);
    let event: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(event["rawPath"], "/2015-03-31/functions");
    assert_eq!(
        (&event["rawQueryString"], &event["cookies"]),
        (&json!("x=1"), &json!(["a=1"]))
    );
    let context = &event["requestContext"];
    assert_eq!(
        context["domainName"],
        "0123456789abcdefghijklmnopqrstuv.lambda-url.us-east-1.localhost"
    );
    assert_eq!(
        (&context["apiId"], &context["http"]["sourceIp"]),
        (&json!(ID), &json!("127.0.0.1"))
    );
    assert_eq!(
        context["requestId"],
        response.headers()["x-amzn-requestid"].to_str().unwrap()
    );
    let port = stage.address.port().to_string();
    assert_eq!(event["headers"]["x-forwarded-port"], port);
    assert_eq!(
        event["headers"]["x-amzn-trace-id"],
        response.headers()["x-amzn-trace-id"].to_str().unwrap()
    );
    assert!(!response.headers().contains_key("content-security-policy"));
    let invoked = stage.fakes.invoked.lock()[0].clone();
    assert!(
        invoked.invoked_arn.ends_with(":function:hello:live"),
        "{}",
        invoked.invoked_arn
    );

    let response = stage.post(&format!("/lambda-url/{ID}/a/b"), &[], "x").await;
    let event: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(
        (&event["rawPath"], &event["body"]),
        (&json!("/a/b"), &json!("eA=="))
    );
    assert_eq!(event["requestContext"]["domainName"], context["domainName"]);
    // Its pages are not of the API's origin.
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(
        policy.starts_with("sandbox") && !policy.contains("same-origin"),
        "{policy}"
    );

    let starts = stage.get_json("/pilotlight/v1/starts?function=hello").await;
    assert_eq!(starts["starts"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_no_url_is_refused_and_reaches_nothing() {
    let stage = echoing(|_| {}).await;
    let other = HOST.replace("0123", "9999");
    let elsewhere = HOST.replace("us-east-1", "eu-west-1");
    for host in [&other, &elsewhere, "short.lambda-url.us-east-1.localhost"] {
        let response = stage
            .send(request(
                Method::GET,
                "/2015-03-31/functions",
                &[("host", host)],
                "",
            ))
            .await;
        assert_eq!(text(&response), (403, r#"{"Message":null}"#), "{host}");
        assert_eq!(
            response.headers()["x-amzn-errortype"],
            "AccessDeniedException"
        );
    }
    let response = stage.get("/lambda-url/nothing/").await;
    assert_eq!(text(&response), (403, r#"{"Message":null}"#));
    assert!(stage.fakes.invoked.lock().is_empty());
}

#[tokio::test]
async fn answers_become_http() {
    let payload = r#"{"statusCode": 201, "headers": {"X-A": "b", "transfer-encoding": "chunked", "X-Amzn-RequestId": "own"},
                      "cookies": ["c=1", "d=2"], "body": "aGk=", "isBase64Encoded": true}"#;
    let stage = answering(payload, None).await;
    let response = call(&stage, Method::POST, "/", &[], "").await;
    assert_eq!(text(&response), (201, "hi"));
    let headers = response.headers();
    assert_eq!(headers["x-a"], "b");
    assert_eq!(headers["content-length"], "2");
    assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
    assert!(!headers.contains_key("transfer-encoding"));
    let id = stage.fakes.invoked.lock()[0].request_id.to_string();
    assert_eq!(headers["x-amzn-requestid"], id.as_str());
    let head = call(&stage, Method::HEAD, "/", &[], "").await;
    assert_eq!((head.status().as_u16(), head.body().len()), (201, 0));

    for (payload, error) in [
        (r#"{"errorType":"E"}"#, Some("Unhandled")),
        (r#"{"statusCode": 99}"#, None),
        (r#"{"statusCode": 200, "headers": {"a": "b\nc"}}"#, None),
    ] {
        let stage = answering(payload, error).await;
        let response = call(&stage, Method::POST, "/", &[], "").await;
        assert_eq!(text(&response), (502, "Internal Server Error"), "{payload}");
        assert!(response.headers().contains_key("x-amzn-requestid"));
        assert!(response.headers().contains_key("x-amzn-trace-id"));
    }
}

#[tokio::test]
async fn what_cannot_run_is_told_in_http() {
    let stage = echoing(|_| {}).await;
    let large = "x".repeat((6 << 20) + 1);
    let response = call(&stage, Method::POST, "/", &[], &large).await;
    assert_eq!(response.status(), 413);
    // In base64 it is larger than an event may be.
    let response = call(&stage, Method::POST, "/", &[], &large[..5 << 20]).await;
    assert_eq!(response.status(), 413);
    for (name, status) in [("missing", 403), ("pending", 502)] {
        let stage = echoing(|url| url.name = name.parse().unwrap()).await;
        assert_eq!(
            call(&stage, Method::GET, "/", &[], "").await.status(),
            status,
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_open_gateway_asks_for_a_signature_where_the_url_does() {
    let stage = echoing(|url| url.auth = AuthType::Iam).await;
    let response = call(&stage, Method::GET, "/", &[], "").await;
    let (status, refusal) = text(&response);
    assert_eq!(status, 403);
    assert!(
        refusal.starts_with(r#"{"Message":"Forbidden. "#),
        "{refusal}"
    );
    let scope = |key: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, \
             Signature=0"
        )
    };
    let signed = scope("AKIA");
    let response = call(&stage, Method::GET, "/", &[("authorization", &signed)], "").await;
    let event: Value = serde_json::from_slice(response.body()).unwrap();
    let iam = &event["requestContext"]["authorizer"]["iam"];
    assert_eq!(
        (&iam["accessKey"], &iam["accountId"]),
        (&json!("AKIA"), &json!("123456789012"))
    );
    let other = scope("000000000001");
    let response = call(&stage, Method::GET, "/", &[("authorization", &other)], "").await;
    let (status, refusal) = text(&response);
    assert_eq!(status, 403);
    assert!(
        refusal.starts_with(r#"{"Message":"Forbidden. "#),
        "{refusal}"
    );
}

#[tokio::test]
async fn browsers_are_told_what_is_configured() {
    let origin = ("origin", "https://a.example");
    let some = |text: &str| Some(vec![text.to_owned()]);
    let stage = echoing(|url| {
        url.auth = AuthType::Iam;
        url.cors = Some(Cors {
            allow_origins: some("https://a.example"),
            allow_methods: some("PUT"),
            expose_headers: some("x-b"),
            ..Cors::default()
        });
    })
    .await;
    let asked = [origin, ("access-control-request-method", "PUT")];
    let response = call(&stage, Method::OPTIONS, "/", &asked, "").await;
    assert_eq!(text(&response), (200, ""));
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://a.example"
    );
    assert_eq!(response.headers()["access-control-allow-methods"], "PUT");
    assert!(
        stage.fakes.invoked.lock().is_empty(),
        "the function hears nothing of it"
    );
    // What is refused says so to the page too.
    let response = call(&stage, Method::PUT, "/", &[origin], "").await;
    assert_eq!(response.status(), 403);
    assert_eq!(response.headers()["access-control-expose-headers"], "x-b");

    // Without a configuration it is the function's business.
    let stage = echoing(|_| {}).await;
    let response = call(&stage, Method::OPTIONS, "/", &asked, "").await;
    let event: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(event["requestContext"]["http"]["method"], "OPTIONS");
}

#[tokio::test]
async fn pages_of_function_urls_do_not_reach_the_api() {
    let stage = echoing(|_| {}).await;
    let origin = format!("http://{HOST}");
    for origin in [origin.as_str(), "null", "https://evil.example"] {
        let headers = [("origin", origin), ("host", "localhost:9000")];
        let response = stage
            .send(request(Method::GET, "/2015-03-31/functions", &headers, ""))
            .await;
        assert_eq!(error(&response).1, "AccessDeniedException", "{origin}");
        // The function URL itself is there for all the world.
        let response = call(&stage, Method::GET, "/", &[("origin", origin)], "").await;
        assert_eq!(response.status(), 200, "{origin}");
    }
    let headers = [
        ("origin", "http://localhost:3000"),
        ("host", "localhost:9000"),
    ];
    let response = stage
        .send(request(Method::GET, "/2015-03-31/functions", &headers, ""))
        .await;
    assert_eq!(response.status(), 200);
}

/// The answer to a request, whose function may still run.
async fn begin(stage: &Stage) -> (Client, Response<Incoming>) {
    *stage.fakes.urls.lock() = vec![Arc::new(url(|url| url.mode = InvokeMode::Stream))];
    let mut client = stage.connect().await;
    client.0.ready().await.unwrap();
    let request = request(Method::GET, "/", &[("host", HOST)], "");
    let response = client.0.send_request(request.map(Full::new)).await.unwrap();
    (client, response)
}

const INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";

#[tokio::test]
async fn streamed_answers_begin_with_status_and_headers_and_come_while_the_function_runs() {
    let (stage, say) = directed().await;
    for step in [
        Step::Type(INTEGRATION),
        // The delimiter comes in two pieces, with the beginning of the body.
        Step::Send("{\"statusCode\":418,\"headers\":{\"x-a\":\"b\"},\"cookies\":[\"c=1\"]}\0\0\0"),
        Step::Send("\0\0\0\0\0one"),
    ] {
        say.send(step).unwrap();
    }
    let (_client, mut response) = begin(&stage).await;
    assert_eq!(response.status(), 418);
    assert_eq!(response.headers()["x-a"], "b");
    assert_eq!(response.headers()["set-cookie"], "c=1");
    assert!(response.headers().contains_key("x-amzn-trace-id"));
    let first = response
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_data()
        .unwrap();
    assert_eq!(first, "one");
    say.send(Step::Send("two")).unwrap();
    say.send(Step::End).unwrap();
    assert_eq!(response.collect().await.unwrap().to_bytes(), "two");
    let starts = stage.get_json("/pilotlight/v1/starts").await;
    let phases = starts["starts"][0]["phases"].as_array().unwrap();
    assert_eq!(phases[phases.len() - 2]["phase"], "stream");

    // Without a head of its own it is 200.
    say.send(Step::Type("text/event-stream")).unwrap();
    say.send(Step::Send("data: 1")).unwrap();
    say.send(Step::End).unwrap();
    let (_client, response) = begin(&stage).await;
    assert_eq!(
        (
            response.status().as_u16(),
            &response.headers()["content-type"]
        ),
        (200, &"text/event-stream".parse().unwrap())
    );
    assert_eq!(response.collect().await.unwrap().to_bytes(), "data: 1");
}

#[tokio::test]
async fn a_stream_that_fails_breaks_off_or_is_an_error_before_its_first_byte() {
    let (stage, say) = directed().await;
    say.send(Step::Send("part")).unwrap();
    say.send(Step::Fail("{}")).unwrap();
    let (_client, response) = begin(&stage).await;
    assert_eq!(response.status(), 200);
    assert!(
        response.collect().await.is_err(),
        "a client must not take it for whole"
    );

    for steps in [
        vec![Step::Fail("{}")],
        vec![Step::Type(INTEGRATION), Step::Send("{}"), Step::End],
        vec![
            Step::Type(INTEGRATION),
            Step::Send("{\"statusCode\":0}\0\0\0\0\0\0\0\0"),
            Step::End,
        ],
    ] {
        for step in steps {
            say.send(step).unwrap();
        }
        let (_client, response) = begin(&stage).await;
        assert_eq!(response.status(), 502);
        assert_eq!(
            response.collect().await.unwrap().to_bytes(),
            "Internal Server Error"
        );
    }
}

#[tokio::test]
async fn a_function_that_does_not_stream_answers_a_streaming_url_as_it_is() {
    let stage = answering(r#"{"statusCode": 201, "body": "x"}"#, None).await;
    let (_client, response) = begin(&stage).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.collect().await.unwrap().to_bytes(),
        r#"{"statusCode": 201, "body": "x"}"#
    );
}
