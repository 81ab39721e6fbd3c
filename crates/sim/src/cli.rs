//! The command line of `pilot simulate`, apart from where it is printed to.

mod simulate;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use pilotlight_policy::Bytes;
use pilotlight_policy::policies::POLICIES;

use crate::options::{Arrivals, Cluster, Deploy, Ladder, Minute, Model, Options, Room, Ties};
use crate::profile::ClassName;

pub use simulate::{SimulateError, simulate};

const EXAMPLES: &str = "\
Examples:
  pilot simulate azure2019/ --policy fixed:10m --policy fixed:1h
  xz -dc day.csv.xz | pilot simulate - --output json | jq '.policies[].cold_by_function'
  pilot simulate invocations_per_function_md.anon.d0*.csv function_durations_percentiles.anon.d01.csv

The format of each file is found by its first line. Progress goes to standard error, the report to standard
output; the same options and seed give the same report, byte for byte.";

/// Options of `pilot simulate`. `docs/simulate.md` says what each choice means.
#[derive(Debug, Clone, Args)]
#[command(after_help = after_help())]
pub struct SimulateArgs {
    /// Files or folders of a trace; - is standard input.
    #[arg(required = true, value_name = "TRACE")]
    pub traces: Vec<PathBuf>,
    /// Policy to run, with its parameters; can be repeated. fixed:10m unless given, or for --replay the log's own.
    #[arg(long = "policy", value_name = "NAME[:PARAMS]")]
    pub policies: Vec<String>,
    /// The trace is an event log, or some that go on with each other: tell the policy what they have, and compare
    /// what it orders with what was ordered then.
    #[arg(long)]
    pub replay: bool,
    /// Write what the policy is told and orders to this file, as an event log. For one policy.
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    pub record: Option<PathBuf>,
    /// What instances there are, and how exactly time is followed.
    #[arg(long, value_enum, default_value = "single")]
    pub model: Model,
    /// Seed of all draws.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Costs of starts and rungs: a file that pilotlight-bench has written.
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Runtime of all functions; drawn by the profile's shares unless given.
    #[arg(long, value_parser = profile_class)]
    pub runtime: Option<ClassName>,
    /// Memory of an instance where the trace does not say, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 170, value_parser = clap::value_parser!(u32).range(1..))]
    pub memory: u32,
    /// Nodes of the cluster.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub nodes: u32,
    /// Memory of each node, in MiB; without limit unless given.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    pub node_memory: Option<u64>,
    /// What instances take of a node's memory: what they weigh, or all that their function may use, as on a node of ours.
    #[arg(long, value_enum, default_value = "weighed")]
    pub room: Room,
    /// Which comes first of what happens at the same moment.
    #[arg(long, value_enum, default_value = "arrivals")]
    pub ties: Ties,
    /// What a minute with several requests counts as in the share of a function.
    #[arg(long, value_enum, default_value = "one")]
    pub minute: Minute,
    /// When policies learn of functions.
    #[arg(long, value_enum, default_value = "begin")]
    pub deploy: Deploy,
    /// Nodes have no zygotes: what has no template is booted.
    #[arg(long)]
    pub no_zygotes: bool,
    /// What a function has of the ladder from its deploy on, until the policy says otherwise; as an event log says
    /// unless given, and none for other traces.
    #[arg(long, value_enum)]
    pub ladder: Option<Ladder>,
    /// When in their minute requests come (concurrent model).
    #[arg(long, value_enum, default_value = "uniform")]
    pub arrivals: Arrivals,
    /// How long a handler runs where the trace does not say, in milliseconds (concurrent model).
    #[arg(long, value_name = "MS", default_value_t = 670)]
    pub duration: u64,
    /// Requests of a function in one minute up to which each is followed (concurrent model).
    #[arg(long, value_name = "REQUESTS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub each_up_to: u32,
    /// Runs that take place at the same time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub threads: u16,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
    /// Also write a row for each policy and function to this file, as CSV.
    #[arg(long, value_name = "FILE")]
    pub by_function: Option<PathBuf>,
    /// Also write what came of the forecasts of each caller for each callee to this file, as CSV.
    #[arg(long, value_name = "FILE")]
    pub by_edge: Option<PathBuf>,
    /// No progress on standard error.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Examples, and the policies that can be named.
fn after_help() -> String {
    let mut help = format!("{EXAMPLES}\n\nPolicies:\n");
    for entry in POLICIES {
        help.push_str(&format!("  {}\n      {}\n", entry.usage, entry.summary));
    }
    help
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// A row for each policy.
    Csv,
    /// A page with plots, for a browser.
    Html,
}

impl SimulateArgs {
    /// The options as the simulation takes them.
    fn options(&self) -> Options {
        Options {
            model: self.model,
            seed: self.seed,
            memory: Bytes::mib(u64::from(self.memory)),
            runtime: self.runtime,
            cluster: Cluster {
                nodes: self.nodes,
                memory: self.node_memory.map(Bytes::mib),
            },
            room: self.room,
            ties: self.ties,
            minute: self.minute,
            deploy: self.deploy,
            zygotes: !self.no_zygotes,
            ladder: self.ladder,
            arrivals: self.arrivals,
            duration: Duration::from_millis(self.duration),
            each_up_to: self.each_up_to,
            ..Options::default()
        }
    }
}

/// The class of runtimes of that name.
pub fn profile_class(text: &str) -> Result<ClassName, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "not one of python, node, java, native".to_owned())
}
