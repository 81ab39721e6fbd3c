//! Which invocations run: how many at a time, of whose functions, and how often in a chain.

use std::sync::Arc;

use http::Method;
use pilotlight_gateway::Config;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

use crate::support::*;

#[tokio::test]
async fn concurrency_is_limited_by_function_and_by_account() {
    limited("single", "ConcurrentInvocationLimitExceeded").await;
    limited(
        "reserved",
        "ReservedFunctionConcurrentInvocationLimitExceeded",
    )
    .await;
}

/// That function may run once at a time and account.
async fn limited(name: &'static str, reason: &str) {
    let gate = Arc::new(Notify::new());
    let open = Arc::clone(&gate);
    let (entered, mut entries) = mpsc::unbounded_channel();
    let behaviour: Behaviour = Arc::new(move |request| {
        let (open, entered) = (Arc::clone(&open), entered.clone());
        Box::pin(async move {
            entered.send(()).unwrap();
            open.notified().await;
            echo(request).await
        })
    });
    let stage = Stage::start(Config::default(), behaviour).await;
    let mut first = stage.connect().await;
    let running = tokio::spawn(async move {
        first
            .send(request(Method::POST, &invocations(name), &[], "1"))
            .await
    });
    entries.recv().await.unwrap();

    let throttled = stage.post(&invocations(name), &[], "2").await;
    let told = throttled.headers().contains_key("retry-after");
    assert_eq!(told, !reason.starts_with("Reserved"));
    assert_eq!(
        throttled.headers()["x-amzn-errortype"],
        "TooManyRequestsException"
    );
    let body: serde_json::Value = serde_json::from_slice(throttled.body()).unwrap();
    assert_eq!(throttled.status(), 429);
    assert_eq!(
        body,
        serde_json::json!({ "Reason": reason, "Type": "User", "message": "Rate Exceeded." })
    );

    // Another account has a limit of its own.
    let other = "AWS4-HMAC-SHA256 Credential=000000000001/20260101/us-east-1/lambda/aws4_request";
    let mut second = stage.connect().await;
    let elsewhere = tokio::spawn(async move {
        let headers = [("authorization", other)];
        second
            .send(request(Method::POST, &invocations(name), &headers, "3"))
            .await
    });
    entries.recv().await.unwrap();
    gate.notify_waiters();
    assert_eq!(running.await.unwrap().status(), 200);
    assert_eq!(elsewhere.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_client_that_leaves_neither_stops_the_function_nor_frees_its_permit() {
    let gate = Arc::new(Notify::new());
    let open = Arc::clone(&gate);
    let (told, mut events) = mpsc::unbounded_channel();
    let behaviour: Behaviour = Arc::new(move |request| {
        let (open, told) = (Arc::clone(&open), told.clone());
        Box::pin(async move {
            told.send("began").unwrap();
            open.notified().await;
            told.send("ended").unwrap();
            echo(request).await
        })
    });
    let stage = Stage::start(Config::default(), behaviour).await;
    let mut socket = TcpStream::connect(stage.address).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}",
        invocations("hello")
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(events.recv().await, Some("began"));
    drop(socket);
    // The gateway sees the connection end, and the invocation is in flight all the same.
    stage.until_metric("pilotlight_connections", 1.0).await;
    assert_eq!(stage.metric("pilotlight_invocations_in_flight").await, 1.0);
    gate.notify_waiters();
    assert_eq!(events.recv().await, Some("ended"));
    stage
        .until_metric("pilotlight_invocations_in_flight", 0.0)
        .await;
    let name = "pilotlight_invocations_total{function=\"hello\",kind=\"warm\",outcome=\"ok\"}";
    stage.until_metric(name, 1.0).await;
    let starts = stage.get_json("/pilotlight/v1/starts").await;
    assert_eq!(starts["starts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn another_account_invokes_what_a_policy_lets_it() {
    let stage = Stage::echoing().await;
    let call = async |name: &str| {
        let arn = format!("111122223333:function:{name}");
        stage.post(&invocations(&arn), &[], "1").await
    };
    let shared = call("shared").await;
    assert_eq!(shared.status(), 200, "{shared:?}");
    let invoked = stage.fakes.invoked.lock().pop().unwrap();
    assert_eq!(
        invoked.invoked_arn,
        "arn:aws:lambda:us-east-1:111122223333:function:shared"
    );
    assert_eq!(invoked.spec.key.account.as_str(), "111122223333");
    // The policy is that of the function itself, and not of its aliases.
    for refused in ["hello", "missing", "shared:live"] {
        let message = format!(
            "User: arn:aws:iam::123456789012:root is not authorized to perform: lambda:InvokeFunction on \
             resource: arn:aws:lambda:us-east-1:111122223333:function:{refused} because no resource-based \
             policy allows the lambda:InvokeFunction action"
        );
        let expected = (403, "AccessDeniedException".to_owned(), message);
        assert_eq!(error(&call(refused).await), expected);
    }
    assert!(stage.fakes.invoked.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_comes_back_too_often_is_stopped_unless_it_may_loop() {
    let stage = Stage::echoing().await;
    for (name, last) in [("f", 400), ("looping", 200)] {
        let mut trace = "Root=1-5759e988-bd862e3fe1be46a994272793".to_owned();
        for time in 0..=16 {
            let path = format!("/2015-03-31/functions/{name}/invocations");
            let headers = [("x-amzn-trace-id", trace.as_str())];
            let response = stage.post(&path, &headers, "{}").await;
            let expected = if time < 16 { 200 } else { last };
            assert_eq!(response.status(), expected, "{name} {time}");
            match response.headers().get("x-amzn-errortype") {
                Some(kind) => assert_eq!(kind, "RecursiveInvocationException"),
                None => {
                    let header = &response.headers()["x-amzn-trace-id"];
                    trace = header.to_str().unwrap().to_owned();
                }
            }
        }
    }
    assert_eq!(stage.fakes.invoked.lock().len(), 16 + 17);
}
