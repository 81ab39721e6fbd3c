//! A run that is recorded and replayed, and the log as a trace.

use std::path::Path;

use clap::Parser;
use pilotlight_sim::cli::{SimulateArgs, SimulateError, simulate};
use pilotlight_sim::read::read;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: SimulateArgs,
}

fn run(args: &[&str]) -> Result<String, SimulateError> {
    let args = ["simulate", "--quiet"].iter().chain(args);
    simulate(&Cli::try_parse_from(args).expect("they are right").args)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("it is ASCII")
}

#[test]
fn a_replay_orders_what_was_recorded() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/azure2019");
    let folder = tempfile::tempdir().expect("there is room");
    let log = folder.path().join("log.jsonl");
    for policy in [
        "fixed:10m",
        "hybrid",
        "rainbowcake",
        "greedy-dual:1GiB",
        "cidre:1GiB",
        "pilot",
    ] {
        for model in ["single", "concurrent"] {
            let args = [text(&data), "--policy", policy, "--model", model];
            let recorded = run(&[&args[..], &["--record", text(&log)]].concat()).expect("it runs");
            assert_eq!(
                recorded,
                run(&args).expect("it runs"),
                "recording changes nothing"
            );
            let replayed = run(&[text(&log), "--replay"]).expect("it is the same");
            assert!(
                replayed.starts_with(policy) && replayed.contains("all as recorded"),
                "{replayed}"
            );
        }
    }
    let other = run(&[text(&log), "--replay", "--policy", "fixed:1m"]).expect_err("it is another");
    assert!(matches!(other, SimulateError::Differs(_)), "{other}");
}

/// What is known of calls comes through: in the log, in the trace and to the policy again.
#[test]
fn causes_and_declarations_are_kept() {
    let lines = [
        r#"{"format":"pilotlight-events","version":1,"policy":"fixed","began_ms":60000,"began":1000000000}"#,
        r#"{"name":[4,"orders"]}"#,
        r#"{"event":[1000000000,{"deployed":{"version":4,"runtime":"node","memory":1048576,"keep_alive":null,"after":null,"weight":1.0}}]}"#,
        r#"{"event":[1000000000,{"deployed":{"version":7,"runtime":"node","memory":1048576,"keep_alive":null,"after":null,"weight":1.0}}]}"#,
        r#"{"event":[1000000000,{"calls":{"caller":4,"callee":7,"part":0.5,"after":null}}]}"#,
        r#"{"event":[2000000000,{"arrived":{"version":4,"requests":1,"cause":null}}]}"#,
        r#"{"event":[2500000000,{"arrived":{"version":7,"requests":1,"cause":{"version":4,"request":9,"after":{"secs":0,"nanos":500000000}}}}]}"#,
        r#"{"event":[2500000000,{"announced":{"version":4,"requests":3,"at":9000000000}}]}"#,
    ];
    let folder = tempfile::tempdir().expect("there is room");
    let [log, again] = ["log.jsonl", "again.jsonl"].map(|name| folder.path().join(name));
    std::fs::write(&log, lines.join("\n")).expect("there is room");
    let trace = read(std::slice::from_ref(&log), &mut |_| {}).expect("it is one");
    assert_eq!(
        trace
            .functions
            .iter()
            .map(|it| &*it.name)
            .collect::<Vec<_>>(),
        ["orders", "version 7"]
    );
    assert_eq!((trace.requests[1].at_ms, trace.hints.len()), (61_500, 2));
    let args = [
        text(&log),
        "--model",
        "concurrent",
        "--record",
        text(&again),
    ];
    run(&args).expect("it runs");
    let recorded = std::fs::read_to_string(&again).expect("it was written");
    for part in [
        r#"{"event":[60000000000,{"calls":{"caller":0,"callee":1,"part":0.5,"after":null}}]}"#,
        r#"{"event":[61500000000,{"arrived":{"version":1,"requests":1,"cause":{"version":0,"request":9,"after":{"secs":0,"nanos":500000000}}}}]}"#,
        r#"{"event":[61500000000,{"announced":{"version":0,"requests":3,"at":68000000000}}]}"#,
    ] {
        assert!(recorded.contains(part), "{part} is not in:\n{recorded}");
    }
}

#[test]
fn a_log_is_a_trace_of_its_own() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/azure2019");
    let folder = tempfile::tempdir().expect("there is room");
    let log = folder.path().join("log.jsonl");
    let args = ["--model", "concurrent", "--each-up-to", "10000"];
    let record = [text(&data), "--policy", "fixed:10m", "--record", text(&log)];
    run(&[&record[..], &args].concat()).expect("it runs");
    let [original, logged] =
        [&data, &log].map(|path| read(std::slice::from_ref(path), &mut |_| {}).expect("it is one"));
    assert_eq!(logged.counts, original.counts);
    assert_eq!(logged.total(), logged.requests.len() as u64);
    // Handlers ran as long as they did: what ran is the same, and so are the starts.
    let again = run(&[&[text(&log), "--output", "csv"][..], &args].concat()).expect("it runs");
    let first = run(&[&[text(&data), "--output", "csv"][..], &args].concat()).expect("it runs");
    let starts = |csv: &str| {
        csv.lines()
            .last()
            .expect("a row")
            .split(',')
            .skip(6)
            .take(5)
            .collect::<Vec<_>>()
            .join(",")
    };
    assert_eq!(starts(&again), starts(&first));
}
