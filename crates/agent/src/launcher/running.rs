//! A process in a sandbox of this machine.

use std::sync::Arc;

use pilotlight_model::error::Causes;
use pilotlight_model::ladder::Refusal;
use pilotlight_model::node::BoxFuture;
use pilotlight_sandbox as sandbox;

use super::forked::Frozen;
use super::mounting::Erofs;
use super::{Exit, FreezeError, LaunchError, Process, Template};
use crate::roots::Roots;

/// A process, and where the roots of its forks come from if it becomes a template.
pub(super) struct Running {
    process: sandbox::Process,
    roots: Arc<Roots<Erofs>>,
}

impl Running {
    pub(super) fn new(process: sandbox::Process, roots: Arc<Roots<Erofs>>) -> Self {
        Self { process, roots }
    }
}

impl Process for Running {
    fn wait(&self) -> BoxFuture<'_, Exit> {
        Box::pin(async {
            match self.process.wait().await {
                sandbox::Exit::Code(code) => Exit::Code(code),
                sandbox::Exit::Signal(signal) => Exit::Signal(signal),
            }
        })
    }

    fn terminate(&self) {
        // One that has ended needs no word.
        let _ = self.process.terminate();
    }

    fn kill(&self) {
        self.process.kill();
    }

    fn init_ended(&self) {
        if let Err(error) = self.process.boot_ended() {
            let (error, pid) = (Causes(&error), self.process.pid());
            tracing::warn!(%error, pid, "instance keeps an unlimited share of the CPU");
        }
    }

    fn memory_peak_bytes(&self) -> u64 {
        self.process.memory_peak_bytes()
    }

    fn oom_kills(&self) -> u64 {
        self.process.oom_kills()
    }

    fn private_bytes(&self) -> u64 {
        // One that has ended has none.
        self.process.private_bytes().unwrap_or(0)
    }

    fn teach_template(&self, lesson: sandbox::Lesson) -> bool {
        // One that has ended teaches nothing.
        self.process.teach_template(lesson).unwrap_or(false)
    }

    fn freeze(&self) -> BoxFuture<'_, Result<Arc<dyn Template>, FreezeError>> {
        Box::pin(async {
            let template = self.process.freeze().await.map_err(freeze_error)?;
            let frozen: Arc<dyn Template> = Arc::new(Frozen {
                template,
                roots: Arc::clone(&self.roots),
            });
            Ok(frozen)
        })
    }
}

fn freeze_error(error: sandbox::FreezeError) -> FreezeError {
    match error {
        sandbox::FreezeError::Refused(refusal) => FreezeError::Refused(Refusal {
            reason: refusal.reason().into(),
            detail: refusal.to_string(),
        }),
        failed => LaunchError::platform("cannot freeze a process", failed).into(),
    }
}
