//! A function that imports numpy and pandas in its init: what a fork of it saves, and what its instances weigh.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::Bench;
use crate::invoke::{invocation, invoke};
use crate::memory::{Program, Weight, programs, weigh};
use crate::platform::{Platform, version};
use crate::report::Section;
use crate::runtimes::PYTHON;
use crate::stats::Samples;

/// Where the packages are kept from one run to the next.
const FOLDER: &str = "target/bench/heavy";
const PIP: &str = ".venv/bin/pip";
const PACKAGES: [&str; 2] = ["numpy==2.2.6", "pandas==2.2.3"];
const SOURCE: &str = r#"
import numpy
import pandas

FRAME = pandas.DataFrame({"n": numpy.arange(1_000)})


def lambda_handler(event, context):
    if event.get("compute"):
        return int(FRAME["n"].sum())
    return [numpy.__version__, pandas.__version__]
"#;
/// What its template takes.
pub(crate) const TEMPLATE: &str = "template";
/// The interpreter's name as a process.
const PROGRAM: &str = "python3.11";
/// A berth is replaced in some milliseconds.
const BERTHS_RENEWED: Duration = Duration::from_secs(1);
const COLD: &str = "heavy-cold";
const IDLE: &str = "heavy-idle";

/// What its section is called.
pub(crate) const TITLE: &str = "heavy: python3.11 with numpy and pandas imported in init";

/// Starts, then weights.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Section> {
    let folder = packages()?;
    let mut section = Section::begin(TITLE);
    // Alone on its platform, so that its processes are told from others by their depth.
    weights(bench, &folder, &mut section)?;
    starts(bench, &folder, &mut section)?;
    Ok(section.end())
}

/// The function's folder, with its packages from PyPI.
fn packages() -> anyhow::Result<PathBuf> {
    let folder = PathBuf::from(FOLDER);
    let installed = folder.join(format!(".installed-{}", PACKAGES.join("-")));
    if !installed.exists() {
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        let status = Command::new(PIP)
            .args([
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--target",
            ])
            .arg(&folder)
            .args(PACKAGES)
            .status()
            .context("cannot run pip (make deps)")?;
        ensure!(status.success(), "pip ended with {status}");
        std::fs::write(&installed, "")?;
    }
    std::fs::write(folder.join("lambda_function.py"), SOURCE)?;
    Ok(folder)
}

fn starts(bench: &Bench, folder: &Path, section: &mut Section) -> anyhow::Result<()> {
    let platform = bench.platform("heavy-starts")?;
    platform.deploy_cold(&PYTHON, folder, COLD)?;
    let mut connection = platform.connect()?;
    let asked = [
        ("forked", "forked", "{}"),
        (
            "forked, and the handler computes",
            "forked",
            r#"{"compute": true}"#,
        ),
        ("booted", "booted", "{}"),
    ];
    let mut taken: [Samples; 3] = Default::default();
    for round in 0..=bench.samples {
        for ((_, kind, event), samples) in asked.iter().zip(&mut taken) {
            platform.settle_forks(&PYTHON, COLD)?;
            let invoked = invoke(&mut connection, &invocation(COLD, Some(kind), event))?;
            ensure!(
                invoked.kind == *kind,
                "asked for {kind}, got {}",
                invoked.kind
            );
            if round > 0 {
                samples.push(invoked.first_byte);
            }
        }
    }
    for ((name, ..), samples) in asked.iter().zip(&taken) {
        section.time(name, samples);
    }
    let ratio = section.ratio("booted", "forked")?;
    section.at_least("booted / forked", ratio, 100.0);
    Ok(())
}

fn weights(bench: &Bench, folder: &Path, section: &mut Section) -> anyhow::Result<()> {
    let platform = bench.platform("heavy-weights")?;
    platform.deploy(&PYTHON, folder, IDLE)?;
    let call = invocation(IDLE, Some("forked"), "{}");
    for _ in 0..bench.idle {
        let kind = invoke(&mut platform.connect()?, &call)?.kind;
        ensure!(kind == "forked", "asked for forked, got {kind}");
    }
    let idle = bench.idle as u64;
    platform.until("all are idle beside a spare", |node| {
        let count = |key: &str| version(node, IDLE)[key].as_u64();
        count("idle") == Some(idle) && ["spares", "berths"].map(count) == [Some(1); 2]
    })?;
    // What the first instance has taught, the berth is made anew for.
    std::thread::sleep(BERTHS_RENEWED);
    // By itself it shares with its forks all that these have not changed: the node weighed it when it had none.
    let weighed = version(&platform.node()?, IDLE)["template_bytes"].as_u64();
    section.figure(
        TEMPLATE,
        megabytes(weighed.context("no template was weighed")?),
        "MB",
    );
    let uss = weigh_kinds(&platform, section)?;
    section.at_most("USS of an idle instance, average (MB)", uss, 3.0);
    Ok(())
}

/// Zygote, template, instances with the spare among them, and the fork that waits in the berth; returns the instances' average USS in MB.
fn weigh_kinds(platform: &Platform, section: &mut Section) -> anyhow::Result<f64> {
    let all = programs(platform.pid(), PROGRAM);
    let deepest = all
        .iter()
        .map(|it| it.depth)
        .max()
        .context("no process is there")?;
    // A template that booted has no zygote above it.
    let above = ["instance", "template", "zygote"];
    let mut uss = 0.0;
    let kinds = above
        .iter()
        .enumerate()
        .map(|(up, name)| (up, *name, false));
    for (up, name, in_berth) in kinds.chain([(0, "berth", true)]) {
        // What is frozen waits for what a fork in its berth waits for, too.
        let is_of_kind =
            |it: &&Program| it.depth + up == deepest && (up > 0 || it.in_berth == in_berth);
        let mut of_kind: Vec<&Program> = all.iter().filter(is_of_kind).collect();
        if up > 0 {
            // Beside a template are forks of the zygote in their berths, which have nothing of its own yet.
            of_kind.sort_by_key(|it| std::cmp::Reverse(weigh(it.pid).map_or(0, |it| it.rss)));
            of_kind.truncate(1);
        }
        let Some(weight) = average(&of_kind) else {
            continue;
        };
        section.figure(format!("{name}: processes"), of_kind.len() as f64, "");
        for (what, bytes) in [
            ("RSS", weight.rss),
            ("PSS", weight.pss),
            ("USS", weight.uss),
        ] {
            section.figure(format!("{name}: {what}, average"), megabytes(bytes), "MB");
        }
        if name == "instance" {
            uss = megabytes(weight.uss);
        }
    }
    Ok(uss)
}

/// Of those that are there still.
fn average(programs: &[&Program]) -> Option<Weight> {
    let mut sum = Weight::default();
    let mut count = 0;
    for weight in programs.iter().filter_map(|it| weigh(it.pid).ok()) {
        count += 1;
        sum.rss += weight.rss;
        sum.pss += weight.pss;
        sum.uss += weight.uss;
    }
    (count > 0).then(|| Weight {
        rss: sum.rss / count,
        pss: sum.pss / count,
        uss: sum.uss / count,
    })
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
