//! Many versions with their templates parked at once: what each costs in memory, and how long it takes to make.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::Bench;
use crate::memory::{machine, private_below, weigh};
use crate::platform::{Platform, SETTLE_PATIENCE};
use crate::report::Section;
use crate::runtimes::PYTHON;
use crate::stats::Samples;

/// Deploys at the same time.
const DEPLOYERS: usize = 4;
/// What the kernel has for itself, beside processes and page cache.
const KERNEL: [&str; 4] = ["Slab", "KernelStack", "PageTables", "Percpu"];

/// Deploys, weighs, and starts the platform anew on what was deployed.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Section> {
    let count = bench.parked;
    let mut section = Section::begin(format!(
        "{count} versions with templates at once: python3.11 hello"
    ));
    let data_dir = bench.data_dir_of("parked")?;
    let platform = Platform::start(&bench.pilot, &data_dir, crate::POOLED)?;
    platform.settle()?;
    std::thread::sleep(Duration::from_secs(1));
    let before = Memory::read(&platform)?;
    let begin = Instant::now();
    let deploys = deploy(&platform, count, &bench.scratch("parked"))?;
    section.time("deploy to Active, four at a time (client)", &deploys);
    let each = begin.elapsed().as_secs_f64() * 1e3 / count as f64;
    section.figure("wall clock for each deployed version", each, "ms");
    all_parked(&platform, count)?;
    std::thread::sleep(Duration::from_secs(1));
    weights(&before, &platform, count, &mut section)?;
    drop(platform);

    let platform = Platform::start(&bench.pilot, &data_dir, crate::POOLED)?;
    let begin = Instant::now();
    all_parked(&platform, count)?;
    let each = begin.elapsed().as_secs_f64() * 1e3 / count as f64;
    section.figure(
        "after a start of the platform, for each template and spare",
        each,
        "ms",
    );
    Ok(section.end())
}

/// Distinct functions, so that no two share an image.
fn deploy(platform: &Platform, count: usize, folder: &Path) -> anyhow::Result<Samples> {
    let (next, samples) = (AtomicUsize::new(0), Mutex::new(Samples::default()));
    std::thread::scope(|scope| {
        let work = || -> anyhow::Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                let source = folder.join(number.to_string());
                std::fs::create_dir_all(&source)?;
                let code = format!("def lambda_handler(event, context):\n    return {number}\n");
                std::fs::write(source.join("lambda_function.py"), code)?;
                let begin = Instant::now();
                platform.deploy(&PYTHON, &source, &format!("parked-{number}"))?;
                let length = begin.elapsed();
                samples.lock().expect("nobody panics with it").push(length);
            }
        };
        let workers: Vec<_> = (0..DEPLOYERS).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker
                .join()
                .unwrap_or_else(|_| bail!("a deployer panicked"))?;
        }
        anyhow::Ok(())
    })?;
    samples.into_inner().context("a deployer panicked")
}

/// Waits until every version has template, spare and berth. What takes long is waited for as long as it goes on.
fn all_parked(platform: &Platform, count: usize) -> anyhow::Result<()> {
    let (mut seen, mut since) = (0, Instant::now());
    while since.elapsed() < SETTLE_PATIENCE {
        let node = platform.node()?;
        let versions = node["versions"].as_object().context("no versions")?;
        let complete = |it: &&Value| it["spares"] == 1 && it["berths"] == 1;
        let parked = versions.values().filter(complete).count();
        if parked >= count {
            return Ok(());
        }
        if parked > seen {
            (seen, since) = (parked, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("only {seen} of {count} versions came to have a template and a spare")
}

fn weights(
    before: &Memory,
    platform: &Platform,
    count: usize,
    section: &mut Section,
) -> anyhow::Result<()> {
    let after = Memory::read(platform)?;
    let each = |bytes: i64| bytes as f64 / count as f64 / 1e6;
    let node = platform.node()?;
    let sum = |key: &str| -> i64 {
        let versions = node["versions"].as_object();
        let bytes = versions.into_iter().flat_map(|all| all.values());
        bytes.filter_map(|it| it[key].as_i64()).sum()
    };
    section.figure(
        "MemAvailable, for each version",
        each(before.available - after.available),
        "MB",
    );
    for (index, key) in KERNEL.iter().enumerate() {
        let grown = after.kernel[index] - before.kernel[index];
        section.figure(
            format!("  kernel: {key}, for each version"),
            each(grown),
            "MB",
        );
    }
    let grown = after.private - before.private;
    section.figure(
        "private bytes of all processes, for each version",
        each(grown),
        "MB",
    );
    section.figure(
        "  of them the platform's own process",
        each(after.own - before.own),
        "MB",
    );
    section.figure("  of them templates", each(sum("template_bytes")), "MB");
    section.figure("  of them spares", each(sum("spare_bytes")), "MB");
    Ok(())
}

/// Memory at one moment, in bytes.
struct Memory {
    available: i64,
    kernel: [i64; KERNEL.len()],
    /// Of all processes of the platform.
    private: i64,
    /// Of its own process.
    own: i64,
}

impl Memory {
    fn read(platform: &Platform) -> anyhow::Result<Self> {
        let line = |key: &str| Some(machine(key)? as i64);
        let own = weigh(platform.pid())?.uss as i64;
        Ok(Self {
            available: line("MemAvailable").context("no MemAvailable")?,
            kernel: KERNEL.map(|key| line(key).unwrap_or(0)),
            private: own + private_below(platform.pid()) as i64,
            own,
        })
    }
}
