//! Many first requests of one version in the same moment, and what another function's callers notice of it.

use std::path::Path;
use std::process::Command;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::Bench;
use crate::http::Connection;
use crate::invoke::{invocation, invoke};
use crate::platform::Platform;
use crate::report::Section;
use crate::runtimes::PYTHON;
use crate::stats::Samples;

const BURST: &str = "burst";
const OTHER: &str = "other";
/// Between two calls of the other function: its clients are not a load.
const PAUSE: Duration = Duration::from_millis(1);

/// What one burst came to.
#[derive(Default)]
struct Burst {
    answers: Samples,
    kinds: Vec<String>,
    failed: usize,
    length: Duration,
}

/// Bursts of requests that each have to be a start, and bursts of such as may find an instance that has just
/// answered another.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Section> {
    let mut section = Section::begin(format!(
        "burst of {} first requests: python3.11 hello",
        bench.burst
    ));
    let platform = bench.platform("burst")?;
    platform.deploy(&PYTHON, Path::new(PYTHON.hello), OTHER)?;
    platform.deploy_cold(&PYTHON, Path::new(PYTHON.hello), BURST)?;
    let before = while_running(&platform, || {
        std::thread::sleep(bench.load);
        Ok(())
    })?;
    section.time("other function, warm, before", &before.1);
    let warm_p99 = section.row("other function, warm, before")?.p99_ms;
    let beside = while_running(&platform, || make_namespaces(bench.load))?;
    let name = "other function, warm, beside two loops of unshare(1)";
    section.time(name, &beside.1);
    let beside_p99 = section.row(name)?.p99_ms;
    section.figure(
        "other's warm p99, beside unshare / before",
        beside_p99 / warm_p99,
        "",
    );

    for (name, cold) in [
        ("each a start of its own", Some("true")),
        ("as they come", None),
    ] {
        let (mut answers, mut during) = <(Samples, Samples)>::default();
        let (mut failed, mut kinds, mut per_second) = (0, Vec::new(), Vec::new());
        for _ in 0..bench.bursts {
            platform.settle_forks(&PYTHON, BURST)?;
            let (burst, other) = while_running(&platform, || fire(bench, &platform, cold))?;
            per_second.push((bench.burst - burst.failed) as f64 / burst.length.as_secs_f64());
            failed += burst.failed;
            kinds.extend(burst.kinds);
            answers.append(burst.answers);
            during.append(other);
        }
        let other = format!("other function, warm, during: {name}");
        section.time(format!("answer of the burst: {name}"), &answers);
        section.time(&other, &during);
        per_second.sort_by(f64::total_cmp);
        let median = per_second[per_second.len() / 2];
        section.figure(
            format!("answers per second, median of bursts: {name}"),
            median,
            "",
        );
        for kind in ["warm", "spare", "forked", "zygote", "booted"] {
            let count = kinds.iter().filter(|it| *it == kind).count();
            if count > 0 {
                section.figure(format!("{kind}: {name}"), count as f64, "requests");
            }
        }
        let during = section.row(&other)?.p99_ms;
        section.at_most(format!("requests that failed: {name}"), failed as f64, 0.0);
        if cold.is_some() {
            section.at_least("starts per second", median, 200.0);
        }
        section.at_most(
            format!("other's warm p99, during / before: {name}"),
            during / warm_p99,
            3.0,
        );
    }
    Ok(section.end())
}

/// What the kernel takes for the namespaces of starts alone, without any of ours: two at a time, for so long.
fn make_namespaces(length: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + length;
    let make = || -> anyhow::Result<()> {
        while Instant::now() < end {
            let made = Command::new("unshare")
                .args(["--net", "--mount", "--pid", "--fork", "true"])
                .status()
                .context("unshare")?;
            anyhow::ensure!(made.success(), "unshare: {made}");
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let loops = [scope.spawn(make), scope.spawn(make)];
        for made in loops {
            made.join()
                .unwrap_or_else(|_| anyhow::bail!("a loop panicked"))?;
        }
        Ok(())
    })
}

/// All requests at the same moment, each on a connection that is open already.
fn fire(bench: &Bench, platform: &Platform, cold: Option<&str>) -> anyhow::Result<Burst> {
    let call = invocation(BURST, cold, "{}");
    let mut connections = Vec::new();
    for _ in 0..bench.burst {
        connections.push(platform.connect()?);
    }
    let barrier = Barrier::new(bench.burst + 1);
    let mut burst = Burst::default();
    std::thread::scope(|scope| {
        let send = |mut connection: Connection| {
            barrier.wait();
            (invoke(&mut connection, &call), Instant::now())
        };
        let threads: Vec<_> = connections
            .into_iter()
            .map(|connection| scope.spawn(move || send(connection)))
            .collect();
        barrier.wait();
        let begin = Instant::now();
        for thread in threads {
            let (invoked, end) = match thread.join() {
                Ok((Ok(invoked), end)) => (invoked, end),
                Ok((Err(error), _)) => {
                    eprintln!("a request of the burst failed: {error:#}");
                    burst.failed += 1;
                    continue;
                }
                Err(panic) => std::panic::resume_unwind(panic),
            };
            burst.answers.push(invoked.first_byte);
            burst.kinds.push(invoked.kind);
            burst.length = burst.length.max(end.saturating_duration_since(begin));
        }
    });
    Ok(burst)
}

/// Calls the other function for as long as `work` takes; returns what that came to, and the calls' times.
fn while_running<T>(
    platform: &Platform,
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<(T, Samples)> {
    let call = invocation(OTHER, None, "{}");
    let mut connection = platform.connect()?;
    // There is an instance, and it has served.
    for _ in 0..100 {
        invoke(&mut connection, &call)?;
    }
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let calling = scope.spawn(|| -> anyhow::Result<Samples> {
            let mut samples = Samples::default();
            while !over.load(Ordering::Relaxed) {
                samples.push(invoke(&mut connection, &call)?.first_byte);
                std::thread::sleep(PAUSE);
            }
            Ok(samples)
        });
        let worked = work();
        over.store(true, Ordering::Relaxed);
        let samples = calling
            .join()
            .unwrap_or_else(|_| anyhow::bail!("the caller panicked"))?;
        Ok((worked?, samples))
    })
}
