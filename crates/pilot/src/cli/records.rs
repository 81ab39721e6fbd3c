//! Options of the commands that show what has happened: logs, events, dead letters and starts.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use pilotlight_model::{FunctionName, StartKind};

use super::values::{age, start_kind};
use super::{Format, Target};

/// Options of `pilot logs`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilot logs -f word-stats --since 10m
  pilot logs --log-group /my/group               lines of all functions that write there, with their names")]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Function: name, name:qualifier or ARN. Its lines are shown, in the log group that it has now.
    #[arg(required_unless_present = "log_group")]
    pub(crate) function: Option<String>,
    /// Log group to read instead, such as one that a function had before.
    #[arg(long, value_name = "GROUP", conflicts_with = "function")]
    pub(crate) log_group: Option<String>,
    /// Go on printing as lines come, until Ctrl-C.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only lines not older than this, such as 90s, 10m, 2h or 1d.
    #[arg(long, value_parser = age, value_name = "AGE")]
    pub(crate) since: Option<Duration>,
    /// How to print: lines as they were written, or one JSON object per line.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// Options of `pilot events`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilot events                                   what waits, when it is tried next, and why it was not done
  pilot events word-stats --output json")]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Function name; all functions unless given.
    pub(crate) function: Option<FunctionName>,
    /// Most events, and most messages on their way, that are shown; those due first.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// Options of `pilot dead-letters`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilot dead-letters                             the files, named by their queue, topic, bus or bucket
  pilot dead-letters my-queue | jq -r .Body      the newest messages for my-queue, oldest first")]
pub(crate) struct DeadLettersArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Name of the queue, topic, bus, bucket or function that the messages are for.
    pub(crate) name: Option<String>,
    /// Newest messages to print.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// How to print the list of files; messages are one JSON object per line.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// Options of `pilot why`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilot why word-stats                   why its last starts were cold or warm
  pilot why word-stats:live --output json")]
pub(crate) struct WhyArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Function: name, name:qualifier or ARN.
    pub(crate) function: String,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// Options of `pilot calls`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilot calls                            which functions call which, and how well that is foreseen
  pilot calls word-stats                 what it calls, and what calls it
  pilot calls --output json | jq '.calls[] | select(.precision < 0.5)'")]
pub(crate) struct CallsArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Function: name or ARN; all functions unless given.
    pub(crate) function: Option<String>,
    /// Most calls that are shown; those of one caller are not parted.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// Options of `pilot starts`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilot starts word-stats                        the last cold start, and medians by kind
  pilot starts word-stats --kind warm --since 10m
  pilot starts --limit 1000 --output json        records of all functions, newest first")]
pub(crate) struct StartsArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Function: name, name:qualifier or ARN; all functions unless given.
    pub(crate) function: Option<String>,
    /// Only starts of this kind: warm, spare, forked, zygote or booted.
    #[arg(long, value_parser = start_kind)]
    pub(crate) kind: Option<StartKind>,
    /// Only starts not older than this, such as 90s, 10m, 2h or 1d.
    #[arg(long, value_parser = age, value_name = "AGE")]
    pub(crate) since: Option<Duration>,
    /// Most records that are looked at, the newest of those asked for. The platform keeps the last 10,000 of all
    /// functions together.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// Options of `pilot chains`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilot chains put orders machine.asl.json --set Charge=charge-card --set Ship=ship
  pilot chains ls --output json
  pilot chains rm orders")]
pub(crate) struct ChainsArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// What is to be done.
    #[command(subcommand)]
    pub(crate) action: ChainsAction,
}

/// What `pilot chains` does.
#[derive(Debug, Subcommand)]
pub(crate) enum ChainsAction {
    /// Declare a chain, or declare it anew.
    Put {
        /// Its name.
        name: String,
        /// Definition of a Step Functions state machine: JSON in the Amazon States Language.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What the placeholder ${NAME} of the definition stands for; may be repeated.
        #[arg(long, value_name = "NAME=FUNCTION")]
        set: Vec<String>,
        /// How to print.
        #[arg(long, value_enum, default_value = "table")]
        output: Format,
    },
    /// List chains, with their calls.
    Ls {
        /// How to print.
        #[arg(long, value_enum, default_value = "table")]
        output: Format,
    },
    /// Remove a chain.
    Rm {
        /// Its name.
        name: String,
    },
}
