//! Traces, received by a collector on loopback.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pilotlight_gateway::Config;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::support::*;

/// A collector that is busy at first, and then takes what it gets.
async fn collector() -> (String, mpsc::UnboundedReceiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let busy = AtomicBool::new(true);
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service_fn(|request: Request<Incoming>| {
                let status = match busy.swap(false, Ordering::Relaxed) {
                    true => StatusCode::SERVICE_UNAVAILABLE,
                    false => StatusCode::OK,
                };
                let sender = sender.clone();
                async move {
                    let path = request.uri().path().to_owned();
                    assert_eq!(request.headers()["content-type"], "application/json");
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    if status.is_success() {
                        sender
                            .send((path, serde_json::from_slice(&body).unwrap()))
                            .unwrap();
                    }
                    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
                    *response.status_mut() = status;
                    Ok::<_, Infallible>(response)
                }
            });
            let serving = hyper::server::conn::http1::Builder::new();
            // Ends when the exporter lets go of the connection.
            let _ = serving
                .serve_connection(TokioIo::new(stream), service)
                .await;
        }
    });
    (url, receiver)
}

#[tokio::test]
async fn every_invocation_becomes_a_span_with_its_phases_below() {
    let (url, mut received) = collector().await;
    let config = Config {
        otlp_endpoint: Some(url.parse().unwrap()),
        ..Config::default()
    };
    let mut stage = Stage::configured(config).await;
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    let response = stage.invoke(&[("x-amzn-trace-id", trace)], "{}").await;
    let id = response.headers()["x-amzn-requestid"].to_str().unwrap();
    // A drain sends what has been recorded.
    stage.signal_shutdown();
    stage.drained().await;
    let (path, body) = received.recv().await.unwrap();
    assert_eq!(path, "/v1/traces");
    let resource = &body["resourceSpans"][0];
    assert_eq!(
        resource["resource"]["attributes"][0]["value"]["stringValue"],
        "pilotlight"
    );
    let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
    let names: Vec<&str> = spans
        .iter()
        .map(|span| span["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["invoke", "gateway", "queue", "handler", "respond"]);
    let root = &spans[0];
    assert_eq!(root["parentSpanId"], "53995c3f42cd8ad8");
    let attribute = |key: &str| {
        let all = root["attributes"].as_array().unwrap();
        let found = all.iter().find(|it| it["key"] == key).unwrap();
        found["value"]["stringValue"].as_str().unwrap().to_owned()
    };
    assert_eq!(attribute("faas.name"), "hello");
    assert_eq!(attribute("faas.version"), "$LATEST");
    assert_eq!(attribute("faas.invocation_id"), id);
    assert_eq!(attribute("faas.instance"), "i-7");
    assert_eq!(attribute("pilotlight.start.kind"), "warm");
    assert_eq!(attribute("pilotlight.runtime"), "python3.11");

    let time = |span: &Value, key: &str| -> u64 { span[key].as_str().unwrap().parse().unwrap() };
    let mut end = time(root, "startTimeUnixNano");
    for span in &spans[1..] {
        assert_eq!(span["parentSpanId"], root["spanId"]);
        assert_eq!(time(span, "startTimeUnixNano"), end);
        end = time(span, "endTimeUnixNano");
    }
    assert_eq!(end, time(root, "endTimeUnixNano"));
    for span in spans {
        assert_eq!(span["traceId"], "5759e988bd862e3fe1be46a994272793");
        assert_eq!(span["spanId"].as_str().unwrap().len(), 16);
    }
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_is_not_there_costs_spans_and_nothing_else() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let config = Config {
        otlp_endpoint: Some(url.parse().unwrap()),
        ..Config::default()
    };
    let stage = Stage::configured(config).await;
    for _ in 0..3 {
        assert_eq!(stage.invoke(&[], "{}").await.status(), 200);
    }
    stage
        .until_metric("pilotlight_otlp_dropped_spans_total", 3.0)
        .await;
}
