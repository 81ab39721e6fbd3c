//! The supervisor's side of an instance: what is due, and what an end means.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant as Deadline;

use super::{Instance, Machine, StartTrace, State};
use crate::clock;
use crate::failure::Failure;
use crate::launcher::{Exit, Process};
use crate::platform_events::task_timed_out;

/// What the supervisor is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Look again then, or when told.
    Sleep(Option<Deadline>),
    /// Kill the process: nobody needs it any more.
    Stop,
    /// Kill the process: it reported that it cannot start.
    InitFailed,
    /// Kill the process: its init takes too long.
    InitTimedOut,
    /// Kill the process: the request ran out of time, and has been answered.
    TimedOut,
    /// Kill the process: an extension has ended.
    Crashed,
}

impl Instance {
    /// A process is about to be started for this instance after an init that took too long.
    pub(crate) fn begin_init(&self) {
        let mut state = self.state.lock();
        if state.machine != Machine::Init {
            state.machine = Machine::Init;
        }
        state.failed = None;
        state.crashed = None;
        state.round = None;
    }

    /// The process runs.
    pub(crate) fn launched(&self, process: Arc<dyn Process>) {
        self.state.lock().process = Some(process);
    }

    /// Writes on the trace of the start.
    pub(crate) fn trace(&self, write: impl FnOnce(&mut StartTrace)) {
        write(&mut self.state.lock().trace);
    }

    /// Whether the init phase is over.
    pub(crate) fn is_initialised(&self) -> bool {
        !self.state.lock().is_starting()
    }

    /// Whether its runtime waits for an event.
    pub(crate) fn is_ready(&self) -> bool {
        let state = self.state.lock();
        state.machine == Machine::Ready && state.round.is_none()
    }

    /// Looks at what is due. A request that has run out of time is answered here.
    pub(crate) fn judge(&self, init_deadline: Option<Deadline>) -> Verdict {
        let mut state = self.state.lock();
        let now = Deadline::now();
        if state.stop {
            return Verdict::Stop;
        }
        if state.failed.is_some() {
            return Verdict::InitFailed;
        }
        if state.crashed.is_some() {
            return Verdict::Crashed;
        }
        if state.deadline.is_some_and(|deadline| deadline <= now) {
            self.expire(&mut state);
            return Verdict::TimedOut;
        }
        let init = init_deadline.filter(|_| state.is_initialising());
        if init.is_some_and(|deadline| deadline <= now) {
            // From here on nothing that this process says counts.
            state.machine = Machine::Over;
            state.round = None;
            return Verdict::InitTimedOut;
        }
        let due = [state.deadline, init].into_iter().flatten().min();
        state.armed = state.deadline.is_some();
        Verdict::Sleep(due)
    }

    /// Resolves when [`Instance::judge`] is to be asked again.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The process has ended, for that reason if it was its own. Whatever request the instance has is
    /// answered, or given back if the runtime never saw it.
    pub(crate) fn end(&self, failure: Option<Failure>) {
        let mut state = self.state.lock();
        let initialising = state.is_starting() || state.failed.is_some();
        state.round = None;
        if state.answered {
            self.end_request(&mut state);
        }
        state.machine = Machine::Over;
        state.waiting = None;
        state.deadline = None;
        state.pending = None;
        state.origin.end();
        // A runtime that never began to serve has failed; one that died while it waited has not.
        let unseen = !state.fetched && !initialising;
        match (state.current.take(), failure) {
            (Some(current), None) => current.give_back(),
            (Some(current), Some(_)) if unseen => current.give_back(),
            (Some(current), Some(failure)) => {
                state.current = Some(current);
                self.fail(&mut state, failure, None);
            }
            (None, failure) if initialising => state.failed = failure,
            (None, _) => {}
        }
    }

    /// The process is gone and nothing is to be learned from it any more.
    pub(crate) fn forget_process(&self) {
        let mut state = self.state.lock();
        state.peak_bytes = state.peak();
        state.process = None;
        state.extensions.hang_up();
        self.log.end_telemetry();
    }

    /// How the process of this instance ended, in Lambda's words.
    pub(crate) fn exit_failure(&self, exit: Exit) -> Failure {
        let state = self.state.lock();
        let oom_kills = state
            .process
            .as_ref()
            .map_or(0, |process| process.oom_kills());
        Failure::Exited {
            exit,
            out_of_memory: oom_kills > 0 && exit == Exit::Signal(9),
        }
    }

    /// The instance's process, while it has one.
    pub(crate) fn process(&self) -> Option<Arc<dyn Process>> {
        self.state.lock().process.clone()
    }

    /// What has ended it since it could serve.
    pub(crate) fn crashed(&self) -> Option<Failure> {
        self.state.lock().crashed.clone()
    }

    /// Why the instance cannot serve, if it cannot.
    pub(crate) fn failed(&self) -> Option<Failure> {
        self.state.lock().failed.clone()
    }

    /// Time since the process runs.
    pub(crate) fn init_length(&self) -> Duration {
        self.state.lock().trace.since_spawn(clock::now())
    }

    fn expire(&self, state: &mut State) {
        let limit = self.spec.timeout;
        if state.answered {
            // Who has an extension that runs too long has its answer all the same.
            if !state.extensions.all_ready()
                && let Some(unreported) = &mut state.unreported
            {
                let id = unreported.report.request;
                unreported.report.failure = Some(Failure::TimedOut(limit));
                self.log
                    .words([task_timed_out(clock::utc(), id, limit), String::new()]);
            }
            self.end_request(state);
        }
        state.round = None;
        state.machine = Machine::Over;
        state.pending = None;
        state.deadline = None;
        if let Some(current) = &state.current {
            let id = current.request.request_id;
            let line = task_timed_out(clock::utc(), id, limit);
            self.fail(state, Failure::TimedOut(limit), Some(line));
        }
    }
}
