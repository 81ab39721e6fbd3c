//! What extensions that subscribe are told, and what comes of those that cannot be.

use http::{Method, StatusCode};
use pilotlight_model::function::SnapStart;
use pilotlight_model::start::{Cold, StartKind};
use pilotlight_sandbox::Exit as CompanionExit;
use serde_json::json;
use tokio::sync::mpsc;

use super::extensions::{beside, layered, named};
use super::fake::companions::{ExtensionScript, extension};
use super::fake::{Function, program, script};
use super::*;

/// Hands on what comes: the bodies of requests, or lines.
fn listen() -> (u16, mpsc::UnboundedReceiver<Vec<Value>>) {
    listen_after(0)
}

/// The same, for requests behind so many that are answered with an error.
fn listen_after(mut failures: usize) -> (u16, mpsc::UnboundedReceiver<Vec<Value>>) {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let (told, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let (mut line, mut length) = (String::new(), 0);
            loop {
                line.clear();
                if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                    break;
                }
                if line.starts_with('{') {
                    told.send(vec![serde_json::from_str(&line).unwrap()])
                        .unwrap();
                } else if let Some(count) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = count.trim().parse().unwrap();
                } else if line == "\r\n" {
                    let mut body = vec![0; length];
                    stream.read_exact(&mut body).await.unwrap();
                    let status = if failures > 0 { "500 No" } else { "200 OK" };
                    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    if failures > 0 {
                        failures -= 1;
                        break;
                    }
                    told.send(serde_json::from_slice(&body).unwrap()).unwrap();
                }
            }
        }
    });
    (port, heard)
}

/// An extension that subscribes with that body, and tells what came of it.
fn subscriber(
    path: &'static str,
    body: Value,
    told: mpsc::UnboundedSender<(StatusCode, Value)>,
) -> ExtensionScript {
    extension(move |mut extension| {
        let (body, told) = (body.clone(), told.clone());
        async move {
            extension.register().await;
            let answer = extension
                .api
                .call(Method::PUT, path, &[], body.to_string())
                .await;
            let (status, _, answer) = answer.unwrap();
            told.send((status, answer)).unwrap();
            extension.print("an extension's own\n");
            loop {
                if extension.api.next().await["eventType"] == "SHUTDOWN" {
                    return CompanionExit::Code(0);
                }
            }
        }
    })
}

const TELEMETRY: &str = "/2022-07-01/telemetry";

fn subscription(port: u16) -> Value {
    json!({
        "schemaVersion": "2022-12-13",
        "types": ["platform", "function", "extension"],
        "buffering": {"timeoutMs": 25},
        "destination": {"protocol": "HTTP", "URI": format!("http://sandbox.localdomain:{port}")},
    })
}

fn talking() -> Script {
    script(|mut runtime| async move {
        let mut api = runtime.api().await;
        loop {
            let event = api.next().await;
            runtime.print("words\n{\"an\": \"object\"}\n");
            api.respond(&event.id, event.body).await;
        }
    })
}

/// Events as they come, until the last of a request's.
async fn until_report(heard: &mut mpsc::UnboundedReceiver<Vec<Value>>) -> Vec<Value> {
    let mut all = Vec::new();
    while all
        .last()
        .is_none_or(|it: &Value| it["type"] != "platform.report")
    {
        all.extend(heard.recv().await.unwrap());
    }
    all
}

#[tokio::test]
async fn who_subscribes_again_and_again_is_refused_in_the_end() {
    let (port, _heard) = listen();
    let (told, mut answers) = mpsc::unbounded_channel();
    let script = extension(move |mut extension| {
        let told = told.clone();
        async move {
            extension.register().await;
            for _ in 0..=100 {
                let body = subscription(port).to_string();
                let answer = extension.api.call(Method::PUT, TELEMETRY, &[], body).await;
                told.send(answer.unwrap().0).unwrap();
            }
            loop {
                if extension.api.next().await["eventType"] == "SHUTDOWN" {
                    return CompanionExit::Code(0);
                }
            }
        }
    });
    let world = beside(talking(), &[("floods", script)]);
    let spec = Arc::new(layered());
    world.try_invoke(request(&spec, "1")).await.unwrap();
    let mut statuses = Vec::new();
    while statuses.len() <= 100 {
        statuses.push(answers.recv().await.unwrap());
    }
    assert_eq!(statuses.pop(), Some(StatusCode::FORBIDDEN));
    assert!(statuses.iter().all(|it| *it == StatusCode::OK));
}

#[tokio::test]
async fn telemetry_tells_all_that_happened_since_the_process_began() {
    let (port, mut heard) = listen();
    let (told, mut answers) = mpsc::unbounded_channel();
    let script = subscriber(TELEMETRY, subscription(port), told);
    let world = beside(talking(), &[("listens", script)]);
    let spec = Arc::new(layered());
    let wanted = request(&spec, "12345");
    let id = wanted.request_id.to_string();
    world.try_invoke(wanted).await.unwrap();
    assert_eq!(answers.recv().await.unwrap(), (StatusCode::OK, json!("OK")));
    let all = until_report(&mut heard).await;
    let kinds: Vec<&str> = all.iter().map(|it| it["type"].as_str().unwrap()).collect();
    let mut platform = kinds.clone();
    assert!(platform.contains(&"platform.telemetrySubscription"));
    // Its place is that of the moment in which the extension came to it.
    platform.retain(|kind| kind.starts_with("platform.") && !kind.contains("Subscription"));
    assert_eq!(
        platform,
        [
            "platform.initStart",
            "platform.initRuntimeDone",
            "platform.extension",
            "platform.initReport",
            "platform.start",
            "platform.runtimeDone",
            "platform.report",
        ],
        "{all:#?}"
    );
    let records = |kind: &str| -> Vec<&Value> {
        let found = all.iter().filter(|it| it["type"] == kind);
        found.map(|it| &it["record"]).collect()
    };
    assert_eq!(
        records("function"),
        [&json!("words\n"), &json!({"an": "object"})]
    );
    assert_eq!(records("extension"), [&json!("an extension's own\n")]);
    assert_eq!(records("platform.report")[0]["requestId"], id);
    let overhead = &records("platform.report")[0]["spans"][0];
    assert_eq!(overhead["name"], "extensionOverhead");
    let done = records("platform.runtimeDone")[0];
    assert_eq!(done["metrics"]["producedBytes"], 5);
    assert_eq!(done["spans"][0]["name"], "responseLatency");
    let log = world.log().await;
    let line =
        "TELEMETRY\tName: listens\tState: Subscribed\tTypes: [Platform, Function, Extension]";
    assert!(log.iter().any(|it| it == line), "{log:#?}");
}

#[tokio::test]
async fn a_restore_is_told_in_a_batch_of_its_own() {
    let (port, mut heard) = listen();
    let (told, _answers) = mpsc::unbounded_channel();
    let launcher = FakeLauncher::forking(program(Function::default()));
    *launcher.extensions.lock() =
        named(&[("listens", subscriber(TELEMETRY, subscription(port), told))]);
    let world = World::on(launcher, Limits::default(), Folder::new());
    let spec = Arc::new(FunctionSpec {
        snap_start: SnapStart::Auto,
        ..layered()
    });
    world.agent.prepare(Arc::clone(&spec)).await.unwrap();
    let mut wanted = request(&spec, "1");
    wanted.cold = Some(Cold::Kind(StartKind::Forked));
    assert_eq!(
        world.try_invoke(wanted).await.unwrap().kind,
        StartKind::Forked
    );
    let mut seen = Vec::new();
    while !seen.contains(&"platform.restoreReport".to_owned()) {
        let batch = heard.recv().await.unwrap();
        let kinds: Vec<String> = batch
            .iter()
            .map(|it| it["type"].as_str().unwrap().to_owned())
            .collect();
        assert!(
            kinds.len() == 1 || kinds.iter().all(|it| !it.contains("restore")),
            "{kinds:?}"
        );
        seen.extend(kinds);
    }
    assert!(seen.contains(&"platform.restoreStart".to_owned()));
}

#[tokio::test]
async fn the_logs_api_has_its_own_events_and_lines_over_tcp() {
    let (port, mut heard) = listen();
    let (told, _answers) = mpsc::unbounded_channel();
    let body = json!({
        "types": ["platform"],
        "buffering": {"timeoutMs": 25},
        "destination": {"protocol": "TCP", "port": port},
    });
    let script = subscriber("/2020-08-15/logs", body, told);
    let world = beside(talking(), &[("listens", script)]);
    world.invoke(&Arc::new(layered()), "1").await;
    let all = until_report(&mut heard).await;
    let kinds: Vec<&str> = all.iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "platform.logsSubscription",
            "platform.extension",
            "platform.start",
            "platform.runtimeDone",
            "platform.end",
            "platform.report",
        ]
    );
}

#[tokio::test]
async fn who_cannot_subscribe_is_told_why() {
    let (told, mut answers) = mpsc::unbounded_channel();
    let elsewhere = json!({
        "schemaVersion": "2022-12-13", "types": ["platform"],
        "destination": {"protocol": "HTTP", "URI": "http://example.com:80"},
    });
    let world = beside(
        talking(),
        &[
            ("elsewhere", subscriber(TELEMETRY, elsewhere, told.clone())),
            (
                "late",
                extension(move |mut extension| {
                    let told = told.clone();
                    async move {
                        extension.register().await;
                        extension.api.next().await;
                        let body = subscription(8080).to_string();
                        let late = extension.api.call(Method::PUT, TELEMETRY, &[], body);
                        let (status, _, answer) = late.await.unwrap();
                        told.send((status, answer)).unwrap();
                        std::future::pending().await
                    }
                }),
            ),
        ],
    );
    world.invoke(&Arc::new(layered()), "1").await;
    let (status, answer) = answers.recv().await.unwrap();
    assert_eq!(
        (status, &answer["errorType"]),
        (StatusCode::BAD_REQUEST, &json!("ValidationError"))
    );
    let (status, answer) = answers.recv().await.unwrap();
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(answer["errorType"], "Telemetry.SubscriptionClosed");
}

#[tokio::test]
async fn what_a_subscriber_did_not_take_is_counted() {
    // As often as the first batch is tried.
    let (port, mut heard) = listen_after(5);
    let (told, _answers) = mpsc::unbounded_channel();
    let script = subscriber(TELEMETRY, subscription(port), told);
    let world = beside(talking(), &[("falls behind", script)]);
    world.invoke(&Arc::new(layered()), "1").await;
    let dropped = loop {
        // Another instance would have batches of its own, of which too few fail.
        world.idle().await;
        // Whatever is taken again is followed by it.
        world.invoke(&Arc::new(layered()), "2").await;
        let Ok(batch) = tokio::time::timeout(Duration::from_millis(50), heard.recv()).await else {
            continue;
        };
        let batch = batch.unwrap();
        if let Some(found) = batch.iter().find(|it| it["type"] == "platform.logsDropped") {
            break found["record"].clone();
        }
    };
    assert!(
        dropped["droppedRecords"].as_u64().unwrap() >= 1,
        "{dropped}"
    );
    assert!(dropped["droppedBytes"].as_u64().unwrap() > 100, "{dropped}");
}

/// Nobody listens where it said: nobody waits for that, and nothing grows.
#[tokio::test]
async fn a_subscriber_that_does_not_listen_costs_nobody_anything() {
    let (told, mut answers) = mpsc::unbounded_channel();
    let script = subscriber(TELEMETRY, subscription(1), told);
    let world = beside(talking(), &[("deaf", script)]);
    let spec = Arc::new(layered());
    for number in 0..20 {
        assert_eq!(
            world
                .invoke(&spec, &number.to_string())
                .await
                .function_error,
            None
        );
    }
    assert_eq!(answers.recv().await.unwrap().0, StatusCode::OK);
}
