//! What is told of asynchronous events that ended: to functions, to files and to endpoints, and that none of it is
//! lost on the way.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use pilotlight_control::{Destination, Destinations, Ending};
use pilotlight_model::RequestId;
use pilotlight_model::node::{EventQueue, NodeError, QueuedEvent};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{ARN, FUNCTIONS, POISON, Platform, caller, until};

const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:queue";
const OTHER: &str = "arn:aws:sns:us-east-1:123456789012:topic";

fn event(name: &str, payload: &str) -> QueuedEvent {
    QueuedEvent {
        request_id: RequestId::new(),
        account: caller().account,
        region: caller().region,
        name: name.parse().unwrap(),
        qualifier: None,
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        client_context: None,
        trace_id: "Root=1-2-3".to_owned(),
        cause: None,
    }
}

async fn configure(platform: &Platform, function: &str, body: Value) {
    let path = format!("/2019-09-25/functions/{function}/event-invoke-config");
    let reply = platform.call(Method::PUT, &path, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

/// Waits for so many messages in the file of a target that is not placed.
async fn letters(platform: &Platform, name: &str, count: usize) -> Vec<Value> {
    let path = format!("/pilotlight/v1/dead-letters?name={name}");
    until(|| async {
        let reply = platform.get(&path).await;
        let messages = reply.body.get("messages")?.as_array()?.clone();
        (messages.len() >= count).then_some(messages)
    })
    .await
}

fn body(letter: &Value) -> Value {
    serde_json::from_str(letter["Body"].as_str().unwrap()).unwrap()
}

async fn idle(platform: &Platform) {
    let metrics = platform.control.metrics();
    until(|| async {
        let left = metrics.events_queued.get() + metrics.deliveries_waiting.get();
        (left == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_is_told_to_another_function() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform.active("g").await;
    let destination = json!({ "OnSuccess": { "Destination": format!("{ARN}g:$LATEST") } });
    configure(&platform, "f", json!({ "DestinationConfig": destination })).await;
    let given = event("f", r#"{"order":1}"#);
    platform.control.enqueue(given.clone()).await.unwrap();
    idle(&platform).await;

    let invoked = platform.node.invoked.lock().clone();
    assert_eq!(invoked.len(), 2);
    let told = &invoked[1];
    assert_eq!(told.invoked_arn, format!("{ARN}g:$LATEST"));
    assert_ne!(told.request_id, given.request_id);
    let cause = told.cause.clone().unwrap();
    assert_eq!(
        (cause.version.name.as_str(), cause.request_id),
        ("f", given.request_id)
    );
    let record: Value = serde_json::from_slice(&told.payload).unwrap();
    assert_eq!(
        record["requestContext"],
        json!({
            "requestId": given.request_id.to_string(),
            "functionArn": format!("{ARN}f:$LATEST"),
            "condition": "Success",
            "approximateInvokeCount": 1,
        })
    );
    assert_eq!(record["requestPayload"], json!({ "order": 1 }));
    assert_eq!(
        record["responseContext"],
        json!({ "statusCode": 200, "executedVersion": "$LATEST" })
    );
    assert_eq!(record["responsePayload"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_to_both_and_kept_in_files() {
    let platform = Platform::open().await;
    platform
        .create_with("f", |body| {
            body["DeadLetterConfig"] = json!({ "TargetArn": QUEUE });
        })
        .await;
    platform.settled("f").await;
    let destination = json!({ "OnFailure": { "Destination": OTHER } });
    let body_of = json!({ "MaximumRetryAttempts": 0, "DestinationConfig": destination });
    configure(&platform, "f", body_of).await;
    platform.node.invokes.lock().push_back(Ok(false));
    let given = event("f", "{\"n\":\n1}");
    platform.control.enqueue(given.clone()).await.unwrap();

    let failure = &letters(&platform, "topic", 1).await[0];
    assert_eq!(
        (&failure["Kind"], &failure["Destination"]),
        (&json!("failure"), &json!(OTHER))
    );
    let record = body(failure);
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["responseContext"]["functionError"], "Unhandled");

    let dead = &letters(&platform, "queue", 1).await[0];
    assert_eq!(dead["Body"], "{\"n\":\n1}", "the event as it came");
    assert_eq!(
        dead["MessageAttributes"],
        json!({
            "RequestID": { "DataType": "String", "StringValue": given.request_id.to_string() },
            "ErrorCode": { "DataType": "Number", "StringValue": "200" },
            "ErrorMessage": { "DataType": "String", "StringValue": "" },
        })
    );
    idle(&platform).await;
    let reason = "retries_exhausted";
    let failed = &platform.control.metrics().events_failed;
    assert_eq!(failed.get_or_create(&Ending { reason }).get(), 1);
    let files = platform.get("/pilotlight/v1/dead-letters").await.body;
    let names: Vec<&Value> = files["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(names, ["queue", "topic"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_until_it_is_too_old_says_so() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let destination = json!({ "OnFailure": { "Destination": QUEUE } });
    let body_of = json!({ "MaximumEventAgeInSeconds": 60, "DestinationConfig": destination });
    configure(&platform, "f", body_of).await;
    platform
        .node
        .invokes
        .lock()
        .extend(vec![Err(NodeError::Overloaded); 50]);
    platform.control.enqueue(event("f", "1")).await.unwrap();
    for times in 1..6 {
        let retried = || platform.control.metrics().events_retried.get();
        until(|| async { (retried() == times).then_some(()) }).await;
        platform
            .clock
            .advance(Duration::from_secs(1 << (times - 1)));
    }
    let record = body(&letters(&platform, "queue", 1).await[0]);
    assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
    assert_eq!(record["responseContext"], json!({ "statusCode": 429 }));
    assert_eq!(record.get("responsePayload"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_for_a_function_that_is_deleted_is_told_of() {
    let platform = Platform::open().await;
    platform
        .create_with("f", |body| {
            body["DeadLetterConfig"] = json!({ "TargetArn": QUEUE });
        })
        .await;
    platform.settled("f").await;
    let destination = json!({ "OnFailure": { "Destination": OTHER } });
    configure(&platform, "f", json!({ "DestinationConfig": destination })).await;
    platform
        .node
        .invokes
        .lock()
        .push_back(Err(NodeError::Overloaded));
    platform
        .control
        .enqueue(event("f", "\"kept\""))
        .await
        .unwrap();
    let retried = || platform.control.metrics().events_retried.get();
    until(|| async { (retried() == 1).then_some(()) }).await;
    let waiting = platform.get("/pilotlight/v1/events").await.body;
    assert_eq!(waiting["events"][0]["last_error"], "Rate Exceeded.");

    let path = format!("{FUNCTIONS}/f");
    platform.delete(&path).await;
    // A function of the same name is another one, and its settings count for it.
    platform.clock.advance(Duration::from_secs(1));
    let record = body(&letters(&platform, "topic", 1).await[0]);
    assert_eq!(record["responseContext"], json!({ "statusCode": 404 }));
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 1);
    let dead = &letters(&platform, "queue", 1).await[0];
    assert_eq!(dead["Body"], "\"kept\"");
    let words = format!("Function not found: {ARN}f:$LATEST");
    assert_eq!(
        dead["MessageAttributes"]["ErrorMessage"]["StringValue"],
        words
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_function_that_is_gone_loses_nothing() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform.active("g").await;
    let destination = json!({ "OnFailure": { "Destination": format!("{ARN}g") } });
    let body_of = json!({ "MaximumRetryAttempts": 0, "DestinationConfig": destination });
    configure(&platform, "f", body_of).await;
    let path = format!("{FUNCTIONS}/g");
    platform.delete(&path).await;
    platform.node.invokes.lock().push_back(Ok(false));
    platform.control.enqueue(event("f", "1")).await.unwrap();
    let letter = &letters(&platform, "g", 1).await[0];
    assert_eq!(body(letter)["requestPayload"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_an_event_takes_its_place_and_no_more_than_there_are() {
    let platform = Platform::open_with(|config| config.account_queued_events = 1).await;
    platform.active("recorded").await;
    platform.active("dead").await;
    platform
        .create_with("f", |body| {
            body["DeadLetterConfig"] = json!({ "TargetArn": format!("{ARN}dead") });
        })
        .await;
    platform.settled("f").await;
    let destination = json!({ "OnFailure": { "Destination": format!("{ARN}recorded") } });
    configure(
        &platform,
        "f",
        json!({ "MaximumRetryAttempts": 0, "DestinationConfig": destination }),
    )
    .await;
    platform.node.invokes.lock().push_back(Ok(false));
    platform.control.enqueue(event("f", "1")).await.unwrap();
    // The record takes the event's place, and the dead letter finds none.
    let letter = &letters(&platform, "dead", 1).await[0];
    assert_eq!(letter["Kind"], "dead_letter");
    assert_eq!(body(letter), 1);
    idle(&platform).await;
    let invoked: Vec<String> = platform
        .node
        .invoked
        .lock()
        .iter()
        .map(|request| request.invoked_arn.clone())
        .collect();
    assert_eq!(
        invoked,
        ["f", "recorded"].map(|name| format!("{ARN}{name}"))
    );
    // All places are free again.
    platform.control.enqueue(event("f", "2")).await.unwrap();
    idle(&platform).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_tell_each_other_without_end_are_stopped() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform.active("g").await;
    for (from, to) in [("f", "g"), ("g", "f")] {
        let destination = json!({
            "OnSuccess": { "Destination": format!("{ARN}{to}") },
            "OnFailure": { "Destination": QUEUE },
        });
        configure(&platform, from, json!({ "DestinationConfig": destination })).await;
    }
    platform.control.enqueue(event("f", "1")).await.unwrap();
    let record = body(&letters(&platform, "queue", 1).await[0]);
    assert_eq!(record["requestContext"]["condition"], "RecursiveInvocation");
    assert_eq!(
        record["requestContext"]["functionArn"],
        format!("{ARN}f:$LATEST")
    );
    assert_eq!(record["responseContext"], json!({ "statusCode": 400 }));
    idle(&platform).await;
    assert_eq!(platform.node.invoked.lock().len(), 32, "16 times each");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_upsets_the_platform_is_tried_once() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let destination = json!({ "OnFailure": { "Destination": QUEUE } });
    configure(&platform, "f", json!({ "DestinationConfig": destination })).await;
    platform.control.enqueue(event("f", POISON)).await.unwrap();
    let record = body(&letters(&platform, "queue", 1).await[0]);
    assert_eq!(record["requestPayload"], "poison");
    assert_eq!(record["responseContext"], json!({ "statusCode": 500 }));
    idle(&platform).await;
    assert_eq!(platform.node.invoked.lock().len(), 1);
    // And the others go on.
    platform.control.enqueue(event("f", "1")).await.unwrap();
    idle(&platform).await;
    assert_eq!(platform.node.invoked.lock().len(), 2);
}

fn placed(target: &str, place: &str) -> Destinations {
    let place: Destination = place.parse().unwrap();
    [(target.to_owned(), place)].into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_yet_survives_a_kill_and_arrives_as_the_same_message() {
    let blocked = tempfile::tempdir().unwrap();
    let place = format!("file:{}", blocked.path().display());
    let platform = Platform::open_with(|config| config.destinations = placed(QUEUE, &place)).await;
    platform.active("f").await;
    let destination = json!({ "OnSuccess": { "Destination": QUEUE } });
    configure(&platform, "f", json!({ "DestinationConfig": destination })).await;
    platform.control.enqueue(event("f", "1")).await.unwrap();
    let waiting = until(|| async {
        let waiting = platform.get("/pilotlight/v1/events?function=f").await.body;
        let tried = waiting["deliveries"][0]["attempts"].as_u64() == Some(1);
        tried.then_some(waiting)
    })
    .await;
    let delivery = &waiting["deliveries"][0];
    assert_eq!(
        (&delivery["target"], &delivery["kind"]),
        (&json!(QUEUE), &json!("success"))
    );
    assert!(
        delivery["last_error"]
            .as_str()
            .unwrap()
            .starts_with("cannot write ")
    );
    assert_eq!(waiting["events"], json!([]));

    let after = platform.killed().await;
    after.clock.advance(Duration::from_secs(300));
    let letter = &letters(&after, "queue", 1).await[0];
    assert_eq!(letter["MessageId"], delivery["message_id"]);
    assert_eq!(body(letter)["requestPayload"], 1);
    idle(&after).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_an_endpoint_is_bounded() {
    let platform = Platform::open_with(|config| {
        // Nobody listens there.
        config.destinations = placed(QUEUE, "http://127.0.0.1:1/");
        config.account_deliveries = 2;
    })
    .await;
    platform.active("f").await;
    let destination = json!({ "OnSuccess": { "Destination": QUEUE } });
    configure(&platform, "f", json!({ "DestinationConfig": destination })).await;
    for number in 0..6 {
        let event = event("f", &number.to_string());
        platform.control.enqueue(event).await.unwrap();
    }
    let metrics = platform.control.metrics();
    until(|| async {
        platform.clock.advance(Duration::from_secs(1));
        let done = metrics.events_queued.get() == 0 && metrics.deliveries_waiting.get() <= 2;
        done.then_some(())
    })
    .await;
    // No more than may wait do, and the others are in the file that the queue has without the endpoint.
    letters(&platform, "queue", 4).await;
}

/// Answers each request with the next status, and gives what it got.
async fn endpoint(statuses: Vec<u16>) -> (String, tokio::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, receiver) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move {
        for status in statuses {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut got = Vec::new();
            while !std::str::from_utf8(&got).is_ok_and(|text| text.ends_with('}')) {
                let mut part = [0; 4_096];
                let read = stream.read(&mut part).await.unwrap();
                got.extend_from_slice(&part[..read]);
            }
            let answer = format!(
                "HTTP/1.1 {status} x\r\nconnection: close\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            sender.send(String::from_utf8(got).unwrap()).await.unwrap();
        }
    });
    (url, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_asked_until_it_takes_the_message() {
    let (url, mut got) = endpoint(vec![500, 302, 202]).await;
    let platform =
        Platform::open_with(|config| config.destinations = placed("arn:aws:sqs:*", &url)).await;
    platform.active("f").await;
    let destination = json!({ "OnSuccess": { "Destination": QUEUE } });
    configure(&platform, "f", json!({ "DestinationConfig": destination })).await;
    platform.control.enqueue(event("f", "7")).await.unwrap();
    let mut seen = Vec::new();
    for rest in [1, 2, 4] {
        seen.push(got.recv().await.unwrap());
        let failed = platform.control.metrics().deliveries_failed.clone();
        let place = pilotlight_control::Place { place: "http" };
        let tries = seen.len() as u64;
        if tries < 3 {
            until(|| async { (failed.get_or_create(&place).get() == tries).then_some(()) }).await;
        }
        platform.clock.advance(Duration::from_secs(rest));
    }
    idle(&platform).await;
    let id = |text: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with("x-pilotlight-message-id: "));
        line.unwrap().to_owned()
    };
    assert!(
        seen[0].starts_with("POST /hook HTTP/1.1\r\n"),
        "{}",
        seen[0]
    );
    assert!(seen[0].contains(&format!("x-pilotlight-destination: {QUEUE}\r\n")));
    assert!(seen.iter().all(|text| id(text) == id(&seen[0])));
    let record: Value = serde_json::from_str(seen[2].split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(record["requestPayload"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_endpoint_does_not_take_for_a_day_goes_to_a_file() {
    let platform =
        Platform::open_with(|config| config.destinations = placed(QUEUE, "http://127.0.0.1:1/"))
            .await;
    platform.active("f").await;
    let destination = json!({ "OnSuccess": { "Destination": QUEUE } });
    configure(&platform, "f", json!({ "DestinationConfig": destination })).await;
    platform.control.enqueue(event("f", "7")).await.unwrap();
    until(|| async {
        let waiting = platform.get("/pilotlight/v1/events").await.body;
        (waiting["deliveries"][0]["attempts"].as_u64() == Some(1)).then_some(())
    })
    .await;
    platform.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(
        body(&letters(&platform, "queue", 1).await[0])["requestPayload"],
        7
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn others_see_nothing_of_it() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let destination = json!({ "OnSuccess": { "Destination": QUEUE } });
    configure(&platform, "f", json!({ "DestinationConfig": destination })).await;
    platform.control.enqueue(event("f", "1")).await.unwrap();
    letters(&platform, "queue", 1).await;
    let mut other = caller();
    other.account = "999999999999".parse().unwrap();
    for (path, seen) in [
        ("/pilotlight/v1/dead-letters", json!({ "files": [] })),
        (
            "/pilotlight/v1/events",
            json!({ "events": [], "deliveries": [], "firings": [] }),
        ),
    ] {
        let reply = platform
            .call_as(other.clone(), Method::GET, path, Value::Null)
            .await;
        assert_eq!(reply.body, seen);
    }
    for name in ["queue", "..%2F..%2F123456789012%2Fus-east-1%2Fqueue", "."] {
        let path = format!("/pilotlight/v1/dead-letters?name={name}");
        let reply = platform
            .call_as(other.clone(), Method::GET, &path, Value::Null)
            .await;
        assert_eq!(reply.status, 404, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_switched_off_takes_no_event_and_says_so() {
    let platform = Platform::open().await;
    platform
        .create_with("f", |body| {
            body["DeadLetterConfig"] = json!({ "TargetArn": QUEUE });
        })
        .await;
    platform.settled("f").await;
    let path = "/2017-10-31/functions/f/concurrency";
    let none = json!({ "ReservedConcurrentExecutions": 0 });
    assert_eq!(platform.call(Method::PUT, path, none).await.status, 200);
    platform.control.enqueue(event("f", "1")).await.unwrap();
    let dead = &letters(&platform, "queue", 1).await[0];
    let attributes = &dead["MessageAttributes"];
    assert_eq!(
        attributes["ErrorMessage"]["StringValue"],
        "Function not invoked. Function isconfigured with zero reserved concurrent executions"
    );
    assert_eq!(attributes.get("ErrorCode"), None);
    assert!(platform.node.invoked.lock().is_empty());
}
