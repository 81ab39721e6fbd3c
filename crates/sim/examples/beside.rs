//! Every policy beside `pilot` at equal memory-time: the tables of `docs/prediction.md`.
//!
//! `beside [--model single|concurrent] [--part N/OF] [--seed SEED] TRACE…`
//!
//! Each of the others is run with several parameters, `pilot` with the shadow of many keep-alives, and of those
//! runs the one with the most memory-time not above the other's stands beside it. `--part` runs the functions
//! alone whose names hash into part N of OF, so that what was seen on some can be held against others. Ends
//! with a failure where `pilot` has more cold starts or longer waits than any of them. Left out is what keeps less
//! than the shadow of 10 ms, which keeps nothing.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use pilotlight_sim::options::Cluster;
use pilotlight_sim::read::read;
use pilotlight_sim::report::{Summary, beside};
use pilotlight_sim::{Model, Options, Profile, Trace, by_names, run};

/// The others.
const OTHERS: &[&str] = &[
    "fixed:10s",
    "fixed:1m",
    "fixed:2m",
    "fixed:5m",
    "fixed:10m",
    "fixed:20m",
    "fixed:1h",
    "fixed:2h",
    "fixed:24h",
    "hybrid:1h",
    "hybrid:2h",
    "hybrid:4h",
    "hybrid:4h,least=1",
    "hybrid:4h,cv=5",
    "hybrid:4h,tail=95",
    "rainbowcake",
    "rainbowcake:quantile=0.5",
    "rainbowcake:quantile=0.95",
    "rainbowcake:most=3600s,waiting=0.9999",
];
/// Those with a budget of memory, and the budgets, as parts of what `fixed:10m` had at most.
const BY_MEMORY: &[&str] = &["lru", "lfu", "greedy-dual", "cidre"];
const PARTS: &[f64] = &[0.1, 0.25, 0.5, 0.75, 1.0, 1.5];
/// Keep-alives of the shadow, in seconds.
const SHORTEST_S: f64 = 0.01;
const LONGEST_S: f64 = 100_000.0;

/// Holds every policy against `pilot`.
#[derive(Parser)]
struct Cli {
    #[arg(required = true)]
    traces: Vec<PathBuf>,
    #[arg(long, value_enum, default_value = "single")]
    model: Model,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, value_name = "N/OF")]
    part: Option<String>,
    /// How many times the shadow's keep-alive each is the one before.
    #[arg(long, default_value_t = 1.1)]
    step: f64,
    /// Print the rows alone in which `pilot` is not at least as good.
    #[arg(long)]
    only_worse: bool,
}

fn main() -> ExitCode {
    match table(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn table(cli: &Cli) -> Result<bool, Box<dyn std::error::Error>> {
    let mut trace = read(&cli.traces, &mut |_| {})?;
    if let Some(part) = &cli.part {
        let (number, of) = part.split_once('/').ok_or("--part is N/OF")?;
        keep(&mut trace, number.parse()?, of.parse()?);
    }
    let options = Options {
        model: cli.model,
        seed: cli.seed,
        cluster: Cluster::default(),
        ..Options::default()
    };
    let report = run(
        &trace,
        &Profile::default(),
        &options,
        by_names(&names(&trace, &options, cli.step)?)?,
        2,
        &|_| {},
    )?;
    println!("{} functions, {:?}", trace.functions.len(), cli.model);
    println!(
        "| policy | memory | cold, mean | by request | wait, mean | p99 | p99.9 | `pilot` | memory | cold, mean | by request | wait, mean | p99 | p99.9 | |"
    );
    println!("|{}", "---|".repeat(15));
    let mut all = true;
    for row in beside(&report, "pilot") {
        let mut verdict = Vec::new();
        if row.ours.is_none() {
            // Under it next to nothing is kept, and under the shortest shadow as little.
            continue;
        }
        if !row.is_as_rarely_cold() {
            verdict.push("colder");
        }
        if !row.is_as_fast() {
            verdict.push("slower");
        }
        all &= verdict.is_empty();
        if cli.only_worse && verdict.is_empty() {
            continue;
        }
        println!(
            "| {} | {} | {} |",
            figures(row.other),
            row.ours.map_or_else(|| "| ".repeat(6), figures),
            verdict.join(", ")
        );
    }
    Ok(all)
}

fn figures(it: &Summary) -> String {
    format!(
        "`{}` | {:.3} | {:.2} % | {:.3} % | {:.3} ms | {:.2} ms | {:.1} ms",
        it.policy.replace("pilot:shadow,keep-alive=", ""),
        it.wasted_relative,
        it.cold_by_function.mean * 100.0,
        it.cold_by_request * 100.0,
        it.latency_ms.mean,
        it.latency_ms.p99,
        it.latency_ms.p999,
    )
}

/// What is run: budgets follow the trace.
fn names(
    trace: &Trace,
    options: &Options,
    step: f64,
) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let ten = run(
        trace,
        &Profile::default(),
        options,
        by_names(&["fixed:10m".to_owned()])?,
        1,
        &|_| {},
    )?;
    let peak = ten.policies.first().map_or(0.0, |it| it.peak_mb);
    let mut names: Vec<String> = OTHERS.iter().map(|name| (*name).to_owned()).collect();
    for part in PARTS {
        let mib = (peak * part).max(1.0) as u64;
        names.extend(BY_MEMORY.iter().map(|name| format!("{name}:{mib}MiB")));
    }
    let mut seconds = SHORTEST_S;
    while seconds < LONGEST_S {
        names.push(format!("pilot:shadow,keep-alive={:.0}ms", seconds * 1e3));
        seconds *= step.max(1.01);
    }
    names.push("pilot".to_owned());
    Ok(names)
}

/// Leaves the functions of one part alone.
fn keep(trace: &mut Trace, number: u64, of: u64) {
    let belongs = |name: &str| {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        hasher.finish() % of.max(1) == number
    };
    let functions = std::mem::take(&mut trace.functions);
    let counts = std::mem::take(&mut trace.counts);
    let kept = functions
        .into_iter()
        .zip(counts)
        .filter(|(function, _)| belongs(&function.name));
    (trace.functions, trace.counts) = kept.unzip();
}
