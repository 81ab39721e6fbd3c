//! Runtime images: found, or built with progress for those who wait.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use pilotlight_agent::RuntimeImage;
use pilotlight_agent::images::{self, Progress, Step};
use pilotlight_model::Runtime;
use pilotlight_store::Store;

/// The images of all runtimes. Blocks, for minutes when they have to be built; `stop` ends that after the step that it
/// is at.
pub(super) fn find_or_build(
    data_dir: &Path,
    store: &Store,
    stop: &AtomicBool,
) -> anyhow::Result<BTreeMap<Runtime, RuntimeImage>> {
    // A step that goes on is told once, when it begins.
    let told: Mutex<Option<(Option<Runtime>, Step)>> = Mutex::new(None);
    let progress = |progress: &Progress| {
        let step = Some((progress.runtime, progress.step));
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != step {
            *told = step;
            let runtime = progress.runtime.map_or("all", Runtime::as_str);
            tracing::info!(runtime, step = %progress.step, parts = progress.total, "building images");
        }
        if stop.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    images::build(data_dir, store, &progress).context("cannot build the runtime images")
}
