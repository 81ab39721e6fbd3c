//! The command line through the binary itself: what needs no platform and no privilege.

use std::io::Write;
use std::process::{Command, Output};

fn pilot(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pilot"))
        .args(args)
        .env_clear()
        .output()
        .expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is text")
}

#[test]
fn help_shows_every_command_and_exit_code() {
    let output = pilot(&["--help"]);
    let help = text(&output.stdout);
    assert!(output.status.success());
    for word in [
        "up",
        "deploy",
        "invoke",
        "ls",
        "logs",
        "starts",
        "doctor",
        "simulate",
        "3  the function answered",
    ] {
        assert!(help.contains(word), "{word} is not in:\n{help}");
    }
}

#[test]
fn a_simulation_answers_on_standard_output_alone() {
    let trace = concat!(env!("CARGO_MANIFEST_DIR"), "/../sim/tests/data/azure2019");
    let run = |policy| pilot(&["simulate", trace, "--policy", policy, "--output", "json"]);
    let output = run("hybrid");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["setting"]["functions"], 16);
    assert_eq!(report["policies"][0]["policy"], "hybrid");
    assert!(text(&output.stderr).contains("16 functions"));
    let unknown = run("clairvoyant");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("no policy is named clairvoyant"));
}

#[test]
fn the_printed_configuration_can_be_fed_back() {
    let first = pilot(&["up", "--print-config", "--listen", "127.0.0.1:1234"]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&first.stdout).unwrap();
    let again = pilot(&[
        "up",
        "--print-config",
        "--config",
        file.path().to_str().unwrap(),
    ]);
    assert_eq!(text(&first.stdout), text(&again.stdout));
}

#[test]
fn a_wrong_configuration_is_wrong_usage() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "pool_size = 1\npoolsize = 2").unwrap();
    let output = pilot(&["up", "--config", file.path().to_str().unwrap()]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("line 2") && error.contains("poolsize"),
        "{error}"
    );

    let output = pilot(&["up", "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("access keys"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_platform_that_is_not_there_is_a_failure_that_says_so() {
    // Nothing listens on the port of a listener that is gone.
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let output = pilot(&["ls", "--endpoint", &format!("http://{gone}")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(
        text(&output.stderr).contains("pilot up"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn completions_know_the_commands() {
    let output = pilot(&["completions", "bash"]);
    assert!(text(&output.stdout).contains("starts"));
}
