//! Processes that are tasks of the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use pilotlight_model::node::BoxFuture;
use pilotlight_sandbox::Lesson;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::FakeLauncher;
use super::forks::{self, Forks};
use super::runtime::Frozen;
use crate::launcher::{Exit, FreezeError, Process, Template};

/// A process that is a task.
pub(super) struct FakeProcess {
    pub(super) task: Arc<Task>,
    pub(super) exit: watch::Receiver<Option<Exit>>,
    pub(super) oom_kills: Arc<AtomicU64>,
    pub(super) launcher: Arc<FakeLauncher>,
    pub(super) state: Arc<Mutex<Frozen>>,
}

/// Ends with its last handle: the process, or the template that it has become.
pub(super) struct Task(pub(super) AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Counts a process for as long as it is there.
pub(super) struct Living(Arc<AtomicUsize>);

impl Living {
    pub(super) fn one_of(all: &Arc<AtomicUsize>) -> Self {
        all.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(all))
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs a script as a process.
pub(super) fn spawn(
    body: BoxFuture<'static, Exit>,
    living: Living,
) -> (Arc<Task>, watch::Receiver<Option<Exit>>) {
    let (sender, exit) = watch::channel(None);
    let task = tokio::spawn(body);
    let abort = task.abort_handle();
    tokio::spawn(async move {
        let ended = task.await.unwrap_or_else(|error| {
            // A failed assertion inside a script must fail the test, not look like a crash.
            assert!(error.is_cancelled(), "script panicked");
            Exit::Signal(9)
        });
        drop(living);
        let _ = sender.send(Some(ended));
    });
    (Arc::new(Task(abort)), exit)
}

impl Process for FakeProcess {
    fn wait(&self) -> BoxFuture<'_, Exit> {
        let mut exit = self.exit.clone();
        Box::pin(async move {
            match exit.wait_for(Option::is_some).await {
                Ok(exit) => exit.expect("waited for"),
                Err(_) => Exit::Signal(9),
            }
        })
    }

    fn terminate(&self) {
        self.task.0.abort();
    }

    fn kill(&self) {
        self.task.0.abort();
    }

    fn init_ended(&self) {}

    fn memory_peak_bytes(&self) -> u64 {
        36 * 1024 * 1024
    }

    fn oom_kills(&self) -> u64 {
        self.oom_kills.load(Ordering::SeqCst)
    }

    fn private_bytes(&self) -> u64 {
        forks::SPARE_BYTES
    }

    fn teach_template(&self, _lesson: Lesson) -> bool {
        true
    }

    fn freeze(&self) -> BoxFuture<'_, Result<Arc<dyn Template>, FreezeError>> {
        let frozen = self.state.lock().clone();
        Box::pin(async move {
            let template = Forks::freeze(&self.launcher, frozen, &self.task, &self.exit)?;
            let template: Arc<dyn Template> = template;
            Ok(template)
        })
    }
}
