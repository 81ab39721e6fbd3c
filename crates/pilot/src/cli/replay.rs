//! Options of `pilot replay`.

use std::path::PathBuf;

use clap::Args;
use pilotlight_sim::cli::profile_class;
use pilotlight_sim::options::Arrivals;
use pilotlight_sim::profile::ClassName;

use super::{Format, Target};

/// Options of `pilot replay`. `docs/simulate.md` says what is compared and how.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilot replay azure2019/                        a day in 24 minutes
  pilot replay azure2019/ --minutes 60 --without-templates --output json | jq .differs

The platform's policy has to run at the speed of the replay, for which its configuration names it so:
  [policy]
  name = \"60x:fixed:10m\"

For each function of the trace that is called one is made, named replay-00001 and so on, and deleted at the end.")]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Files or folders of a trace, as `pilot simulate` reads them.
    #[arg(required = true, value_name = "TRACE")]
    pub(crate) traces: Vec<PathBuf>,
    /// How many times faster than in the trace requests come and handlers run.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) speed: u32,
    /// Minutes of the trace to replay, from its beginning; all of them unless given.
    #[arg(long)]
    pub(crate) minutes: Option<u32>,
    /// Requests of one function in one minute of the trace at most; the others are left out, and counted.
    #[arg(long, value_name = "REQUESTS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) most: u32,
    /// Functions run without templates (SnapStart None), so that each start pays user init.
    #[arg(long)]
    pub(crate) without_templates: bool,
    /// What all functions run on, python or node; drawn by the profile's shares unless given, Python for the others.
    #[arg(long, value_parser = profile_class)]
    pub(crate) runtime: Option<ClassName>,
    /// Memory of all functions in MiB; as in the trace unless given, but at least 128.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(128..=10_240))]
    pub(crate) memory: Option<u32>,
    /// When in their minute requests come.
    #[arg(long, value_enum, default_value = "uniform")]
    pub(crate) arrivals: Arrivals,
    /// How long a handler runs where the trace does not say, in milliseconds of the trace.
    #[arg(long, value_name = "MS", default_value_t = 670)]
    pub(crate) duration: u64,
    /// Seed of all draws.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Costs of starts for the simulation: a file that pilotlight-bench has written.
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}
