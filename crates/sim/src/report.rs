//! What a simulation found, as plain values; how they are printed is each format's own.

mod beside;
mod csv;
mod html;
mod json;
mod reliability;
mod summary;
mod table;

use std::time::Duration;

use serde::Serialize;

use crate::engine::facts::Facts;
use crate::options::{Arrivals, Deploy, Ladder, Minute, Model, Options, Ties};
use crate::outcome::Outcome;
use crate::profile::ClassName;
use crate::trace::Trace;

pub use beside::{Beside, beside};
pub use csv::{by_edge, by_function};
pub use reliability::TenthSummary;
pub use summary::{
    ForecastSummary, Kinds, Latencies, Memory, RunSummary, Shares, SourceSummary, Summary,
};
use summary::{sorted_shares, summary, wasted};

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
    /// The runtime of all functions; none where it is the trace's, or drawn.
    pub runtime: Option<ClassName>,
    /// What functions have of the ladder from their deploy on; none where that is the trace's.
    pub ladder: Option<Ladder>,
    /// Whether nodes have zygotes.
    pub zygotes: bool,
    /// Memory-time of the zygotes of all nodes, in MB·s; in no other figure, and the same for every policy.
    pub zygotes_mb_s: f64,
    /// Where the profile's figures come from.
    pub profile: String,
    /// The policy that wasted memory is related to.
    pub reference: String,
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
        runtime: options.runtime,
        ladder: options.ladder,
        zygotes: options.zygotes,
        zygotes_mb_s: zygotes_mb * seconds * kept,
        profile: facts.profile().source.clone(),
        reference: reference.unwrap_or_default(),
    }
}
