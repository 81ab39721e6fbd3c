//! `pilot simulate` without the rest of the platform: it builds in seconds.

use std::process::ExitCode;

use clap::Parser;
use pilotlight_sim::cli::{SimulateArgs, simulate};

/// Runs policies on a trace.
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: SimulateArgs,
}

fn main() -> ExitCode {
    match simulate(&Cli::parse().args) {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                eprintln!("  {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}
