//! The command line: every command with its options, and help that teaches.

mod machine;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use pilotlight_model::limits::WARM_UP_INSTANCES;
use pilotlight_model::{FunctionName, RuntimeName, StartKind};

use crate::exit::Exit;
use values::{age, cold, pair, runtime, start_kind};

pub(crate) use machine::{DoctorArgs, KeyFormat, KeysAction, KeysArgs, UpArgs};
pub(crate) use values::moment_ms;

/// Runs functions behind the AWS Lambda API, and makes cold starts disappear.
#[derive(Debug, Parser)]
#[command(name = "pilot", version, after_help = EXAMPLES, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  sudo pilot up                                  start the platform on http://127.0.0.1:9000
  pilot deploy examples/word-stats               package a folder and create or update a function
  pilot invoke word-stats --payload '{\"text\": \"hello\"}'
  pilot starts word-stats                        where the time of the last cold start went

Exit codes:
  0  done
  1  failed; standard error says why
  2  wrong usage or configuration
  3  the function answered with an error
  4  no such function

Answers go to standard output, progress to standard error.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the platform: all of it, in this process, until SIGTERM or Ctrl-C.
    Up(UpArgs),
    /// Create or update a function from a folder, a zip or a jar, and wait until it is ready.
    Deploy(DeployArgs),
    /// Invoke a function and print its answer.
    Invoke(InvokeArgs),
    /// Make instances ready before requests come, with or without a call of the handler.
    Warm(WarmArgs),
    /// List functions, with how many instances of each are busy and idle.
    Ls(ListArgs),
    /// Print what a function's instances wrote.
    Logs(LogsArgs),
    /// List asynchronous events that wait, and what is on its way to destinations.
    Events(EventsArgs),
    /// Print records and dead letters that were written to files of the platform.
    DeadLetters(DeadLettersArgs),
    /// Show where the time of starts went: a waterfall, and medians by kind.
    Starts(StartsArgs),
    /// Make, list and delete access keys, with which requests are signed.
    Keys(KeysArgs),
    /// Check that this machine can run functions, by trying everything that it takes.
    Doctor(DoctorArgs),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  pilot completions bash > /etc/bash_completion.d/pilot")]
    Completions {
        /// Shell to complete for.
        shell: Shell,
    },
}

/// Where the platform is.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// URL of the platform. The AWS variables AWS_ENDPOINT_URL_LAMBDA and AWS_ENDPOINT_URL count too.
    #[arg(long, env = "PILOTLIGHT_ENDPOINT", value_name = "URL", global = true)]
    pub(crate) endpoint: Option<String>,
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Options of `pilot deploy`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilot deploy my-function                       a folder with lambda_function.py, or with a bootstrap
  pilot deploy build/fn.zip --name resize --runtime python3.11 --handler app.main
  pilot deploy orders.jar --handler com.shop.Orders::handle
  pilot deploy . --name resize --memory 512 --timeout 30 --env STAGE=test --env DEBUG=1

What a project depends on is installed or built first, by its own tools: pip for requirements.txt, npm for
package.json, Maven or Gradle for Java, cargo for Rust.

Runtime and handler are found for a folder with an executable `bootstrap` (provided.al2023), or with
lambda_function.py, app.py, handler.py or main.py that defines a handler (python3.11), or with index.mjs,
index.js or index.cjs (nodejs20.x, index.handler). A jar, or a folder with Java classes or with jars in `lib`,
is for java17; its handler has to be given.")]
pub(crate) struct DeployArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Folder, zip or jar with the code.
    pub(crate) source: PathBuf,
    /// Function name; the folder's or file's own name unless given.
    #[arg(long)]
    pub(crate) name: Option<FunctionName>,
    /// Runtime.
    #[arg(long, value_parser = runtime)]
    pub(crate) runtime: Option<RuntimeName>,
    /// Handler, as `module.function`; for Java as `package.Class::method` or `package.Class`.
    #[arg(long)]
    pub(crate) handler: Option<String>,
    /// Memory of an instance in MiB; CPU follows it.
    #[arg(long, value_name = "MIB")]
    pub(crate) memory: Option<u32>,
    /// Longest run of one invocation in seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u32>,
    /// Environment variable; can be repeated. Any given replace all that the function had.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) env: Vec<(String, String)>,
    /// ARN of a layer's version; can be repeated, the lowest first. Any given replace all that the function had.
    #[arg(long = "layer", value_name = "ARN")]
    pub(crate) layers: Vec<String>,
    /// Role ARN. Kept and shown, as the API requires one; nothing is checked against it.
    #[arg(long, value_name = "ARN")]
    pub(crate) role: Option<String>,
    /// Do without the trial init that shows what a package's dependencies cost.
    #[arg(long)]
    pub(crate) no_trial: bool,
    /// How to print the function.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// Options of `pilot invoke`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilot invoke word-stats --payload '{\"text\": \"to be or not to be\"}'
  pilot invoke word-stats --payload @event.json --tail
  echo '{}' | pilot invoke word-stats --payload -
  pilot invoke word-stats --cold --waterfall     a new instance, and where its time went
  pilot invoke word-stats --cold=booted          one that starts from nothing

The answer goes to standard output unchanged. Exit code 3: the function answered with an error.")]
pub(crate) struct InvokeArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Function: name, name:qualifier or ARN.
    pub(crate) function: String,
    /// The event: JSON, @FILE, or - for standard input.
    #[arg(long, short, default_value = "{}", value_name = "JSON|@FILE|-")]
    pub(crate) payload: String,
    /// Do without idle instances: the best cold start that the function has, or one of that kind (spare,
    /// forked, zygote or booted; where it has none of that kind, the next below).
    #[arg(
        long, value_name = "KIND", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", value_parser = cold
    )]
    pub(crate) cold: Option<String>,
    /// Print the end of the log to standard error.
    #[arg(long, conflicts_with = "event")]
    pub(crate) tail: bool,
    /// Only queue the event; it is run later, and tried again if it fails.
    #[arg(long, conflicts_with_all = ["cold", "waterfall"])]
    pub(crate) event: bool,
    /// Draw the phases of this invocation to standard error.
    #[arg(long)]
    pub(crate) waterfall: bool,
}

/// Options of `pilot warm`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilot warm word-stats --instances 5            started and initialised; the handler is not called
  pilot warm word-stats:live --instances 2 --payload '{\"path\": \"/health\"}'
  pilot warm word-stats -n 5 --schedule 'cron(55 7 ? * MON-FRI *)' --timezone Europe/Berlin

With a payload the handler of each instance is called once; client_context.custom has
\"pilotlight-warm-up\": \"true\". Exit code 1: there are fewer idle instances than were asked for.")]
pub(crate) struct WarmArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Function: name, name:qualifier or ARN.
    pub(crate) function: String,
    /// Idle instances that there are to be at least.
    #[arg(long, short = 'n', default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(WARM_UP_INSTANCES)))]
    pub(crate) instances: u32,
    /// Call the handler with this event: JSON.
    #[arg(long, short, value_name = "JSON")]
    pub(crate) payload: Option<String>,
    /// Not now, but at these times: rate(…), cron(…) or at(…) of EventBridge Scheduler. Makes a schedule, or
    /// changes the one that is there.
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) schedule: Option<String>,
    /// Time zone of the schedule.
    #[arg(
        long,
        value_name = "ZONE",
        default_value = "UTC",
        requires = "schedule"
    )]
    pub(crate) timezone: String,
    /// Name of the schedule; warm-FUNCTION unless given.
    #[arg(long, requires = "schedule")]
    pub(crate) name: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// Options of `pilot ls`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pilot ls --output json | jq -r '.[].name'")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// Options of `pilot logs`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pilot logs -f word-stats --since 10m")]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Function: name, name:qualifier or ARN. All versions of a function write to one log.
    pub(crate) function: String,
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
    /// Function name; all functions unless given.
    pub(crate) function: Option<FunctionName>,
    /// Only starts of this kind: warm, spare, forked, zygote or booted.
    #[arg(long, value_parser = start_kind)]
    pub(crate) kind: Option<StartKind>,
    /// Only starts not older than this, such as 90s, 10m, 2h or 1d.
    #[arg(long, value_parser = age, value_name = "AGE")]
    pub(crate) since: Option<Duration>,
    /// Newest records to look at.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// Writes a completion script to standard output.
pub(crate) fn completions(shell: Shell) -> anyhow::Result<Exit> {
    clap_complete::generate(shell, &mut Cli::command(), "pilot", &mut std::io::stdout());
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }
}
