//! `pilot simulate`: policies on recorded traces. All of it is the simulator's; it needs no platform.

use pilotlight_sim::cli::{SimulateArgs, simulate};

use crate::exit::Exit;
use crate::output;

/// Runs the simulation and prints its report.
pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<Exit> {
    match simulate(args) {
        Ok(report) => output::print(&report)?,
        Err(error) if error.is_usage() => {
            eprintln!("error: {:#}", anyhow::Error::new(error));
            return Ok(Exit::Usage);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Exit::Done)
}
