//! Invoke and InvokeAsync: answers, limits, errors.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Method;
use hyper::body::Frame;
use pilotlight_gateway::Config;
use pilotlight_model::node::{InvokeRequest, NodeError};
use pilotlight_model::start::Cold;
use pilotlight_model::{ErrorKind, LambdaError, Version};
use tokio::net::TcpStream;

use crate::support::*;

#[tokio::test]
async fn a_synchronous_invocation_answers_with_all_its_headers() {
    let stage = Stage::echoing().await;
    let response = stage
        .invoke(&[("x-amz-log-type", "Tail")], "{\"a\": [1]}")
        .await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.body(), "{\"a\": [1]}");
    let headers = response.headers();
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["x-amz-executed-version"], "$LATEST");
    assert!(!headers.contains_key("x-amz-function-error"));
    let tail = BASE64_STANDARD
        .decode(&headers["x-amz-log-result"])
        .unwrap();
    assert_eq!(tail, b"END RequestId: x\n");

    let invoked = stage.fakes.invoked.lock()[0].clone();
    assert_eq!(headers["x-amzn-requestid"], invoked.request_id.to_string());
    assert_eq!(headers["x-amzn-trace-id"], invoked.trace_id);
    assert!(
        invoked.trace_id.starts_with("Root=1-"),
        "{}",
        invoked.trace_id
    );
    assert!(
        invoked.trace_id.contains(";Sampled=0;Lineage=1:"),
        "{}",
        invoked.trace_id
    );
    assert_eq!(
        invoked.invoked_arn,
        "arn:aws:lambda:us-east-1:123456789012:function:hello"
    );
    assert!(invoked.log_tail && invoked.cold.is_none());
}

#[tokio::test]
async fn ten_thousand_calls_of_a_weighted_alias_tell_which_version_ran() {
    let stage = Stage::echoing().await;
    let mut client = stage.connect().await;
    let path = format!("{}?Qualifier=live", invocations("split"));
    let mut second = 0_u32;
    for _ in 0..10_000 {
        let response = client.send(request(Method::POST, &path, &[], "1")).await;
        assert_eq!(response.status(), 200);
        match response.headers()["x-amz-executed-version"].to_str() {
            Ok("1") => {}
            Ok("2") => second += 1,
            other => panic!("{other:?}"),
        }
    }
    // 2,000 with a deviation of 40. Beyond seven of them: less than once in 10^11 runs by chance alone.
    assert!(second.abs_diff(2_000) < 280, "{second}");
    let invoked = stage.fakes.invoked.lock();
    let ran = |number| {
        let of = |it: &&InvokeRequest| it.spec.key.version == Version::Number(number);
        invoked.iter().filter(of).count() as u32
    };
    assert_eq!((ran(1), ran(2)), (10_000 - second, second));
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:split:live";
    assert!(invoked.iter().all(|it| it.invoked_arn == arn));
}

#[tokio::test]
async fn every_form_of_a_name_and_qualifier_is_understood() {
    let stage = Stage::echoing().await;
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:hello";
    let encoded = arn.replace(':', "%3A");
    for (name, query, invoked) in [
        ("hello", "", arn.to_owned()),
        ("hello", "?Qualifier=live", format!("{arn}:live")),
        ("hello:7", "", format!("{arn}:7")),
        ("hello:7", "?Qualifier=7", format!("{arn}:7")),
        ("hello", "?Qualifier=%24LATEST", format!("{arn}:$LATEST")),
        ("123456789012:function:hello", "", arn.to_owned()),
        (arn, "", arn.to_owned()),
        (&encoded, "?Qualifier=live", format!("{arn}:live")),
    ] {
        let path = format!("{}{query}", invocations(name));
        let response = stage.post(&path, &[], "1").await;
        assert_eq!(response.status(), 200, "{path}: {response:?}");
        let last = stage.fakes.invoked.lock().last().unwrap().clone();
        assert_eq!(last.invoked_arn, invoked, "{path}");
    }
}

#[tokio::test]
async fn names_and_parameters_are_refused_as_aws_does() {
    let stage = Stage::echoing().await;
    let long = "a".repeat(300);
    for (path, headers, status, kind, words) in [
        (
            invocations("he%20llo"),
            ("a", "b"),
            400,
            "ValidationException",
            "'functionName'",
        ),
        (
            invocations(&long),
            ("a", "b"),
            400,
            "ValidationException",
            "'functionName'",
        ),
        (
            invocations("hello"),
            ("x-amz-invocation-type", "Later"),
            400,
            "ValidationException",
            "Value 'Later' at 'invocationType' failed to satisfy constraint",
        ),
        (
            invocations("hello"),
            ("x-amz-log-type", "All"),
            400,
            "ValidationException",
            "'logType'",
        ),
        (
            format!("{}?Qualifier=a%2Fb", invocations("hello")),
            ("a", "b"),
            400,
            "ValidationException",
            "'qualifier'",
        ),
        (
            format!("{}?Qualifier=8", invocations("hello:7")),
            ("a", "b"),
            400,
            "InvalidParameterValueException",
            "The derived qualifier",
        ),
        (
            invocations("missing"),
            ("a", "b"),
            404,
            "ResourceNotFoundException",
            "Function not found: arn:aws:lambda:us-east-1:123456789012:function:missing",
        ),
        (
            invocations("arn:aws:lambda:eu-west-1:123456789012:function:hello"),
            ("a", "b"),
            404,
            "ResourceNotFoundException",
            "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
        ),
        (
            invocations("000000000001:function:hello"),
            ("a", "b"),
            403,
            "AccessDeniedException",
            "",
        ),
        (
            invocations("pending"),
            ("a", "b"),
            409,
            "ResourceConflictException",
            "Pending",
        ),
        (
            invocations("hello"),
            ("x-amz-client-context", "%%%"),
            400,
            "InvalidRequestContentException",
            "Client context must be a valid Base64-encoded JSON object.",
        ),
        (
            invocations("hello"),
            ("x-amz-client-context", "W10="),
            400,
            "InvalidRequestContentException",
            "Client context must be a valid Base64-encoded JSON object.",
        ),
    ] {
        let response = stage.post(&path, &[headers], "{}").await;
        let (found, found_kind, message) = error(&response);
        assert_eq!(
            (found, found_kind.as_str()),
            (status, kind),
            "{path} {message}"
        );
        assert!(message.contains(words), "{path}: {message}");
        assert!(response.headers().contains_key("x-amzn-requestid"));
    }
    assert!(stage.fakes.invoked.lock().is_empty());
}

#[tokio::test]
async fn client_context_trace_and_forced_cold_start_reach_the_node() {
    let stage = Stage::echoing().await;
    let context = BASE64_STANDARD.encode("{\"custom\":\n {\"k\": \"v\"}}");
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    let response = stage
        .invoke(
            &[
                ("x-amz-client-context", context.as_str()),
                ("x-amzn-trace-id", trace),
                ("x-pilotlight-cold", "true"),
            ],
            "",
        )
        .await;
    assert_eq!(response.status(), 200);
    let told = response.headers()["x-amzn-trace-id"].to_str().unwrap();
    let (kept, lineage) = told.rsplit_once(';').unwrap();
    assert_eq!(kept, trace);
    assert!(
        lineage.starts_with("Lineage=1:") && lineage.ends_with(":0"),
        "{lineage}"
    );
    let timing = response.headers()["server-timing"].to_str().unwrap();
    assert!(
        timing.starts_with("start;desc=\"booted\", gateway;dur="),
        "{timing}"
    );
    let invoked = stage.fakes.invoked.lock()[0].clone();
    assert_eq!(
        invoked.client_context.unwrap(),
        "{\"custom\":  {\"k\": \"v\"}}"
    );
    assert_eq!(invoked.trace_id, told);
    assert_eq!(invoked.cold, Some(Cold::Best));
    assert_eq!(invoked.payload, "{}", "an absent event is an empty object");

    // In base64 the lengths go in steps of four: 3,580 is within the limit of 3,583 bytes, 3,584 is not.
    for (letters, length, status) in [(2_677, 3_580, 200), (2_680, 3_584, 400)] {
        let context = BASE64_STANDARD.encode(format!("{{\"a\":\"{}\"}}", "x".repeat(letters)));
        assert_eq!(context.len(), length);
        let headers = [("x-amz-client-context", context.as_str())];
        assert_eq!(stage.invoke(&headers, "").await.status(), status);
    }
}

#[tokio::test]
async fn events_must_be_json_and_within_the_limit() {
    let stage = Stage::echoing().await;
    for bad in ["{", "nope", "{} {}"] {
        let (status, kind, message) = error(&stage.invoke(&[], bad).await);
        assert_eq!(
            (status, kind.as_str()),
            (400, "InvalidRequestContentException")
        );
        assert!(message.starts_with("Could not parse request body into json: "));
    }
    let sized = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let sync = 6 * 1024 * 1024;
    assert_eq!(stage.invoke(&[], &sized(sync)).await.status(), 200);
    assert_eq!(
        error(&stage.invoke(&[], &sized(sync + 1)).await),
        (
            413,
            "RequestEntityTooLargeException".to_owned(),
            "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
                .to_owned()
        )
    );
    let event = [("x-amz-invocation-type", "Event")];
    let limit = 1024 * 1024;
    assert_eq!(stage.invoke(&event, &sized(limit)).await.status(), 202);
    assert_eq!(
        error(&stage.invoke(&event, &sized(limit + 1)).await).2,
        "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)"
    );
    assert_eq!(stage.fakes.invoked.lock().len(), 1);
}

#[tokio::test]
async fn a_body_without_a_length_is_limited_while_it_streams_in() {
    let stage = Stage::echoing().await;
    for (chunks, status) in [(3, 200), (25, 413)] {
        let stream = TcpStream::connect(stage.address).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut client, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::post(invocations("hello"))
            .header("host", "x")
            .body(Chunks {
                first: true,
                left: chunks,
            })
            .unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), status);
    }
}

/// A body of unknown length: `1`, then spaces in chunks of 256 KiB.
struct Chunks {
    first: bool,
    left: usize,
}

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::take(&mut self.first) {
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"1")))));
        }
        let Some(left) = self.left.checked_sub(1) else {
            return Poll::Ready(None);
        };
        self.left = left;
        let chunk = Bytes::from(vec![b' '; 256 * 1024]);
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}

#[tokio::test]
async fn events_are_accepted_once_they_are_stored() {
    let stage = Stage::echoing().await;
    let event = [("x-amz-invocation-type", "Event")];
    let path = format!("{}?Qualifier=live", invocations("hello"));
    let response = stage.post(&path, &event, "{\"n\":1}").await;
    assert_eq!(
        (response.status().as_u16(), response.body().len()),
        (202, 0)
    );
    let queued = stage.fakes.queued.lock()[0].clone();
    assert_eq!(
        response.headers()["x-amzn-requestid"],
        queued.request_id.to_string()
    );
    assert_eq!(queued.name.as_str(), "hello");
    assert_eq!(queued.qualifier.as_deref(), Some("live"));
    assert_eq!(queued.payload, "{\"n\":1}");

    assert_eq!(error(&stage.invoke(&event, "\"full\"").await).0, 500);
    assert_eq!(
        stage
            .post(&invocations("missing"), &event, "")
            .await
            .status(),
        404
    );

    for path in ["invoke-async", "invoke-async/"] {
        let path = format!("/2014-11-13/functions/hello/{path}");
        let response = stage.post(&path, &[], "{}").await;
        assert_eq!(response.status(), 202);
        assert_eq!(response.body(), "{\"Status\":202}");
    }
    assert_eq!(stage.fakes.queued.lock().len(), 3);
    assert!(stage.fakes.invoked.lock().is_empty());
}

#[tokio::test]
async fn a_dry_run_checks_and_does_not_run() {
    let stage = Stage::echoing().await;
    let dry = [("x-amz-invocation-type", "DryRun")];
    let response = stage.invoke(&dry, "{}").await;
    assert_eq!(
        (response.status().as_u16(), response.body().len()),
        (204, 0)
    );
    assert_eq!(
        stage.post(&invocations("missing"), &dry, "").await.status(),
        404
    );
    assert!(stage.fakes.invoked.lock().is_empty());
}

#[tokio::test]
async fn an_error_in_the_function_is_still_200() {
    let stage = Stage::start(
        Config::default(),
        Arc::new(|request| {
            Box::pin(async {
                let mut reply = reply(request, Bytes::from_static(b"{\"errorType\":\"E\"}"));
                reply.function_error = Some("Unhandled");
                Ok(reply)
            })
        }),
    )
    .await;
    let response = stage.invoke(&[], "{}").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-amz-function-error"], "Unhandled");
    assert_eq!(response.body(), "{\"errorType\":\"E\"}");
    let name =
        "pilotlight_invocations_total{function=\"hello\",kind=\"warm\",outcome=\"function_error\"}";
    stage.until_metric(name, 1.0).await;
}

#[tokio::test]
async fn errors_of_the_node_say_whether_to_try_again() {
    let stage = Stage::start(
        Config::default(),
        Arc::new(|request| {
            Box::pin(async move {
                match request.payload.as_ref() {
                    b"1" => Err(NodeError::Overloaded),
                    b"2" => Err(NodeError::Draining),
                    b"3" => Err(NodeError::Internal("/secret/path is broken".to_owned())),
                    _ => panic!("a bug in the node"),
                }
            })
        }),
    )
    .await;
    for (event, status, kind, retry) in [
        ("1", 429, "TooManyRequestsException", true),
        ("2", 503, "ServiceException", true),
        ("3", 500, "ServiceException", false),
        ("4", 500, "ServiceException", false),
    ] {
        let response = stage.invoke(&[], event).await;
        let (found, found_kind, message) = error(&response);
        assert_eq!((found, found_kind.as_str()), (status, kind));
        assert_eq!(response.headers().contains_key("retry-after"), retry);
        assert!(!message.contains("secret"), "{message}");
    }
    assert_eq!(stage.metric("pilotlight_invocations_in_flight").await, 0.0);
    assert_eq!(stage.metric("pilotlight_throttles_total").await, 1.0);
}

#[tokio::test]
async fn the_directorys_errors_pass_as_they_are() {
    let stage = Stage::echoing().await;
    let wanted = LambdaError::function_not_found("x").response();
    let found = stage.post(&invocations("missing"), &[], "{}").await;
    assert_eq!(found.status(), wanted.status());
    assert_eq!(
        found.headers()["x-amzn-errortype"],
        ErrorKind::ResourceNotFound.type_name()
    );
}
