//! The front door: connections, limits, the drain, and the rest of the Lambda API behind it.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use pilotlight_gateway::{Config, Drained};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

use crate::support::*;

/// A stage whose invocations say when they begin and end when they are told to.
async fn gated(config: Config) -> (Stage, Arc<Notify>, mpsc::UnboundedReceiver<()>) {
    let gate = Arc::new(Notify::new());
    let open = Arc::clone(&gate);
    let (entered, entries) = mpsc::unbounded_channel();
    let behaviour: Behaviour = Arc::new(move |request| {
        let (open, entered) = (Arc::clone(&open), entered.clone());
        Box::pin(async move {
            entered.send(()).unwrap();
            open.notified().await;
            echo(request).await
        })
    });
    (Stage::start(config, behaviour).await, gate, entries)
}

#[tokio::test]
async fn other_operations_go_to_the_control_plane() {
    let stage = Stage::echoing().await;
    let scope = "AWS4-HMAC-SHA256 Credential=000000000001/20260101/eu-west-1/lambda/aws4_request";
    for (method, path) in [
        (Method::POST, "/2015-03-31/functions"),
        (Method::GET, "/2015-03-31/functions/hello/invocations"),
        (
            Method::GET,
            "/2021-11-15/functions/hello/response-streaming-invocations",
        ),
        (Method::GET, "/pilotlight/v1/unknown"),
        (Method::DELETE, "/"),
    ] {
        let request = request(method.clone(), path, &[("authorization", scope)], "12345");
        let response = stage.send(request).await;
        assert!(response.headers().contains_key("x-amzn-requestid"));
        let answer: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(answer["account"], "000000000001");
        assert_eq!(answer["region"], "eu-west-1");
        assert_eq!(
            (&answer["path"], &answer["bytes"]),
            (&path.into(), &5.into())
        );
    }
}

#[tokio::test]
async fn an_api_body_over_the_limit_is_refused_by_its_length() {
    let stage = Stage::echoing().await;
    let mut socket = TcpStream::connect(stage.address).await.unwrap();
    let head = "POST /2015-03-31/functions HTTP/1.1\r\nhost: x\r\ncontent-length: 70167212\r\n\
                expect: 100-continue\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(
        answer.contains("RequestEntityTooLargeException"),
        "{answer}"
    );
    let words = "Request must be smaller than 70167211 bytes for the CreateFunction operation";
    assert!(answer.contains(words), "{answer}");
}

#[tokio::test]
async fn a_client_that_writes_first_still_reads_why_it_was_refused() {
    let stage = Stage::echoing().await;
    let body = "x".repeat(12 * 1024 * 1024);
    let mut socket = TcpStream::connect(stage.address).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        invocations("hello"),
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn connections_are_used_again() {
    let stage = Stage::echoing().await;
    let mut client = stage.connect().await;
    for number in 0..100 {
        let event = number.to_string();
        let response = client
            .send(request(Method::POST, &invocations("hello"), &[], &event))
            .await;
        assert_eq!(response.body(), &event);
    }
    // This one, and the one that asks.
    assert_eq!(stage.metric("pilotlight_connections").await, 2.0);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let stage = Stage::echoing().await;
    let mut socket = TcpStream::connect(stage.address).await.unwrap();
    let one = |event: &str, more: &str| {
        let path = invocations("hello");
        format!("POST {path} HTTP/1.1\r\nhost: x\r\n{more}content-length: 1\r\n\r\n{event}")
    };
    let both = format!("{}{}", one("1", ""), one("2", "connection: close\r\n"));
    socket.write_all(both.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let events: Vec<&str> = answer
        .split("\r\n\r\n")
        .skip(1)
        .map(|body| &body[..1])
        .collect();
    assert_eq!(events, ["1", "2"], "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_head_or_body_that_trickles_in_is_given_up() {
    let stage = Stage::echoing().await;
    let mut socket = TcpStream::connect(stage.address).await.unwrap();
    socket.write_all(b"POST /2015-03-31/fun").await.unwrap();
    let begun = tokio::time::Instant::now();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    assert!(begun.elapsed() >= Config::default().head_timeout);
    assert!(answer.is_empty(), "{answer:?}");

    let mut socket = TcpStream::connect(stage.address).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1",
        invocations("hello")
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let begun = tokio::time::Instant::now();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(begun.elapsed() >= Config::default().body_timeout);
    assert!(answer.contains("did not arrive in time"), "{answer}");
}

#[tokio::test]
async fn heads_are_limited() {
    let stage = Stage::echoing().await;
    let long = "a".repeat(Config::default().head_bytes);
    let response = stage.invoke(&[("x-long", &long)], "1").await;
    assert_eq!(response.status(), 431);
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_their_turn() {
    let config = Config {
        connections: 1,
        ..Config::default()
    };
    let (stage, gate, mut entries) = gated(config).await;
    let mut first = stage.connect().await;
    let path = invocations("hello");
    let running = tokio::spawn({
        let path = path.clone();
        async move { first.send(request(Method::POST, &path, &[], "1")).await }
    });
    entries.recv().await.unwrap();
    let mut second = stage.connect().await;
    let waiting =
        tokio::spawn(async move { second.send(request(Method::POST, &path, &[], "2")).await });
    gate.notify_one();
    // The first connection ends with its client, which makes room for the second.
    assert_eq!(running.await.unwrap().body(), "1");
    entries.recv().await.unwrap();
    gate.notify_one();
    assert_eq!(waiting.await.unwrap().body(), "2");
}

#[tokio::test]
async fn a_drain_finishes_requests_and_closes_idle_connections() {
    let (mut stage, gate, mut entries) = gated(Config::default()).await;
    let mut idle = stage.connect().await;
    idle.send(request(Method::GET, "/pilotlight/v1/health", &[], ""))
        .await;
    let fresh = stage.connect().await;
    let mut busy = stage.connect().await;
    let running = tokio::spawn(async move {
        busy.send(request(Method::POST, &invocations("hello"), &[], "1"))
            .await
    });
    entries.recv().await.unwrap();
    stage.signal_shutdown();
    // Both are closed while the request is still running.
    for mut client in [idle, fresh] {
        while client.0.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
    let address = stage.address;
    assert!(TcpStream::connect(address).await.is_err());
    gate.notify_one();
    assert_eq!(running.await.unwrap().status(), 200);
    assert_eq!(stage.drained().await, Drained { cut_off: 0 });
}

#[tokio::test]
async fn a_drain_has_a_deadline() {
    let config = Config {
        drain: Duration::from_millis(20),
        ..Config::default()
    };
    let (mut stage, _gate, mut entries) = gated(config).await;
    let mut busy = stage.connect().await;
    let running = tokio::spawn(async move {
        let request = request(Method::POST, &invocations("hello"), &[], "1");
        busy.0
            .send_request(request.map(http_body_util::Full::new))
            .await
    });
    entries.recv().await.unwrap();
    stage.signal_shutdown();
    assert_eq!(stage.drained().await, Drained { cut_off: 1 });
    assert!(running.await.unwrap().is_err());
}

#[tokio::test]
async fn ten_thousand_requests_leave_nothing_in_flight() {
    let stage = Arc::new(Stage::echoing().await);
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let stage = Arc::clone(&stage);
            tokio::spawn(async move {
                let mut client = stage.connect().await;
                for _ in 0..1_250 {
                    let request = request(Method::POST, &invocations("hello"), &[], "{}");
                    assert_eq!(client.send(request).await.status(), 200);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    stage.until_metric("pilotlight_connections", 1.0).await;
    assert_eq!(stage.metric("pilotlight_invocations_in_flight").await, 0.0);
    let name = "pilotlight_invocations_total{function=\"hello\",kind=\"warm\",outcome=\"ok\"}";
    assert_eq!(stage.metric(name).await, 10_000.0);
    let starts = stage.get_json("/pilotlight/v1/starts?limit=20000").await;
    assert_eq!(starts["starts"].as_array().unwrap().len(), 10_000);
}
