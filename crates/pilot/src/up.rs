//! `pilot up`: the platform, all of it in this process.

pub(crate) mod config;
pub(crate) mod file;
mod images;
mod keys;
mod late_door;
mod local_names;
mod lock;
mod platform;
mod ready;
mod signals;
mod telemetry;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, bail};
use pilotlight_control::warn_if_exposed;
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};

pub(crate) use config::{Config, InvalidConfig};

use crate::cli::UpArgs;
use crate::exit::Exit;
use crate::output;
use lock::Lock;
use platform::Platform;
use signals::Signals;

/// Runs the platform until it is told to end.
pub(crate) fn run(args: UpArgs) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let config = Config::resolve(&args)?;
    if args.print_config {
        output::print(&toml::to_string(&config.to_file())?)?;
        return Ok(Exit::Done);
    }
    config.check_listen()?;
    if !geteuid().is_root() {
        bail!("sandboxes need root: run `sudo pilot up`");
    }
    telemetry::start(&config)?;
    if let Some(path) = args.config.as_ref().filter(|_| config.has_secrets()) {
        warn_if_exposed(path);
    }
    warn_if_exposed(&config.key_file());
    let _lock = Lock::take(&config.data_dir)?;
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let exit = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let Some(platform) = build(&config, &mut signals).await? else {
            return Ok(Exit::Done);
        };
        let url = platform.url();
        if let Some(path) = &args.ready_file {
            ready::write_file(path, &url)?;
        }
        ready::notify("READY=1");
        let ready_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(url, ready_ms, data_dir = %config.data_dir.display(), "ready");
        Ok(platform.run(signals, config.drain).await)
    });
    // What is left on the runtime after a drain has nobody to answer to.
    runtime.shutdown_background();
    exit
}

/// The platform; none if a signal came first. A second one ends it at once, with leftovers for the next start.
async fn build(config: &Config, signals: &mut Signals) -> anyhow::Result<Option<Platform>> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut building = pin!(Platform::build(config, Arc::clone(&stop)));
    tokio::select! {
        built = &mut building => return built.map(Some),
        () = signals.next() => tracing::info!("ending before it was ready"),
    }
    stop.store(true, Ordering::Relaxed);
    let taken_down = async {
        // An error would say that it was stopped.
        if let Ok(platform) = building.await {
            platform.abandon().await;
        }
    };
    tokio::select! {
        () = taken_down => {}
        () = signals.next() => tracing::warn!("second signal: ending at once"),
    }
    Ok(None)
}

/// Every instance costs a handful of descriptors, and the soft limit of many shells is 1,024.
fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
