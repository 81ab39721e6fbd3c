//! Pilotlight's own read API.

use http::Method;
use pilotlight_gateway::Config;
use pilotlight_model::node::{InvokeRequest, LogLine};
use pilotlight_model::start::{Instant, Timeline};
use pilotlight_model::{RequestId, StartRecord};
use serde_json::json;

use crate::support::*;

/// `(name, microseconds)` of every phase of a `Server-Timing` header.
fn timing(header: &str) -> Vec<(String, u64)> {
    header
        .split(", ")
        .filter_map(|entry| entry.split_once(";dur="))
        .map(|(name, ms)| (name.to_owned(), ms.replace('.', "").parse().unwrap()))
        .collect()
}

#[tokio::test]
async fn the_record_is_the_server_timing_plus_the_rest_of_the_response() {
    let stage = Stage::echoing().await;
    let begun = std::time::Instant::now();
    let response = stage.invoke(&[], "{}").await;
    let seen_us = begun.elapsed().as_micros() as u64;
    let shown = timing(response.headers()["server-timing"].to_str().unwrap());
    let list = stage.get_json("/pilotlight/v1/starts?function=hello").await;
    let record: StartRecord = serde_json::from_value(list["starts"][0].clone()).unwrap();

    assert_eq!(
        response.headers()["x-amzn-requestid"],
        record.request_id.to_string()
    );
    assert_eq!((record.node.as_str(), record.instance.0), ("node-1", 7));
    let names: Vec<&str> = record.phases.iter().map(|it| it.phase.as_str()).collect();
    assert_eq!(names, ["gateway", "queue", "handler", "respond"]);
    let sum: u64 = record.phases.iter().map(|it| it.us).sum();
    assert_eq!(sum, record.total_us);
    assert!(
        record.total_us <= seen_us,
        "{} > {seen_us}",
        record.total_us
    );
    for (kept, (name, us)) in record.phases.iter().zip(&shown) {
        assert_eq!(kept.phase.as_str(), name);
        match name.as_str() {
            // The header was written before the response was.
            "respond" => assert!(kept.us >= *us),
            _ => assert_eq!(kept.us, *us, "{name}"),
        }
    }
    assert_eq!(shown.len(), record.phases.len());
}

#[tokio::test]
async fn starts_are_filtered_newest_first() {
    let config = Config {
        kept_starts: 4,
        ..Config::default()
    };
    let stage = Stage::configured(config).await;
    let cold = [("x-pilotlight-cold", "true")];
    for (name, headers) in [
        ("gone", &[][..]),
        ("a", &cold),
        ("b", &[]),
        ("a", &[]),
        ("b", &cold),
    ] {
        assert_eq!(
            stage.post(&invocations(name), headers, "1").await.status(),
            200
        );
    }
    let other = "AWS4-HMAC-SHA256 Credential=000000000001/20260101/us-east-1/lambda/aws4_request";
    let starts = async |query: &str, headers: &[(&str, &str)]| {
        let path = format!("/pilotlight/v1/starts{query}");
        let response = stage.send(request(Method::GET, &path, headers, "")).await;
        assert_eq!(response.status(), 200, "{query}");
        let list: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        let record = |it: &serde_json::Value| {
            let name = it["version"]["name"].as_str().unwrap();
            let kind = it["kind"].as_str().unwrap();
            format!("{name} {kind}")
        };
        list["starts"]
            .as_array()
            .unwrap()
            .iter()
            .map(record)
            .collect::<Vec<_>>()
    };
    let all = ["b booted", "a warm", "b warm", "a booted"];
    assert_eq!(starts("", &[]).await, all);
    assert_eq!(starts("?limit=2", &[]).await, all[..2]);
    assert_eq!(starts("?function=a", &[]).await, ["a warm", "a booted"]);
    assert_eq!(starts("?function=a:$LATEST", &[]).await.len(), 2);
    assert_eq!(starts("?function=a:7", &[]).await, [""; 0]);
    assert_eq!(starts("?kind=booted&function=b", &[]).await, ["b booted"]);
    // What is asked for is counted, not what was looked at.
    assert_eq!(starts("?function=a&limit=2", &[]).await.len(), 2);
    assert_eq!(starts("?since=0", &[]).await, all);
    assert_eq!(starts("?since=99999999999999", &[]).await, [""; 0]);
    assert_eq!(starts("", &[("authorization", other)]).await, [""; 0]);
    for bad in ["?limit=x", "?kind=lukewarm", "?since=-1"] {
        let response = stage.get(&format!("/pilotlight/v1/starts{bad}")).await;
        assert_eq!(
            error(&response).1,
            "InvalidParameterValueException",
            "{bad}"
        );
    }
}

#[tokio::test]
async fn nodes_show_the_callers_versions() {
    let stage = Stage::echoing().await;
    let nodes = stage.get_json("/pilotlight/v1/nodes").await;
    assert_eq!(nodes["nodes"][0]["node"], "node-1");
    assert_eq!(nodes["nodes"][0]["slots"], 4);
    let versions = nodes["nodes"][0]["versions"].as_object().unwrap();
    let arns: Vec<_> = versions.keys().collect();
    assert_eq!(
        arns,
        ["arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST"]
    );
    assert_eq!(
        versions.values().next().unwrap(),
        &json!({
            "busy": 1, "idle": 2, "starting": 3, "spares": 1, "berths": 1, "rung": "idle",
            "template_bytes": 2 << 20, "spare_bytes": 1 << 20, "refusal": null,
            "provisioned": {
                "wanted": 5, "allocated": 3, "available": 2, "trouble": null,
                "usage": { "invocations": 0, "spillovers": 0, "idle_gb_seconds": 0.0 },
            },
        })
    );
}

fn line(position: u64) -> LogLine {
    LogLine {
        position,
        at_ms: position * 10,
        stream: "s".to_owned(),
        message: format!("line {position}"),
    }
}

#[tokio::test]
async fn logs_are_read_from_a_position_on() {
    let stage = Stage::echoing().await;
    *stage.fakes.logs.lock() = (1..=5).map(line).collect();
    let all = stage.get_json("/pilotlight/v1/logs?function=hello").await;
    assert_eq!(all["lines"].as_array().unwrap().len(), 5);
    assert_eq!(all["next"], 5);
    let some = stage
        .get_json("/pilotlight/v1/logs?log_group=%2Faws%2Flambda%2Fhello&position=2&limit=2")
        .await;
    assert_eq!(
        some,
        json!({"log_group": "/aws/lambda/hello", "lines": [
            {"position": 3, "at_ms": 30, "stream": "s", "message": "line 3"},
            {"position": 4, "at_ms": 40, "stream": "s", "message": "line 4"},
        ], "next": 4})
    );
    let none = json!({"log_group": "/aws/lambda/hello", "lines": [], "next": 5});
    let path = "/pilotlight/v1/logs?function=hello&position=5";
    assert_eq!(stage.get_json(path).await, none);
    let path = "/pilotlight/v1/logs?function=hello&limit=1&since=40";
    let new = stage.get_json(path).await;
    assert_eq!(
        (&new["lines"][0]["position"], &new["next"]),
        (&json!(4), &json!(4))
    );
    let path = "/pilotlight/v1/logs?function=hello&limit=1&since=51";
    assert_eq!(stage.get_json(path).await, none);
    let missing = stage.get_json("/pilotlight/v1/logs?function=missing").await;
    assert_eq!(
        missing,
        json!({"log_group": "/aws/lambda/missing", "lines": [], "next": 0})
    );
    // A position of another group is none of this one.
    let path = "/pilotlight/v1/logs?function=hello&position=4&position_in=former&limit=1";
    assert_eq!(stage.get_json(path).await["next"], 1);
    let neither = stage.get("/pilotlight/v1/logs").await;
    assert_eq!(error(&neither).1, "InvalidParameterValueException");
}

#[tokio::test]
async fn of_a_shared_group_a_function_has_its_own_lines() {
    let stage = Stage::echoing().await;
    let written = |(position, function): (u64, &str)| LogLine {
        stream: format!("2026/03/04/{function}[$LATEST]0123456789abcdef"),
        ..line(position)
    };
    let writers = [(1, "sharing"), (2, "other"), (3, "sharing")];
    *stage.fakes.logs.lock() = writers.into_iter().map(written).collect();
    let functions = async |query: &str| {
        let path = format!("/pilotlight/v1/logs?{query}");
        let page = stage.get_json(&path).await;
        let lines = page["lines"].as_array().unwrap().iter();
        let of = lines.map(|line| line["function"].as_str().unwrap().to_owned());
        (page["log_group"].clone(), of.collect::<Vec<_>>())
    };
    assert_eq!(
        functions("function=sharing").await,
        (json!("shared"), vec!["sharing".to_owned(); 2])
    );
    let (_, all) = functions("log_group=shared").await;
    assert_eq!(all, writers.map(|(_, function)| function));
}

#[tokio::test]
async fn logs_are_waited_for() {
    let stage = Stage::echoing().await;
    let mut client = stage.connect().await;
    let path = "/pilotlight/v1/logs?function=hello&wait=20";
    let waiting =
        tokio::spawn(async move { client.send(request(Method::GET, path, &[], "")).await });
    // Answered by another connection meanwhile.
    assert_eq!(stage.get("/pilotlight/v1/health").await.status(), 200);
    assert!(!waiting.is_finished());
    stage.fakes.logs.lock().push(line(1));
    let found: serde_json::Value = serde_json::from_slice(waiting.await.unwrap().body()).unwrap();
    assert_eq!(found["next"], 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_logs_ends() {
    let stage = Stage::echoing().await;
    let begun = tokio::time::Instant::now();
    let found = stage
        .get_json("/pilotlight/v1/logs?function=hello&wait=3600")
        .await;
    assert_eq!(
        found,
        json!({"log_group": "/aws/lambda/hello", "lines": [], "next": 0})
    );
    assert!((20..30).contains(&begun.elapsed().as_secs()));
}

#[tokio::test]
async fn metrics_are_openmetrics_with_bounded_labels() {
    let config = Config {
        metric_functions: 2,
        ..Config::default()
    };
    let stage = Stage::configured(config).await;
    for name in ["a", "b", "c", "d", "a"] {
        stage.post(&invocations(name), &[], "1").await;
    }
    let response = stage.get("/metrics").await;
    let kind = response.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"));
    let text = std::str::from_utf8(response.body()).unwrap();
    assert!(text.ends_with("# EOF\n"));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("pilotlight_"), "{line}");
        value.parse::<f64>().unwrap();
    }
    for wanted in [
        "pilotlight_invocations_total{function=\"a\",kind=\"warm\",outcome=\"ok\"} 2",
        "pilotlight_invocations_total{function=\"_other\",kind=\"warm\",outcome=\"ok\"} 2",
        "pilotlight_start_phase_seconds_count{phase=\"handler\",kind=\"warm\"} 5",
        "pilotlight_start_phase_seconds_count{phase=\"spawn\",kind=\"warm\"} 0",
        "pilotlight_invoke_seconds_count{kind=\"warm\"} 5",
        "pilotlight_node_slots 4",
        "pilotlight_node_versions{rung=\"idle\"} 2",
        "pilotlight_node_versions{rung=\"template\"} 0",
        "pilotlight_node_rung_bytes{rung=\"spare\"} 2097152",
        "pilotlight_node_rung_bytes{rung=\"template\"} 4194304",
        "pilotlight_node_rung_bytes{rung=\"zygote\"} 9437184",
        "pilotlight_node_forks_total 6",
        "pilotlight_node_fork_seconds_total 0.012",
        "pilotlight_node_refusals_total{reason=\"open_connection\"} 2",
        "pilotlight_node_given_up_total{rung=\"spare\"} 3",
        "pilotlight_node_capacity_bytes 1073741824",
        "pilotlight_node_instances{state=\"idle\"} 4",
        "pilotlight_node_dropped_log_lines_total 5",
        "pilotlight_node_dropped_events_total 7",
        "pilotlight_policy_forecasts_total 9",
        "pilotlight_policy_forecast_hits_total 6",
        "pilotlight_policy_forecast_misses_total 2",
        "pilotlight_policy_forecast_wasted_mb_seconds_total 1.5",
        "pilotlight_policy_calls_total 8",
        "pilotlight_policy_call_forecasts_total 5",
        "pilotlight_policy_call_forecast_hits_total 4",
        "pilotlight_policy_call_forecast_lead_seconds_total 2.5",
        "pilotlight_policy_call_forecast_wasted_mb_seconds_total 0.5",
        "pilotlight_node_provisioned_instances{state=\"idle\"} 4",
        "pilotlight_node_provisioned_instances{state=\"busy\"} 2",
        "pilotlight_node_provisioned_instances{state=\"missing\"} 4",
        "pilotlight_provisioned_concurrency_invocations_total 7",
        "pilotlight_provisioned_concurrency_spillover_invocations_total 1",
        "pilotlight_provisioned_concurrency_idle_gb_seconds_total 1.5",
        "pilotlight_other_total 0",
    ] {
        assert!(text.lines().any(|line| line == wanted), "{wanted}\n{text}");
    }
    assert!(!text.contains("function=\"c\""));
}

#[tokio::test]
async fn why_asks_the_node_of_the_versions_that_a_name_means() {
    let stage = Stage::echoing().await;
    let of = async |name: &str| {
        let path = format!("/pilotlight/v1/why?function={name}");
        let why = stage.get_json(&path).await;
        let versions = why["versions"].as_array().unwrap().clone();
        assert!(
            versions
                .iter()
                .all(|it| it["policy"] == "fixed" && it["warm"] == 3)
        );
        let told = |it: &serde_json::Value| {
            let arn = it["version"].as_str().unwrap();
            let of = arn.split_once(":function:").unwrap().1.to_owned();
            (of, it["weight"].as_f64().unwrap())
        };
        versions.iter().map(told).collect::<Vec<_>>()
    };
    let whole = |of: &str, weight| (of.to_owned(), weight);
    assert_eq!(of("hello").await, [whole("hello:$LATEST", 1.0)]);
    assert_eq!(
        of("split:live").await,
        [whole("split:1", 0.8), whole("split:2", 0.2)]
    );
    for (path, status) in [
        ("/pilotlight/v1/why", 400),
        ("/pilotlight/v1/why?function=no%20name", 400),
        ("/pilotlight/v1/why?function=missing", 404),
    ] {
        assert_eq!(stage.get(path).await.status(), status, "{path}");
    }
}

#[tokio::test]
async fn calls_are_asked_for_in_pages_of_the_callers_own() {
    let stage = Stage::echoing().await;
    for (query, wanted) in [
        ("", "function: None, from: 0, limit: 100 }"),
        (
            "?function=&from=7&limit=5000",
            "function: None, from: 7, limit: 1000 }",
        ),
        (
            "?function=hello:live&limit=0",
            r#"function: Some(FunctionName("hello")), from: 0, limit: 1 }"#,
        ),
    ] {
        let answer = stage
            .get_json(&format!("/pilotlight/v1/calls{query}"))
            .await;
        let asked = answer["policy"].as_str().unwrap();
        assert!(asked.ends_with(wanted), "{query}: {asked}");
        assert!(asked.contains("us-east-1"), "{asked}");
        assert_eq!(answer["calls"], serde_json::json!([]));
    }
    for query in ["function=no%20name", "from=x", "limit=-1"] {
        let path = format!("/pilotlight/v1/calls?{query}");
        assert_eq!(stage.get(&path).await.status(), 400, "{path}");
    }
}

#[tokio::test]
async fn what_others_invoke_is_recorded_too() {
    let stage = Stage::echoing().await;
    let (account, region) = Default::default();
    let request = InvokeRequest {
        spec: spec(&account, &region, &"queued".parse().unwrap()),
        request_id: RequestId::new(),
        invoked_arn: "arn".to_owned(),
        payload: "1".into(),
        client_context: None,
        trace_id: "Root=1-5759e988-bd862e3fe1be46a994272793".to_owned(),
        cause: None,
        log_tail: false,
        cold: Some(pilotlight_model::start::Cold::Best),
        stream: None,
        timeline: Timeline::begin(Instant(0)),
        at_ms: 1,
    };
    let id = request.request_id.to_string();
    stage.node.invoke(request).await.unwrap();
    let list = stage.get_json("/pilotlight/v1/starts").await;
    assert_eq!(list["starts"][0]["request_id"], id);
    assert_eq!(list["starts"][0]["kind"], "booted");
    let text = stage.get("/metrics").await;
    let text = std::str::from_utf8(text.body()).unwrap();
    let wanted =
        "pilotlight_invocations_total{function=\"queued\",kind=\"booted\",outcome=\"ok\"} 1";
    assert!(text.lines().any(|line| line == wanted), "{text}");
}
