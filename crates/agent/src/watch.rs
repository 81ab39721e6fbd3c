//! Looking after a process that serves an instance, until it ends or has to.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant as Deadline;

use crate::extensions::{Beside, INTERNAL_SHUTDOWN, RUNTIME_SHUTDOWN, SHUTDOWN, Shutdown};
use crate::failure::Failure;
use crate::instance::{Instance, Verdict};
use crate::ladder::Origin;
use crate::launcher::{Exit, Process};
use crate::pool::Turn;
use crate::runtime_api::Server;

/// A start keeps its turn for this long at most once its program runs: from then on it is the user's
/// code that takes time, most of it waiting, and other starts must not wait with it.
pub(crate) const TURN: Duration = Duration::from_secs(1);
/// How long after its start a process has the CPU for itself. Setting its share takes 0.1 ms, which the first request is not
/// to pay.
const UNLIMITED: Duration = Duration::from_millis(3);
/// How long what a runtime said before its end may be on its way, where somebody else is listened to still.
const LAST_WORDS: Duration = Duration::from_millis(50);
/// How long a killed process may take to be gone.
const KILL: Duration = Duration::from_secs(5);

/// A process that serves an instance, with everything that listens to it.
pub(crate) struct Running {
    pub(crate) process: Arc<dyn Process>,
    pub(crate) server: Server,
    pub(crate) reader: JoinHandle<()>,
    /// The extensions beside it.
    pub(crate) beside: Option<Beside>,
    /// When its start began, if that was before its program's.
    pub(crate) since: Option<Deadline>,
    /// Whether it has inherited a connection.
    pub(crate) inherits: bool,
    /// The template that it was forked from, until it has come so far as to ask for an event.
    pub(crate) origin: Option<Origin>,
}

impl Watched {
    /// What it means for the instance.
    pub(crate) fn failure(&self, instance: &Instance) -> Failure {
        let told = instance.failed().or_else(|| instance.crashed());
        told.unwrap_or_else(|| match self {
            Watched::Exited(exit) => instance.exit_failure(*exit),
            Watched::Stillborn | Watched::Killed(_) => Failure::Exited {
                exit: Exit::Signal(9),
                out_of_memory: false,
            },
        })
    }

    /// What extensions are told of it.
    pub(crate) fn shutdown(&self) -> Shutdown {
        match self {
            Watched::Killed(Verdict::Stop) => Shutdown::Spindown,
            Watched::Killed(Verdict::TimedOut | Verdict::InitTimedOut) => Shutdown::Timeout,
            Watched::Exited(_) | Watched::Killed(_) | Watched::Stillborn => Shutdown::Failure,
        }
    }
}

/// How watching came to its end.
#[derive(Debug)]
pub(crate) enum Watched {
    Exited(Exit),
    /// To be killed, for that reason.
    Killed(Verdict),
    /// It was forked, and ended before it asked for an event or told of an error: what its template was, it is not.
    Stillborn,
}

impl Running {
    /// Watches over the process until it ends or has to; its start may take that long. The turn is given
    /// back as soon as the start needs it no more.
    pub(crate) async fn watch(
        &mut self,
        instance: &Instance,
        start: Duration,
        turn: &mut Option<Turn>,
    ) -> Watched {
        let began = self.since.unwrap_or_else(Deadline::now);
        let mut initialising = true;
        let mut limit_at = None;
        let process = Arc::clone(&self.process);
        let exit = process.wait();
        tokio::pin!(exit);
        loop {
            let due = match instance.judge(Some(began + start)) {
                Verdict::Sleep(due) => due,
                kill => return Watched::Killed(kill),
            };
            if initialising && instance.is_initialised() {
                initialising = false;
                limit_at = Some(Deadline::now() + UNLIMITED);
                if let Some(origin) = self.origin.take() {
                    origin.forked(true);
                }
            }
            if limit_at.is_some_and(|at| at <= Deadline::now()) {
                limit_at = None;
                self.process.init_ended();
            }
            if !initialising || began + TURN <= Deadline::now() {
                turn.take();
            }
            let due = [due, limit_at, turn.as_ref().map(|_| began + TURN)]
                .into_iter()
                .flatten()
                .min();
            tokio::select! {
                biased;
                exit = &mut exit => {
                    let stillborn = !instance.is_initialised() && instance.failed().is_none();
                    return match self.origin.take() {
                        Some(origin) if stillborn => {
                            // Who is killed from outside may be as good as the others.
                            if exit != Exit::Signal(9) {
                                origin.forked(false);
                            }
                            Watched::Stillborn
                        }
                        _ => Watched::Exited(exit),
                    };
                }
                () = instance.changed() => {}
                () = sleep_until_or_never(due) => {}
            }
        }
    }

    /// Lets extensions end after a process that has ended, or has to. Who waits for an answer is not to wait for them:
    /// the instance has ended, unless it tries `again`.
    pub(crate) async fn part(&self, instance: &Instance, watched: &Watched, again: bool) {
        if !instance.has_extensions() {
            return;
        }
        if !again {
            if let Watched::Exited(_) = watched {
                // What the runtime still said is on its way.
                tokio::time::sleep(LAST_WORDS).await;
            }
            instance.end(Some(watched.failure(instance)));
        }
        self.shut_down(instance, watched.shutdown()).await;
    }

    /// Lets the process and its extensions end as they should, for a bounded time.
    async fn shut_down(&self, instance: &Instance, reason: Shutdown) {
        let began = Deadline::now();
        let patience = match &self.beside {
            Some(_) => RUNTIME_SHUTDOWN,
            None => INTERNAL_SHUTDOWN,
        };
        self.process.terminate();
        let _ = tokio::time::timeout_at(began + patience, self.process.wait()).await;
        if let Some(beside) = &self.beside {
            beside.shut_down(instance, reason, began + SHUTDOWN).await;
        }
    }

    /// Ends what is left of the process, and hears what it still said. Whatever it has left behind goes
    /// with it, or it would hold its pipes open.
    pub(crate) async fn wind_up(self, instance: &Instance) {
        self.process.kill();
        let beside = self.beside.map(Beside::into_reader);
        if tokio::time::timeout(KILL, self.process.wait())
            .await
            .is_err()
        {
            tracing::error!(instance = %instance.id, "killed process does not end");
        }
        // It may have answered, and written its log, right before it ended.
        self.server.finish().await;
        instance
            .log
            .detach(beside.into_iter().chain([self.reader]))
            .await;
    }
}

async fn sleep_until_or_never(due: Option<Deadline>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
