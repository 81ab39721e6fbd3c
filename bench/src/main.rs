//! `make bench`: our booted cold start and warm call beside `runc run`, a bare process and nginx, all
//! in one run, taken in turn so that a noisy machine is noisy for everyone.
#![forbid(unsafe_code)]

mod http;
mod load;
mod nginx;
mod platform;
mod rivals;
mod stats;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;

use crate::http::{Answer, Connection, request};
use crate::platform::Platform;
use crate::rivals::{RootFs, bare_python};
use crate::stats::{Machine, Ratio, Report, Row, Samples, load_average};

const INVOKE: &str = "/2015-03-31/functions/hello/invocations";
/// Slots that wait in the pool; the cold starts of this benchmark come one at a time.
const POOLED: u64 = 4;

/// Measures Pilotlight side by side with runc, a bare process and nginx.
#[derive(Debug, Parser)]
struct Args {
    /// The `pilot` binary under test (a release build).
    #[arg(long, default_value = "target/release/pilot")]
    pilot: PathBuf,
    /// Folder with the function to deploy.
    #[arg(long, default_value = "examples/hello-python")]
    function: PathBuf,
    /// Data directory with runtime images to reuse; without it, images are built first.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Cold starts of each kind.
    #[arg(long, default_value_t = 100)]
    cold: usize,
    /// Warm calls.
    #[arg(long, default_value_t = 2_000)]
    warm: usize,
    /// Seconds of load on each server.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// What our Python bootstrap imports, for the bare process.
    #[arg(long, default_value = "import builtins, gc, posix, sys, time, _json")]
    imports: String,
    /// Where the JSON report goes.
    #[arg(long, default_value = "bench/results/latest.json")]
    out: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut machine = Machine::read();
    let scratch = tempfile::tempdir()?;
    let data_dir = args
        .data_dir
        .clone()
        .unwrap_or_else(|| scratch.path().join("data"));

    let mut rows = cold_starts(&args, &data_dir, scratch.path())?;
    rows.extend(unpooled_starts(&args, &data_dir)?);
    let platform = Platform::start(&args.pilot, &data_dir, POOLED)?;
    platform.deploy(&args.function, "hello")?;
    rows.extend(warm_calls(&platform, args.warm)?);
    let throughput = throughput(&platform, scratch.path(), Duration::from_secs(args.seconds))?;
    drop(platform);

    machine.load_after = load_average();
    let ratios = ratios(&rows)?;
    let report = Report {
        machine,
        rows,
        throughput,
        ratios,
    };
    report.print();
    if let Some(parent) = args.out.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&args.out, serde_json::to_vec_pretty(&report)?)?;
    eprintln!("\nsaved as {}", args.out.display());
    Ok(())
}

const COLD: &str = "pilotlight, booted cold start (client)";
const RUNC: &str = "runc run, same root and program, one answer";
const BARE_LEAN: &str = "bare python3 -S -s -P with the bootstrap's imports";
const BARE: &str = "bare python3 with the bootstrap's imports";
const UNPOOLED: &str = "pilotlight, booted cold start, no slots pooled";
const WARM: &str = "pilotlight, warm call (client)";
const OVERHEAD: &str = "pilotlight, warm call less handler";

/// Ours, runc's and the bare process's, in turn.
fn cold_starts(
    args: &Args,
    data_dir: &std::path::Path,
    scratch: &std::path::Path,
) -> anyhow::Result<Vec<Row>> {
    let platform = Platform::start(&args.pilot, data_dir, POOLED)?;
    platform.deploy(&args.function, "hello")?;
    let code = std::path::absolute(&args.function)?;
    let rootfs = RootFs::mount(platform.data_dir(), &code, scratch)?;
    let mut connection = Connection::open(platform.address())?;
    let cold = request("POST", INVOKE, &[("X-Pilotlight-Cold", "booted")], b"{}");
    let (mut ours, mut runc, mut lean, mut bare) =
        <(Samples, Samples, Samples, Samples)>::default();
    for round in 0..=args.cold {
        platform.settle()?;
        let answer = checked(connection.call(&cold)?)?;
        platform.settle()?;
        let runc_time = rootfs.runc(&format!("pilotlight-bench-{}-{round}", std::process::id()))?;
        let lean_time = bare_python(&["-S", "-s", "-P"], &args.imports)?;
        let bare_time = bare_python(&[], &args.imports)?;
        // The first round fills caches for all of them.
        if round > 0 {
            ours.push(answer.first_byte);
            runc.push(runc_time);
            lean.push(lean_time);
            bare.push(bare_time);
        }
    }
    let named = [
        (COLD, &ours),
        (RUNC, &runc),
        (BARE_LEAN, &lean),
        (BARE, &bare),
    ];
    Ok(named
        .iter()
        .filter_map(|(name, samples)| samples.summary(name))
        .collect())
}

/// The same start when every slot has to be built on the way.
fn unpooled_starts(args: &Args, data_dir: &std::path::Path) -> anyhow::Result<Option<Row>> {
    let platform = Platform::start(&args.pilot, data_dir, 0)?;
    platform.deploy(&args.function, "hello")?;
    let mut connection = Connection::open(platform.address())?;
    let cold = request("POST", INVOKE, &[("X-Pilotlight-Cold", "booted")], b"{}");
    let mut samples = Samples::default();
    for _ in 0..args.cold {
        samples.push(checked(connection.call(&cold)?)?.first_byte);
    }
    Ok(samples.summary(UNPOOLED))
}

/// Calls of a warm instance, one at a time on one connection; the platform's own part is what the
/// client saw less what the handler ran, as Server-Timing tells it.
fn warm_calls(platform: &Platform, calls: usize) -> anyhow::Result<Vec<Row>> {
    let mut connection = Connection::open(platform.address())?;
    let call = request("POST", INVOKE, &[], b"{}");
    let (mut total, mut overhead) = <(Samples, Samples)>::default();
    for round in 0..calls + calls / 10 {
        let answer = checked(connection.call(&call)?)?;
        let handler = handler_time(&answer).context("no handler phase in Server-Timing")?;
        if round >= calls / 10 {
            total.push(answer.first_byte);
            overhead.push(answer.first_byte.saturating_sub(handler));
        }
    }
    Ok([(WARM, total), (OVERHEAD, overhead)]
        .iter()
        .filter_map(|(name, samples)| samples.summary(name))
        .collect())
}

fn throughput(
    platform: &Platform,
    scratch: &std::path::Path,
    length: Duration,
) -> anyhow::Result<Vec<stats::Throughput>> {
    const CONNECTIONS: usize = 32;
    let nginx = nginx::Nginx::start(&scratch.join("nginx"), "{\"message\": \"hello\"}")?;
    let call = request("POST", INVOKE, &[], b"{}");
    let page = request("GET", "/", &[], b"");
    // Grows the instances before counting.
    load::run(
        "warm-up",
        platform.address(),
        &call,
        CONNECTIONS,
        Duration::from_secs(1),
    )?;
    let ours = load::run(
        "pilotlight, warm hello",
        platform.address(),
        &call,
        CONNECTIONS,
        length,
    )?;
    let theirs = load::run(
        "nginx, static answer",
        nginx.address(),
        &page,
        CONNECTIONS,
        length,
    )?;
    Ok(vec![ours, theirs])
}

fn ratios(rows: &[Row]) -> anyhow::Result<Vec<Ratio>> {
    let p50 = |name: &str| {
        rows.iter()
            .find(|row| row.name == name)
            .map(|row| row.p50_ms)
            .context("missing row")
    };
    let ratio = |name: &str, value: f64, goal, met| Ratio {
        name: name.to_owned(),
        value,
        goal,
        met,
    };
    let to_lean = p50(COLD)? / p50(BARE_LEAN)?;
    let to_bare = p50(COLD)? / p50(BARE)?;
    let to_runc = p50(RUNC)? / p50(COLD)?;
    let unpooled = p50(UNPOOLED)? / p50(COLD)?;
    let overhead = p50(OVERHEAD)?;
    Ok(vec![
        ratio(
            "cold start / bare python3",
            to_bare,
            "at most 1.5",
            to_bare <= 1.5,
        ),
        ratio(
            "cold start / bare python3 -S -s -P",
            to_lean,
            "at most 1.5",
            to_lean <= 1.5,
        ),
        ratio("runc run / cold start", to_runc, "above 1", to_runc > 1.0),
        ratio(
            "unpooled / pooled cold start",
            unpooled,
            "above 1",
            unpooled > 1.0,
        ),
        ratio(
            "warm overhead p50 (ms)",
            overhead,
            "below 0.5",
            overhead < 0.5,
        ),
    ])
}

fn checked(answer: Answer) -> anyhow::Result<Answer> {
    ensure!(
        answer.status == 200 && answer.header("x-amz-function-error").is_none(),
        "the function answered {}: {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    Ok(answer)
}

/// `handler;dur=0.123` of the Server-Timing header.
fn handler_time(answer: &Answer) -> Option<Duration> {
    let entry = answer
        .header("server-timing")?
        .split(',')
        .find(|entry| entry.trim().starts_with("handler;"))?;
    let milliseconds: f64 = entry
        .split("dur=")
        .nth(1)?
        .split(';')
        .next()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs_f64(milliseconds / 1e3))
}
