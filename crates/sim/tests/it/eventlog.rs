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
