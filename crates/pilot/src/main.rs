//! `pilot`: the platform in one binary, and the command line that talks to it.
#![forbid(unsafe_code)]

mod calls;
mod chains;
mod cli;
mod client;
mod deploy;
mod doctor;
mod events;
mod exit;
mod invoke;
mod keys;
mod list;
mod logs;
mod output;
mod replay;
mod simulate;
mod starts;
mod up;
mod warm;
mod why;

use clap::Parser;

use cli::{Cli, Command};
use exit::Exit;

fn main() -> Exit {
    // Before anything that could start a thread: where this is the launcher, it never returns.
    pilotlight_sandbox::launcher_main_if_asked();
    let Cli { command } = Cli::parse();
    let outcome = match command {
        Command::Up(args) => up::run(args),
        Command::Deploy(args) => client::block_on(deploy::run(args)),
        Command::Invoke(args) => client::block_on(invoke::run(args)),
        Command::Warm(args) => client::block_on(warm::run(args)),
        Command::Ls(args) => client::block_on(list::run(args)),
        Command::Logs(args) => client::block_on(logs::run(args)),
        Command::Events(args) => client::block_on(events::run(args)),
        Command::DeadLetters(args) => client::block_on(events::dead_letters(args)),
        Command::Starts(args) => client::block_on(starts::run(args)),
        Command::Why(args) => client::block_on(why::run(args)),
        Command::Calls(args) => client::block_on(calls::run(args)),
        Command::Chains(args) => client::block_on(chains::run(args)),
        Command::Keys(args) => keys::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Replay(args) => client::block_on(replay::run(args)),
        Command::Completions { shell } => cli::completions(shell),
    };
    outcome.unwrap_or_else(|error| exit::report(&error))
}
