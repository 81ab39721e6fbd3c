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
    let said = other.to_string();
    assert!(
        said.contains("The log has: ") && said.contains("Ordered was: "),
        "{said}"
    );
    // In words, with names, and nothing as the program writes it for itself.
    assert!(!said.contains(['{', '}', '[']), "{said}");
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

const HEAD: &str = r#"{"format":"pilotlight-events","version":1,"policy":"fixed:10m","began_ms":86390000,"began":0}"#;

fn deployed(at: u64) -> String {
    format!(
        r#"{{"event":[{at},{{"deployed":{{"version":0,"runtime":"python","memory":104857600,"keep_alive":null,"after":null,"weight":1.0}}}}]}}"#
    )
}

fn held(at: u64, rung: &str) -> String {
    format!(
        r#"{{"event":[{at},{{"held":{{"version":0,"node":0,"rung":"{rung}","memory":1048576,"took":{{"secs":0,"nanos":5}}}}}}]}}"#
    )
}

fn event(at: u64, what: &str) -> String {
    format!(r#"{{"event":[{at},{what}]}}"#)
}

const ARRIVED: &str = r#"{"arrived":{"version":0,"requests":1,"cause":null}}"#;
const S: u64 = 1_000_000_000;

/// A request that one file has the beginning of and the next the end, over midnight.
fn rotated(folder: &Path) -> [std::path::PathBuf; 2] {
    let before = [
        HEAD.to_owned(),
        r#"{"name":[0,"orders"]}"#.to_owned(),
        deployed(0),
        held(0, "template"),
        held(0, "spare"),
        event(S, ARRIVED),
        event(S, r#"{"waits":{"ticket":1,"version":0}}"#),
        r#"{"action":{"start":{"ticket":1,"node":0}}}"#.to_owned(),
        event(
            S,
            r#"{"starting":{"instance":1,"version":0,"node":0,"ticket":1}}"#,
        ),
        event(
            S,
            r#"{"started":{"instance":1,"kind":"spare","took":{"secs":0,"nanos":1000}}}"#,
        ),
        event(S, r#"{"left":1}"#),
        event(S, r#"{"busy":1}"#),
    ];
    let after = [
        r#"{"format":"pilotlight-events","version":1,"policy":"fixed:10m","began_ms":86410000,"began":20000000000,"repeats":3}"#
            .to_owned(),
        r#"{"name":[0,"orders"]}"#.to_owned(),
        deployed(20 * S),
        held(20 * S, "template"),
        event(20 * S, r#"{"idle":{"instance":1,"memory":1048576}}"#),
        event(30 * S, r#"{"gone":1}"#),
        event(30 * S, r#"{"retired":0}"#),
        event(40 * S, r#"{"deployed":{"version":0,"runtime":"python","memory":104857600,"keep_alive":null,"after":null,"weight":1.0}}"#),
        event(50 * S, ARRIVED),
    ];
    let paths = ["events", "events.1"].map(|name| folder.join(name));
    std::fs::write(&paths[1], before.join("\n")).expect("there is room");
    std::fs::write(&paths[0], after.join("\n")).expect("there is room");
    paths
}

#[test]
fn files_of_one_log_are_one_trace_in_whatever_order_they_are_given() {
    let folder = tempfile::tempdir().expect("there is room");
    let [log, before] = rotated(folder.path());
    for paths in [[log.clone(), before.clone()], [before.clone(), log.clone()]] {
        let trace = read(&paths, &mut |_| {}).expect("they are one");
        assert_eq!(trace.functions.len(), 1);
        let times: Vec<_> = trace
            .requests
            .iter()
            .map(|it| (it.at_ms, it.took_ms))
            .collect();
        // The second day goes on from the first.
        assert_eq!(times, [(86_391_000, 19_000), (86_440_000, 0)]);
        assert_eq!((trace.begin, trace.end), (1_439, 1_441));
        assert_eq!(trace.hints.len(), 2);
    }
    // What the node held by itself is there in the simulation, too: a spare serves the first request; what is
    // deleted loses its instance, and is started anew.
    let report = run(&[
        text(&before),
        text(&log),
        "--model",
        "concurrent",
        "--output",
        "json",
    ])
    .expect("it runs");
    let report: serde_json::Value = serde_json::from_str(&report).expect("it is JSON");
    let starts = &report["policies"][0]["starts"];
    assert_eq!(
        (&starts["spare"], &starts["warm"]),
        (&2.0.into(), &0.0.into()),
        "{starts}"
    );
    let bare = [
        text(&before),
        text(&log),
        "--model",
        "concurrent",
        "--output",
        "json",
        "--ladder",
        "none",
    ];
    let report: serde_json::Value =
        serde_json::from_str(&run(&bare).expect("it runs")).expect("it is JSON");
    assert_eq!(report["policies"][0]["starts"]["zygote"], 2.0);
}

#[test]
fn a_version_that_was_refused_its_template_has_none_in_a_simulation() {
    let folder = tempfile::tempdir().expect("there is room");
    let log = folder.path().join("events");
    let lines = |version: u32| {
        let head = HEAD.replace(r#""version":1"#, &format!(r#""version":{version}"#));
        [
            head,
            deployed(0),
            event(0, r#"{"refused":{"version":0,"node":0,"rung":"template"}}"#),
            event(S, ARRIVED),
        ]
        .join("\n")
    };
    std::fs::write(&log, lines(2)).expect("there is room");
    let again = folder.path().join("again");
    let simulate = [
        text(&log),
        "--model",
        "concurrent",
        "--policy",
        "pilot:node",
    ];
    let written = ["--record", text(&again), "--output", "json"];
    let report = run(&[&simulate[..], &written].concat()).expect("it runs");
    let report: serde_json::Value = serde_json::from_str(&report).expect("it is JSON");
    assert_eq!(report["policies"][0]["starts"]["zygote"], 1.0, "{report}");
    let recorded = std::fs::read_to_string(&again).expect("it was written");
    let refused = r#"{"refused":{"version":0,"node":0,"rung":"template"}}"#;
    assert!(recorded.contains(refused), "{recorded}");
    let orders_none = |line: &str| !line.contains("hold") || !line.contains("template");
    assert!(recorded.lines().all(orders_none), "{recorded}");
    run(&[text(&again), "--replay"]).expect("it is the same");
}

#[test]
fn files_of_one_log_are_replayed_as_one() {
    let folder = tempfile::tempdir().expect("there is room");
    let [log, before] = rotated(folder.path());
    let replayed = run(&[text(&log), text(&before), "--replay"]).expect("it is the same");
    assert!(replayed.contains("all as recorded"), "{replayed}");
    // Of what is said again at the beginning of the second file the policy hears once.
    assert!(
        replayed.starts_with("fixed:10m: 14 events, 1 actions"),
        "{replayed}"
    );
    // Alone, the second file is of a policy that remembers another one.
    let broken = std::fs::read_to_string(&log)
        .expect("it is there")
        .replace(r#"{"gone":1}"#, r#"{"waits":{"ticket":9,"version":0}}"#);
    std::fs::write(&log, broken).expect("there is room");
    let alone = run(&[text(&log), "--replay"])
        .expect_err("it differs")
        .to_string();
    assert!(alone.contains("goes on with another"), "{alone}");
    assert!(
        alone.contains("request 9 for orders found no idle instance"),
        "{alone}"
    );
    // Two logs that have nothing to do with each other are no one log.
    let other = folder.path().join("other");
    std::fs::write(&other, HEAD).expect("there is room");
    let apart = run(&[text(&other), text(&before), "--replay"]).expect_err("they are two");
    assert!(matches!(apart, SimulateError::Replay(_)), "{apart}");
}
