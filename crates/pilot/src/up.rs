//! `pilot up`: the platform.

pub(crate) mod config;
pub(crate) mod file;
mod lock;
mod ready;
mod telemetry;

pub(crate) use config::InvalidConfig;

use crate::cli::UpArgs;
use crate::exit::Exit;
use config::Config;

pub(crate) fn run(args: UpArgs) -> anyhow::Result<Exit> {
    let config = Config::resolve(&args)?;
    if args.print_config {
        crate::output::print(&toml::to_string(&config.to_file())?)?;
        return Ok(Exit::Done);
    }
    telemetry::start(&config)?;
    let _lock = lock::Lock::take(&config.data_dir)?;
    Ok(Exit::Done)
}
