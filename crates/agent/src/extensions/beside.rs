//! The processes of external extensions: looked after while they run, and asked to end when their instance does.

use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::node::BoxFuture;
use pilotlight_sandbox::CompanionEnd;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant as Deadline, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::Event;
use crate::clock;
use crate::instance::Instance;
use crate::launcher::LaunchError;

/// How long extensions may take to end, their runtime's end included.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(2);
/// How long a runtime may take to end of that.
pub(crate) const RUNTIME_SHUTDOWN: Duration = Duration::from_millis(600);
/// How long it may take beside internal extensions only.
pub(crate) const INTERNAL_SHUTDOWN: Duration = Duration::from_millis(500);

/// Why an instance ends, as extensions are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shutdown {
    /// Nobody needs it any more.
    Spindown,
    Timeout,
    Failure,
}

impl Shutdown {
    fn as_str(self) -> &'static str {
        match self {
            Shutdown::Spindown => "SPINDOWN",
            Shutdown::Timeout => "TIMEOUT",
            Shutdown::Failure => "FAILURE",
        }
    }
}

/// Processes beside a program. They end with its sandbox.
pub(crate) trait Companions: Send + Sync {
    /// The next that has ended, by its place, and how; none when the sandbox is no more.
    fn next_end(&self) -> BoxFuture<'_, Option<(usize, CompanionEnd)>>;

    /// Kills that one.
    fn kill(&self, index: usize);
}

/// Extensions that have been started.
pub(crate) struct Accompaniment {
    /// Their names, by their places.
    pub(crate) names: Vec<String>,
    /// What they write.
    pub(crate) stdout: std::os::fd::OwnedFd,
    pub(crate) stderr: std::os::fd::OwnedFd,
    pub(crate) companions: Arc<dyn Companions>,
}

/// The extensions of an instance's process, looked after.
pub(crate) struct Beside {
    companions: Arc<dyn Companions>,
    /// Which have ended.
    ended: watch::Receiver<Vec<bool>>,
    reader: JoinHandle<()>,
    _attendance: AbortOnDropHandle<()>,
    /// When they were started.
    pub(crate) since: Deadline,
}

impl Beside {
    /// Begins to look after them: the instance hears of their ends, and its log of what they say.
    pub(crate) fn attend(
        accompaniment: Accompaniment,
        instance: &Arc<Instance>,
    ) -> Result<Self, LaunchError> {
        let Accompaniment {
            names,
            stdout,
            stderr,
            companions,
        } = accompaniment;
        let reader = instance
            .log
            .attach_extensions(stdout, stderr)
            .map_err(|error| LaunchError::platform("log pipes", error))?;
        let (ends, ended) = watch::channel(vec![false; names.len()]);
        let (attended, instance) = (Arc::clone(&companions), Arc::clone(instance));
        let attendance = async move {
            while let Some((index, end)) = attended.next_end().await {
                instance.extension_ended(index, end);
                if let CompanionEnd::Ended(_) = end {
                    ends.send_modify(|ends| ends[index] = true);
                }
            }
        };
        Ok(Self {
            companions,
            ended,
            reader: tokio::spawn(reader),
            _attendance: AbortOnDropHandle::new(tokio::spawn(attendance)),
            since: Deadline::now(),
        })
    }

    /// Tells those that want to know that the instance ends, and kills the others; returns when all have ended, or at
    /// the deadline.
    pub(crate) async fn shut_down(
        &self,
        instance: &Instance,
        reason: Shutdown,
        deadline: Deadline,
    ) {
        let left = deadline.saturating_duration_since(Deadline::now());
        let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let told = instance.shut_extensions_down(&Event::Shutdown {
            reason: reason.as_str(),
            deadline_ms: clock::unix_ms().saturating_add(left),
        });
        let kill_all_but = |spared: &[bool]| {
            for index in (0..spared.len()).filter(|&index| !spared[index]) {
                self.companions.kill(index);
            }
        };
        kill_all_but(&told);
        let mut ended = self.ended.clone();
        let all = ended.wait_for(|ended| ended.iter().all(|&it| it));
        if timeout_at(deadline, all).await.is_err() {
            tracing::debug!(instance = %instance.id, "extensions do not end and are killed");
            kill_all_but(&vec![false; told.len()]);
            // Their ends are about to come, and somebody may count on them.
            let all = ended.wait_for(|ended| ended.iter().all(|&it| it));
            let _ = timeout_at(Deadline::now() + SHUTDOWN, all).await;
        }
    }

    /// The task that reads what they write; they are not looked after any more.
    pub(crate) fn into_reader(self) -> JoinHandle<()> {
        self.reader
    }
}
