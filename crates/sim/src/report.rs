//! What a simulation found, as plain values; how they are printed is each format's own.

mod csv;
mod html;
mod json;
mod table;

use std::time::Duration;

use pilotlight_model::start::StartKind;
use serde::Serialize;

use crate::engine::facts::Facts;
use crate::options::{Arrivals, Deploy, Minute, Model, Options, Ties};
use crate::outcome::{Held, Outcome, SourceKind, Tally};
use crate::trace::Trace;

pub use csv::by_function;

/// One policy's run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its name with its parameters.
    pub policy: String,
    /// What was counted.
    pub outcome: Outcome,
    /// How long the run took. Not part of what is printed, which is the same each time.
    pub took: Duration,
}

/// Everything that is reported.
#[derive(Debug)]
pub struct Report {
    /// What was run.
    pub setting: Setting,
    /// By policy, in the order in which they were asked for.
    pub policies: Vec<Summary>,
    /// The runs behind it, in the same order.
    pub runs: Vec<Run>,
    /// Name and weight of each function.
    names: Vec<(String, f64)>,
}

/// What was run, and how.
#[derive(Debug, Clone, Serialize)]
pub struct Setting {
    /// Functions of the trace.
    pub functions: usize,
    /// Its requests; those of a function count as often as its weight says, which is one on average.
    pub requests: f64,
    /// Its first minute and the first after it.
    pub minutes: [u32; 2],
    /// Seed of all draws.
    pub seed: u64,
    /// The model.
    pub model: Model,
    /// Which comes first of what happens at the same moment.
    pub ties: Ties,
    /// What a minute with several requests counts as.
    pub minute: Minute,
    /// When policies learn of functions.
    pub deploy: Deploy,
    /// When in their minute requests come.
    pub arrivals: Arrivals,
    /// How long handlers run of which the trace does not say it, in milliseconds.
    pub duration_ms: f64,
    /// Requests of a function in one minute up to which each is followed.
    pub each_up_to: u32,
    /// Nodes.
    pub nodes: u32,
    /// Memory of each, in MB; none without a limit.
    pub node_memory_mb: Option<f64>,
    /// Memory of instances of which the trace does not say it, in MB.
    pub memory_mb: f64,
    /// Whether nodes have zygotes.
    pub zygotes: bool,
    /// Memory-time of the zygotes of all nodes, in MB·s; in no other figure, and the same for every policy.
    pub zygotes_mb_s: f64,
    /// Where the profile's figures come from.
    pub profile: String,
    /// The policy that wasted memory is related to.
    pub reference: String,
}

/// What came of one policy.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Its name with its parameters.
    pub policy: String,
    /// Share of a function's arrivals that paid user init, over functions.
    pub cold_by_function: Shares,
    /// Share of all requests that paid user init.
    pub cold_by_request: f64,
    /// Requests by kind of start.
    pub starts: Kinds,
    /// What requests waited for their instance.
    pub latency_ms: Latencies,
    /// Memory-time of what did not run, in MB·s.
    pub wasted_mb_s: f64,
    /// That, over that of the reference.
    pub wasted_relative: f64,
    /// Memory-time by what it was for, in MB·s.
    pub memory_mb_s: Memory,
    /// Most memory at once, in MB.
    pub peak_mb: f64,
    /// Starts that no request waited for.
    pub started_ahead: u64,
    /// What came of forecasts.
    pub forecasts: ForecastSummary,
    /// Numbers about the run.
    pub run: RunSummary,
}

/// A share over functions, each counted by its weight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Shares {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 75th percentile.
    pub p75: f64,
    /// 90th percentile.
    pub p90: f64,
}

/// Requests by kind of start, by weight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Kinds {
    /// An idle instance was there.
    pub warm: f64,
    /// A fork waited.
    pub spare: f64,
    /// From the template.
    pub forked: f64,
    /// From the zygote.
    pub zygote: f64,
    /// From nothing.
    pub booted: f64,
}

/// Waits of requests, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latencies {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
}

/// Memory-time in MB·s, by weight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Memory {
    /// Zygotes that the policy wanted, where nodes have none of their own.
    pub zygote: f64,
    /// Templates.
    pub template: f64,
    /// Spares.
    pub spare: f64,
    /// Instances that were starting or idle.
    pub idle: f64,
    /// Instances that ran.
    pub busy: f64,
}

/// What came of forecasts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ForecastSummary {
    /// How many were made, whose time is over.
    pub made: u64,
    /// The share of them in whose time a request came.
    pub precision: Option<f64>,
    /// The share of arrivals without an instance left by an earlier one that a forecast spoke of.
    pub recall: Option<f64>,
    /// From a forecast that came true to its request, on average, in seconds.
    pub lead_s: Option<f64>,
    /// Memory-time of what was made for a forecast, until a request used it, in MB·s.
    pub wasted_mb_s: f64,
    /// The same by where forecasts come from.
    pub by_source: Vec<SourceSummary>,
}

/// What came of the forecasts of one source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceSummary {
    /// Where they come from.
    pub source: SourceKind,
    /// How many were made.
    pub made: u64,
    /// How many came true.
    pub hit: u64,
    /// From forecast to request, on average, in seconds.
    pub lead_s: Option<f64>,
    /// Memory-time in vain, in MB·s.
    pub wasted_mb_s: f64,
}

/// Numbers about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RunSummary {
    /// Events that the policy was told.
    pub events: u64,
    /// Actions that it ordered.
    pub actions: u64,
    /// Actions that made no sense when they came.
    pub ignored: u64,
    /// Starts that found too little room.
    pub pressures: u64,
    /// What was left for want of room.
    pub no_room: u64,
    /// Requests that waited when the trace ended, and are in no other figure.
    pub unserved: u64,
}

impl Report {
    /// A report of the first `asked` runs; wasted memory is related to that of number `reference`.
    pub(crate) fn new(
        trace: &Trace,
        facts: &Facts,
        options: &Options,
        mut runs: Vec<Run>,
        asked: usize,
        reference: usize,
    ) -> Self {
        let weights: Vec<f64> = facts.all().iter().map(|fact| fact.weight).collect();
        let related = runs.get(reference);
        let name = related.map(|run| run.policy.clone());
        let related = related.map_or(0.0, |run| wasted(&run.outcome, &weights));
        runs.truncate(asked);
        let policies = runs
            .iter()
            .map(|run| summary(run, &weights, related))
            .collect();
        let names = trace
            .functions
            .iter()
            .map(|it| it.name.clone())
            .zip(weights)
            .collect();
        Self {
            setting: setting(trace, facts, options, name),
            policies,
            runs,
            names,
        }
    }
}

fn setting(trace: &Trace, facts: &Facts, options: &Options, reference: Option<String>) -> Setting {
    let weighted = trace.functions.iter().zip(facts.all()).zip(&trace.counts);
    let requests = weighted.map(|((_, fact), counts)| fact.weight * counts.total() as f64);
    let seconds = f64::from(trace.end - trace.begin) * 60.0;
    let zygotes_mb: f64 = facts
        .profile()
        .classes
        .values()
        .map(|it| it.memory.zygote_mb)
        .sum();
    let kept = if options.zygotes {
        f64::from(options.cluster.nodes)
    } else {
        0.0
    };
    Setting {
        functions: trace.functions.len(),
        requests: requests.sum(),
        minutes: [trace.begin, trace.end],
        seed: options.seed,
        model: options.model,
        ties: options.ties,
        minute: options.minute,
        deploy: options.deploy,
        arrivals: options.arrivals,
        duration_ms: options.duration.as_secs_f64() * 1e3,
        each_up_to: options.each_up_to,
        nodes: options.cluster.nodes,
        node_memory_mb: options
            .cluster
            .memory
            .map(|it| it.0 as f64 / f64::from(1 << 20)),
        memory_mb: options.memory.0 as f64 / f64::from(1 << 20),
        zygotes: options.zygotes,
        zygotes_mb_s: zygotes_mb * seconds * kept,
        profile: facts.profile().source.clone(),
        reference: reference.unwrap_or_default(),
    }
}

fn wasted(outcome: &Outcome, weights: &[f64]) -> f64 {
    outcome.zygotes_mb_s + sum(outcome, weights, Held::wasted)
}

fn sum(outcome: &Outcome, weights: &[f64], of: impl Fn(&Held) -> f64) -> f64 {
    let functions = outcome.functions.iter().zip(weights);
    functions
        .map(|(function, weight)| of(&function.held) * weight)
        .sum()
}

fn summary(run: &Run, weights: &[f64], related: f64) -> Summary {
    let outcome = &run.outcome;
    let kind = |kind: StartKind| -> f64 {
        let functions = outcome.functions.iter().zip(weights);
        functions
            .map(|(function, weight)| function.kinds[kind as usize] as f64 * weight)
            .sum()
    };
    let [warm, spare, forked, zygote, booted] = StartKind::ALL.map(kind);
    let requests = warm + spare + forked + zygote + booted;
    let wasted = wasted(outcome, weights);
    let Tally {
        events,
        actions,
        ignored,
        pressures,
        no_room,
        unserved,
    } = outcome.tally;
    Summary {
        policy: run.policy.clone(),
        cold_by_function: shares(outcome, weights),
        cold_by_request: if requests > 0.0 {
            (zygote + booted) / requests
        } else {
            0.0
        },
        starts: Kinds {
            warm,
            spare,
            forked,
            zygote,
            booted,
        },
        latency_ms: Latencies {
            mean: outcome.latency.mean_ms(),
            p50: outcome.latency.at(0.5),
            p90: outcome.latency.at(0.9),
            p99: outcome.latency.at(0.99),
            p999: outcome.latency.at(0.999),
        },
        wasted_mb_s: wasted,
        wasted_relative: if related > 0.0 { wasted / related } else { 0.0 },
        memory_mb_s: Memory {
            zygote: outcome.zygotes_mb_s,
            template: sum(outcome, weights, |it| it.template),
            spare: sum(outcome, weights, |it| it.spare),
            idle: sum(outcome, weights, |it| it.idle),
            busy: sum(outcome, weights, |it| it.busy),
        },
        peak_mb: outcome.peak.0 as f64 / f64::from(1 << 20),
        started_ahead: outcome.ahead,
        forecasts: forecasts(outcome),
        run: RunSummary {
            events,
            actions,
            ignored,
            pressures,
            no_room,
            unserved,
        },
    }
}

fn forecasts(outcome: &Outcome) -> ForecastSummary {
    let of = |part: f64, whole: u64| (whole > 0).then(|| part / whole as f64);
    let by_source = SourceKind::ALL.into_iter().zip(outcome.ledger.by_source);
    let made = outcome.ledger.by_source.iter().map(|it| it.made).sum();
    let hit: u64 = outcome.ledger.by_source.iter().map(|it| it.hit).sum();
    let lead: f64 = outcome.ledger.by_source.iter().map(|it| it.lead_s).sum();
    ForecastSummary {
        made,
        precision: of(hit as f64, made),
        recall: of(outcome.ledger.covered as f64, outcome.ledger.needed).filter(|_| made > 0),
        lead_s: of(lead, hit),
        wasted_mb_s: outcome
            .ledger
            .by_source
            .iter()
            .map(|it| it.wasted_mb_s)
            .sum(),
        by_source: by_source
            .filter(|(_, entry)| entry.made > 0)
            .map(|(source, entry)| SourceSummary {
                source,
                made: entry.made,
                hit: entry.hit,
                lead_s: of(entry.lead_s, entry.hit),
                wasted_mb_s: entry.wasted_mb_s,
            })
            .collect(),
    }
}

/// Cold shares over the functions that had arrivals.
fn shares(outcome: &Outcome, weights: &[f64]) -> Shares {
    let sorted = sorted_shares(outcome, weights);
    let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    if total <= 0.0 {
        return Shares::default();
    }
    let mean = sorted
        .iter()
        .map(|(share, weight)| share * weight)
        .sum::<f64>()
        / total;
    let at = |rank: f64| {
        let mut left = rank * total;
        let found = sorted.iter().find(|(_, weight)| {
            left -= weight;
            left <= total * 1e-12
        });
        found.or(sorted.last()).map_or(0.0, |(share, _)| *share)
    };
    Shares {
        mean,
        p50: at(0.5),
        p75: at(0.75),
        p90: at(0.9),
    }
}

/// Cold shares with weights, lowest first.
fn sorted_shares(outcome: &Outcome, weights: &[f64]) -> Vec<(f64, f64)> {
    let functions = outcome.functions.iter().zip(weights);
    let mut sorted: Vec<(f64, f64)> = functions
        .filter_map(|(function, weight)| Some((function.cold_share()?, *weight)))
        .collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    sorted
}
