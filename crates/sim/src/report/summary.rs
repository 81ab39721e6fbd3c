//! What one policy's run came to, in figures.

use pilotlight_model::start::StartKind;
use serde::Serialize;

use super::Run;
use super::reliability::{TenthSummary, tenths};
use crate::outcome::{Held, Outcome, Reliability, SourceKind, Tally};

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
    /// By how much the stated confidence and the share that came true differ within a tenth of confidence, on average
    /// over forecasts.
    pub calibration_error: Option<f64>,
    /// What was stated and what came, by tenths of confidence.
    pub reliability: Vec<TenthSummary>,
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
    /// What was stated and what came, by tenths of confidence.
    pub reliability: Vec<TenthSummary>,
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

pub(super) fn wasted(outcome: &Outcome, weights: &[f64]) -> f64 {
    outcome.zygotes_mb_s + sum(outcome, weights, Held::wasted)
}

fn sum(outcome: &Outcome, weights: &[f64], of: impl Fn(&Held) -> f64) -> f64 {
    let functions = outcome.functions.iter().zip(weights);
    functions
        .map(|(function, weight)| of(&function.held) * weight)
        .sum()
}

pub(super) fn summary(run: &Run, weights: &[f64], related: f64) -> Summary {
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
    let by_source = by_source.zip(&outcome.ledger.reliability);
    let all = outcome.ledger.reliability.iter();
    let all = all.fold(Reliability::default(), Reliability::and);
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
        calibration_error: all.error(),
        reliability: tenths(&all),
        by_source: by_source
            .filter(|((_, entry), _)| entry.made > 0)
            .map(|((source, entry), reliability)| SourceSummary {
                source,
                made: entry.made,
                hit: entry.hit,
                lead_s: of(entry.lead_s, entry.hit),
                wasted_mb_s: entry.wasted_mb_s,
                reliability: tenths(reliability),
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
pub(super) fn sorted_shares(outcome: &Outcome, weights: &[f64]) -> Vec<(f64, f64)> {
    let functions = outcome.functions.iter().zip(weights);
    let mut sorted: Vec<(f64, f64)> = functions
        .filter_map(|(function, weight)| Some((function.cold_share()?, *weight)))
        .collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    sorted
}
