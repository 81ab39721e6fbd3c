//! The command line: all commands, and help that teaches.

mod functions;
mod machine;
mod records;
mod replay;
mod values;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use pilotlight_sim::cli::SimulateArgs;

use crate::exit::Exit;

pub(crate) use functions::{DeployArgs, InvokeArgs, ListArgs, WarmArgs};
pub(crate) use machine::{DoctorArgs, KeyFormat, KeysAction, KeysArgs, UpArgs};
pub(crate) use records::{
    CallsArgs, ChainsAction, ChainsArgs, DeadLettersArgs, EventsArgs, LogsArgs, StartsArgs, WhyArgs,
};
pub(crate) use replay::ReplayArgs;
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
    /// List asynchronous events and firings of schedules that wait, and what is on its way to destinations.
    Events(EventsArgs),
    /// Print records and dead letters that were written to files of the platform.
    DeadLetters(DeadLettersArgs),
    /// Show where the time of starts went: a waterfall, and medians by kind.
    Starts(StartsArgs),
    /// Tell why the last starts of a function were cold or warm.
    Why(WhyArgs),
    /// Show which functions call which, as the node has learned it, and what foreseeing those calls was worth
    Calls(CallsArgs),
    /// Declare, list and remove chains: which functions call which, by definitions of Step Functions.
    Chains(ChainsArgs),
    /// Make, list and delete access keys, with which requests are signed.
    Keys(KeysArgs),
    /// Check that this machine can run functions, by trying everything that it takes.
    Doctor(DoctorArgs),
    /// Run keep-alive policies on a recorded trace, side by side, and report what each would have cost.
    Simulate(SimulateArgs),
    /// Replay a recorded trace on the platform at many times its speed, beside what the simulator says of it.
    Replay(ReplayArgs),
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
