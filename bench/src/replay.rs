//! A recorded trace on a platform at sixty times its speed, beside what the simulator says of the same requests:
//! `pilot replay` under one policy after the other.

use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::Bench;
use crate::platform::{MEMORY_MB, Platform};
use crate::report::Section;

/// Policies with whether functions have templates. Without, all starts pay user init; with, what keep-alive decides
/// shows in the requests that find no idle instance.
const RUNS: [(&str, bool); 9] = [
    ("fixed:10m", true),
    ("lru", true),
    ("greedy-dual", true),
    ("cidre", true),
    ("hybrid:4h", true),
    ("rainbowcake", true),
    ("pilot:node", true),
    ("pilot:shadow", true),
    ("fixed:10m", false),
];
const SPEED: u32 = 60;
/// By how much shares may differ, relative to the live ones.
const APART: f64 = 0.1;
/// Longest 99th percentile of the time until the handler runs, over all requests, in milliseconds.
const START_P99_MS: f64 = 10.0;

/// All of them, or the policies that were asked for.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Section>> {
    let asked = bench
        .policies
        .iter()
        .map(|it| (it.as_str(), bench.templates));
    let runs: Vec<(&str, bool)> = if bench.policies.is_empty() {
        RUNS.to_vec()
    } else {
        asked.collect()
    };
    let runs = runs.into_iter().enumerate();
    runs.map(|(number, (policy, templates))| one(bench, number, policy, templates))
        .collect()
}

fn one(bench: &Bench, number: usize, policy: &str, templates: bool) -> anyhow::Result<Section> {
    let without = if templates { "" } else { ", no templates" };
    let mut section = Section::begin(format!(
        "replay at {SPEED} times its speed: {policy}{without}"
    ));
    let data_dir = bench.data_dir_of(&format!("replay-{number}"))?;
    let platform =
        Platform::start_deciding(&bench.pilot, &data_dir, &format!("{SPEED}x:{policy}"))?;
    let report = replay(bench, &platform, templates)?;
    drop(platform);
    let number = |side: &str, path: &str| report[side].pointer(path).and_then(Value::as_f64);
    for (share, name) in [("started", "no idle instance"), ("cold", "paid user init")] {
        for of in ["by_request", "by_function"] {
            let path = format!("/{share}/{of}");
            let [live, simulated] = ["live", "simulated"].map(|side| number(side, &path));
            let (live, simulated) = live.zip(simulated).context("a report without shares")?;
            let name = format!("{name}, {}", of.replace('_', " "));
            section.figure(format!("{name}, live"), live * 100.0, "%");
            section.figure(format!("{name}, simulated"), simulated * 100.0, "%");
            if live > 0.0 {
                let apart = (simulated / live - 1.0).abs();
                section.at_most(format!("{name}: |simulated / live - 1|"), apart, APART);
            }
        }
    }
    for (name, path) in [
        ("until the handler ran, p50", "/start_ms/p50"),
        ("until the handler ran, p99", "/start_ms/p99"),
        ("until the handler ran, p99.9", "/start_ms/p999"),
    ] {
        let ms = number("live", path).context("a report without times")?;
        section.figure(name, ms, "ms");
        if path.ends_with("p99") && templates {
            section.at_most(format!("{name} (ms)"), ms, START_P99_MS);
        }
    }
    let failed = number("live", "/failed").unwrap_or_default();
    section.at_most("requests that failed", failed, 0.0);
    Ok(section.end())
}

/// Runs the command and returns its report.
fn replay(bench: &Bench, platform: &Platform, templates: bool) -> anyhow::Result<Value> {
    let mut command = Command::new(&bench.pilot);
    let endpoint = format!("http://{}", platform.address());
    command
        .args(["replay", "--endpoint", &endpoint, "--output", "json"])
        .args([
            "--speed",
            &SPEED.to_string(),
            "--memory",
            &MEMORY_MB.to_string(),
        ])
        .arg(&bench.trace)
        .stderr(Stdio::null());
    if let Some(minutes) = bench.minutes {
        command.args(["--minutes", &minutes.to_string()]);
    }
    if let Some(profile) = &bench.costs {
        command.arg("--profile").arg(profile);
    }
    if !templates {
        command.arg("--without-templates");
    }
    let ended = command.output().context("cannot run pilot replay")?;
    ensure!(
        ended.status.success(),
        "pilot replay ended with {}",
        ended.status
    );
    Ok(serde_json::from_slice(&ended.stdout)?)
}
