//! InvokeWithResponseStream: what comes while the function runs, how it ends, and clients that leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use pilotlight_gateway::Config;
use pilotlight_model::Phase;
use pilotlight_model::ids::InstanceId;
use pilotlight_model::node::{InvokeReply, InvokeRequest, NodeError, StreamBegun};
use pilotlight_model::start::{Instant, StartKind};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;

use crate::support::*;

fn streaming(name: &str) -> String {
    format!("/2021-11-15/functions/{name}/response-streaming-invocations")
}

/// What a function does next.
pub(crate) enum Step {
    /// The `Content-Type`, before the first chunk.
    Type(&'static str),
    Send(&'static str),
    End,
    Fail(&'static str),
}

/// A gateway whose node streams what the test says, and the way to say it.
pub(crate) async fn directed() -> (Stage, mpsc::UnboundedSender<Step>) {
    let (say, steps) = mpsc::unbounded_channel();
    let steps = Arc::new(tokio::sync::Mutex::new(steps));
    let stage = Stage::start(
        Config::default(),
        Arc::new(move |request| {
            let steps = Arc::clone(&steps);
            Box::pin(async move { perform(request, &mut *steps.lock().await).await })
        }),
    );
    (stage.await, say)
}

async fn perform(
    request: InvokeRequest,
    steps: &mut mpsc::UnboundedReceiver<Step>,
) -> Result<InvokeReply, NodeError> {
    let sink = request
        .stream
        .clone()
        .expect("an answer that may come in pieces");
    let mut begun = StreamBegun {
        content_type: None,
        instance: InstanceId(7),
        kind: StartKind::Forked,
        timeline: request.timeline.clone(),
    };
    let first = Instant(begun.timeline.last().0 + 1_000);
    begun.timeline.end(Phase::Handler, first);
    let mut timeline = begun.timeline.clone();
    let mut begun = Some(begun);
    let (payload, function_error) = loop {
        match steps.recv().await.expect("the test says how it ends") {
            Step::Type(text) => {
                let begun = begun.as_mut().expect("the type comes first");
                begun.content_type = Some(http::HeaderValue::from_static(text));
            }
            Step::Send(chunk) => {
                if let Some(begun) = begun.take() {
                    sink.begin(begun);
                }
                sink.send(Bytes::from_static(chunk.as_bytes())).await;
            }
            Step::End => break (Bytes::new(), None),
            Step::Fail(error) => break (Bytes::from_static(error.as_bytes()), Some("Unhandled")),
        }
    };
    timeline.end(Phase::Stream, Instant(first.0 + 2_000));
    Ok(InvokeReply {
        payload,
        function_error,
        log_tail: request.log_tail.then(|| b"END".to_vec()),
        instance: InstanceId(7),
        kind: StartKind::Forked,
        timeline,
    })
}

/// The body of a request that is answered while the function runs.
async fn begin(stage: &Stage, headers: &[(&str, &str)]) -> (Client, http::Response<Incoming>) {
    let mut client = stage.connect().await;
    let request = request(Method::POST, &streaming("hello"), headers, "{}");
    client.0.ready().await.unwrap();
    let response = client.0.send_request(request.map(Full::new)).await.unwrap();
    (client, response)
}

/// Event type and payload of the messages in `data`, which has nothing else.
fn events(mut data: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    while !data.is_empty() {
        let number = |at: usize| u32::from_be_bytes(data[at..at + 4].try_into().unwrap()) as usize;
        let (total, headers) = (number(0), number(4));
        let name = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let known = ["PayloadChunk", "InvokeComplete"];
            known
                .into_iter()
                .find(|known| text.contains(known))
                .unwrap()
                .to_owned()
        };
        found.push((
            name(&data[12..12 + headers]),
            data[12 + headers..total - 4].to_vec(),
        ));
        data = &data[total..];
    }
    found
}

#[tokio::test]
async fn an_answer_comes_while_the_function_runs() {
    let (stage, say) = directed().await;
    say.send(Step::Send("one")).unwrap();
    let (_client, mut response) = begin(&stage, &[("x-amz-log-type", "Tail")]).await;
    assert_eq!(response.status(), 200);
    let headers = response.headers();
    assert_eq!(
        headers["content-type"],
        "application/vnd.amazon.eventstream"
    );
    assert_eq!(headers["x-amz-executed-version"], "$LATEST");
    assert!(headers.contains_key("x-amzn-requestid") && headers.contains_key("x-amzn-trace-id"));
    let timing = headers["server-timing"].to_str().unwrap().to_owned();
    assert!(timing.starts_with("start;desc=\"forked\"") && timing.contains("handler;dur="));
    let first = response
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_data()
        .unwrap();
    assert_eq!(
        events(&first),
        [("PayloadChunk".to_owned(), b"one".to_vec())]
    );
    say.send(Step::Send("two")).unwrap();
    say.send(Step::End).unwrap();
    let rest = response.collect().await.unwrap().to_bytes();
    let rest = events(&rest);
    assert_eq!(rest[0], ("PayloadChunk".to_owned(), b"two".to_vec()));
    assert_eq!(rest[1].0, "InvokeComplete");
    let complete: Value = serde_json::from_slice(&rest[1].1).unwrap();
    assert_eq!(complete, json!({ "LogResult": "RU5E" }));

    let starts = stage.get_json("/pilotlight/v1/starts").await;
    let phases = starts["starts"][0]["phases"].as_array().unwrap();
    let names: Vec<&str> = phases
        .iter()
        .filter_map(|it| it["phase"].as_str())
        .collect();
    assert_eq!(names, ["gateway", "handler", "stream", "respond"]);
}

#[tokio::test]
async fn an_error_ends_the_answer() {
    let (stage, say) = directed().await;
    say.send(Step::Send("part")).unwrap();
    say.send(Step::Fail("{\"errorType\":\"E\"}")).unwrap();
    let (_client, response) = begin(&stage, &[]).await;
    let found = events(&response.collect().await.unwrap().to_bytes());
    assert_eq!(found[0], ("PayloadChunk".to_owned(), b"part".to_vec()));
    let complete: Value = serde_json::from_slice(&found[1].1).unwrap();
    let told = json!({ "ErrorCode": "Unhandled", "ErrorDetails": "{\"errorType\":\"E\"}" });
    assert_eq!(complete, told);

    // Before the first byte.
    say.send(Step::Fail("{}")).unwrap();
    let response = stage.post(&streaming("hello"), &[], "{}").await;
    assert_eq!(response.status(), 200);
    let found = events(response.body());
    assert_eq!((found.len(), found[0].0.as_str()), (1, "InvokeComplete"));
    stage
        .until_metric(
            "pilotlight_invocations_total{function=\"hello\",kind=\"forked\",outcome=\"function_error\"}",
            2.0,
        )
        .await;
}

#[tokio::test]
async fn a_function_that_does_not_stream_answers_in_one_event() {
    let stage = Stage::echoing().await;
    let response = stage.post(&streaming("hello"), &[], "{\"a\":1}").await;
    let found = events(response.body());
    assert_eq!(found[0], ("PayloadChunk".to_owned(), b"{\"a\":1}".to_vec()));
    assert_eq!(found[1], ("InvokeComplete".to_owned(), b"{}".to_vec()));
    let size = response.body().len().to_string();
    assert_eq!(response.headers()["content-length"], size.as_str());
}

#[tokio::test]
async fn what_cannot_run_is_refused_as_by_invoke() {
    let stage = Stage::echoing().await;
    let response = stage
        .post(
            &streaming("hello"),
            &[("x-amz-invocation-type", "DryRun")],
            "{}",
        )
        .await;
    assert_eq!(
        (response.status().as_u16(), response.body().len()),
        (204, 0)
    );
    for (name, headers, body, status, kind) in [
        (
            "missing",
            ("a", "b"),
            "{}",
            404,
            "ResourceNotFoundException",
        ),
        (
            "pending",
            ("a", "b"),
            "{}",
            409,
            "ResourceConflictException",
        ),
        (
            "hello",
            ("a", "b"),
            "{",
            400,
            "InvalidRequestContentException",
        ),
        (
            "hello",
            ("x-amz-invocation-type", "Event"),
            "{}",
            400,
            "ValidationException",
        ),
    ] {
        let response = stage.post(&streaming(name), &[headers], body).await;
        let (found, error, _) = error(&response);
        assert_eq!(
            (found, error.as_str()),
            (status, kind),
            "{name} {headers:?}"
        );
    }
}

#[tokio::test]
async fn a_client_that_leaves_does_not_end_the_function() {
    let (stage, say) = directed().await;
    say.send(Step::Send("one")).unwrap();
    let (client, mut response) = begin(&stage, &[]).await;
    response.frame().await.unwrap().unwrap();
    drop((client, response));
    stage.until_metric("pilotlight_connections", 1.0).await;
    assert_eq!(stage.metric("pilotlight_invocations_in_flight").await, 1.0);
    // More than the way holds: nobody waits for who has left.
    for _ in 0..64 {
        say.send(Step::Send("more")).unwrap();
    }
    say.send(Step::End).unwrap();
    stage
        .until_metric("pilotlight_invocations_in_flight", 0.0)
        .await;
    let ok = "pilotlight_invocations_total{function=\"hello\",kind=\"forked\",outcome=\"ok\"}";
    stage.until_metric(ok, 1.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_makes_the_function_wait_and_is_cut_off() {
    const CHUNK: usize = 64 * 1024;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let config = Config {
        stall_timeout: Duration::from_millis(300),
        ..Config::default()
    };
    let node: Behaviour = Arc::new(move |request| {
        let count = Arc::clone(&count);
        Box::pin(async move {
            let sink = request.stream.clone().unwrap();
            sink.begin(StreamBegun {
                content_type: None,
                instance: InstanceId(7),
                kind: StartKind::Warm,
                timeline: request.timeline.clone(),
            });
            let chunk = Bytes::from(vec![0; CHUNK]);
            for _ in 0..2_000 {
                sink.send(chunk.clone()).await;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(reply(request, Bytes::new()))
        })
    });
    let stage = Stage::start(config, node).await;
    let mut socket = TcpStream::connect(stage.address).await.unwrap();
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\n\r\n", streaming("hello"));
    socket.write_all(head.as_bytes()).await.unwrap();
    stage
        .until_metric("pilotlight_invocations_in_flight", 1.0)
        .await;
    // No time passes for as long as anybody can go on.
    sleep(Duration::from_millis(50)).await;
    let held = sent.load(Ordering::Relaxed);
    assert!(held > 0);
    assert!(
        held < 1_000,
        "{held} chunks are held for a client that takes none"
    );
    // Only one that has gone lets the function go on.
    stage
        .until_metric("pilotlight_invocations_in_flight", 0.0)
        .await;
    assert_eq!(sent.load(Ordering::Relaxed), 2_000);
}

#[tokio::test]
async fn a_thousand_answers_are_under_way_at_once() {
    const CLIENTS: usize = 1_000;
    let end = Arc::new(Semaphore::new(0));
    let go_on = Arc::clone(&end);
    let node: Behaviour = Arc::new(move |request| {
        let go_on = Arc::clone(&go_on);
        Box::pin(async move {
            let sink = request.stream.clone().unwrap();
            sink.begin(StreamBegun {
                content_type: None,
                instance: InstanceId(7),
                kind: StartKind::Warm,
                timeline: request.timeline.clone(),
            });
            sink.send(request.payload.clone()).await;
            go_on.acquire().await.unwrap().forget();
            sink.send(Bytes::from_static(b"!")).await;
            Ok(reply(request, Bytes::new()))
        })
    });
    let stage = Stage::start(Config::default(), node).await;
    let mut streams = Vec::new();
    for number in 0..CLIENTS {
        let mut client = stage.connect().await;
        let body = number.to_string();
        let request = request(Method::POST, &streaming("hello"), &[], &body);
        client.0.ready().await.unwrap();
        let mut response = client.0.send_request(request.map(Full::new)).await.unwrap();
        let first = response
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap();
        assert_eq!(events(&first)[0].1, body.as_bytes());
        streams.push((client, response));
    }
    // They hold their concurrency; one more is too many.
    let throttled = stage.post(&streaming("hello"), &[], "{}").await;
    assert_eq!(throttled.status(), 429);
    end.add_permits(CLIENTS);
    for (_client, response) in streams {
        let rest = events(&response.collect().await.unwrap().to_bytes());
        assert_eq!(
            (rest[0].1.as_slice(), rest[1].0.as_str()),
            (&b"!"[..], "InvokeComplete")
        );
    }
    stage
        .until_metric("pilotlight_invocations_in_flight", 0.0)
        .await;
}
