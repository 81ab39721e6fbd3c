//! What an instance's process came from, and what follows from it: what a fork is told, when a start is
//! over, and how a process waits that is to become a template.

use std::time::Duration;

use bytes::Bytes;
use pilotlight_model::start::{Phase, StartKind};
use tokio::sync::oneshot;

use super::machine::{Machine, Refusal};
use super::{InitMarks, Instance, State};
use crate::clock;
use crate::environment::Initialization;
use crate::extensions::Registry;
use crate::failure::Failure;
use crate::platform_events::{PlatformEvent, Status};
use crate::runtime::RuntimeImage;
use crate::runtime_api::{Outstanding, Then};

/// How a process of an instance begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Begin {
    /// It is executed.
    Boot,
    /// It is forked from the zygote, and told to be this: the answer to `GET /pilotlight/assignment`.
    Zygote(Bytes),
    /// It is forked from the version's template, and told what has changed: the answer to
    /// `GET …/restore/next`.
    Template(Bytes),
}

/// What becomes of a `GET …/restore/next`.
pub(crate) enum Restore {
    /// Go on, with this answer.
    Go(Bytes),
    /// The process is to be a template. An answer comes if it will not be one.
    Wait(oneshot::Receiver<Bytes>),
}

/// The process as its instance knows it.
pub(super) struct Origin {
    kind: StartKind,
    initialization: Initialization,
    /// What the log has told of it.
    announced: Option<PlatformEvent>,
    /// What the process is to be, until it has asked.
    assignment: Option<Bytes>,
    /// The answer to the question whether it is a fork.
    restore: Bytes,
    /// The init was over before the runtime asked for its first event.
    init_ended: bool,
    /// It is to become a template.
    template: bool,
    /// The question that waits meanwhile.
    parked: Option<oneshot::Sender<Bytes>>,
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            kind: StartKind::Booted,
            initialization: Initialization::OnDemand,
            announced: None,
            assignment: None,
            restore: Bytes::new(),
            init_ended: false,
            template: false,
            parked: None,
        }
    }
}

impl Origin {
    /// Whether the process serves nobody.
    pub(super) fn is_template(&self) -> bool {
        self.template
    }

    /// The process has ended; who asked is not answered.
    pub(super) fn end(&mut self) {
        self.parked = None;
    }
}

impl Instance {
    // ---- the supervisor's side ----

    /// A process is about to be started that way: the first of this instance or, after one that came to
    /// nothing, another. The log tells of it, but not again of the same.
    pub(crate) fn begin(&self, begin: Begin, image: &RuntimeImage, initialization: Initialization) {
        let mut state = self.state.lock();
        // What the one before was told is nothing to this one.
        if state.machine.is_starting() {
            state.machine = Machine::Init;
        }
        state.extensions = Registry::new(&[]);
        self.log.open_telemetry();
        state.trace.begin_process();
        let origin = &mut state.origin;
        origin.init_ended = false;
        origin.initialization = initialization;
        (origin.kind, origin.assignment, origin.restore) = match begin {
            Begin::Boot => (StartKind::Booted, None, Bytes::new()),
            Begin::Zygote(body) => (StartKind::Zygote, Some(body), Bytes::new()),
            Begin::Template(body) => (StartKind::Forked, None, body),
        };
        let event = match origin.kind {
            StartKind::Forked => PlatformEvent::restore_start(&self.spec, image),
            _ => PlatformEvent::init_start(&self.spec, image, initialization),
        };
        if origin.announced.as_ref() != Some(&event) {
            self.log.event(&event);
            origin.announced = Some(event);
            // The tail that a caller gets begins behind it, as on Lambda.
            drop(self.log.take_tail());
        }
    }

    /// The process is to become a template: it serves nobody, unless [`Instance::stay`] is called.
    pub(crate) fn become_template(&self) {
        self.state.lock().origin.template = true;
    }

    /// It becomes no template, and serves like any other instance. Its init was nobody's request: none
    /// reports it or pays for it. Returns whether it waits for an event now.
    pub(crate) fn stay(&self) -> bool {
        let mut state = self.state.lock();
        state.init = None;
        state.origin.template = false;
        if let Some(parked) = state.origin.parked.take() {
            state.machine.go_on();
            // An error means that its connection broke; it will ask again, and not wait.
            let _ = parked.send(Bytes::new());
        }
        self.changed.notify_one();
        state.machine == Machine::Ready && state.round.is_none()
    }

    /// Its start was for no request: none reports it or pays for it.
    pub(crate) fn made_ahead(&self) {
        let mut state = self.state.lock();
        (state.init, state.restore) = (None, None);
    }

    /// What the instance came from, as its first request reports it.
    pub(crate) fn started_as(&self) -> StartKind {
        self.state.lock().origin.kind
    }

    /// The start took too long or failed, for that reason: the log tells of it.
    pub(crate) fn give_up_start(&self, status: &Status) {
        let mut state = self.state.lock();
        let now = clock::now();
        let length = match state.origin.kind {
            StartKind::Forked => state.trace.give_up_restore(now),
            _ => {
                let length = state.trace.since_spawn(now);
                state.trace.give_up_init(now);
                length
            }
        };
        self.tell_runtime_done(&state.origin, status.clone());
        self.tell_extensions(&state);
        self.tell_start(&state.origin, status.clone(), length);
    }

    /// The log tells how the runtime came through the start.
    fn tell_runtime_done(&self, origin: &Origin, status: Status) {
        self.log.event(&match origin.kind {
            StartKind::Forked => PlatformEvent::RestoreRuntimeDone { status },
            _ => PlatformEvent::InitRuntimeDone {
                kind: origin.initialization,
                status,
            },
        });
    }

    /// The log tells how the start ended.
    fn tell_start(&self, origin: &Origin, status: Status, length: Duration) {
        self.log.event(&match origin.kind {
            StartKind::Forked => PlatformEvent::RestoreReport { status, length },
            _ => PlatformEvent::InitReport {
                kind: origin.initialization,
                status,
                length,
            },
        });
    }

    /// What the fork and its restore took, until a request reports it.
    pub(crate) fn restore_length(&self) -> Duration {
        self.state.lock().restore.unwrap_or_default()
    }

    // ---- the runtime's side ----

    /// `GET /pilotlight/assignment`.
    pub(crate) fn take_assignment(&self) -> Option<Bytes> {
        self.state.lock().origin.assignment.take()
    }

    /// The answer to what a fork of this instance's origin asked before it was frozen, if it is known: HTTP/1.1. The fork
    /// is told ahead of its start.
    pub(crate) fn answer(&self, outstanding: Outstanding) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let body = match outstanding {
            Outstanding::Assignment => state.origin.assignment.as_ref()?,
            Outstanding::Restore(Then::Keep) => &state.origin.restore,
            Outstanding::Restore(Then::Close) | Outstanding::Next(_) => return None,
        };
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        answer.extend_from_slice(body);
        Some(answer)
    }

    /// The fork is there, and has that answer.
    pub(crate) fn answered(&self, outstanding: Outstanding) {
        match outstanding {
            Outstanding::Assignment => drop(self.take_assignment()),
            // An instance that has ended meanwhile is not told anything.
            Outstanding::Restore(_) => drop(self.restore(InitMarks::default())),
            Outstanding::Next(_) => {}
        }
    }

    /// `GET …/restore/next`.
    pub(crate) fn restore(&self, marks: InitMarks) -> Result<Restore, Refusal> {
        let mut state = self.state.lock();
        let first = state.machine == Machine::Init;
        state.machine.park()?;
        if state.origin.template {
            if first {
                self.end_init(&mut state, marks);
            }
            // A second question replaces the first, whose connection is most likely gone.
            let (go, told) = oneshot::channel();
            state.origin.parked = Some(go);
            return Ok(Restore::Wait(told));
        }
        if first && state.origin.kind != StartKind::Forked {
            // One that asks although nobody told it to; its init is over all the same.
            self.end_init(&mut state, marks);
        }
        state.machine.go_on();
        Ok(Restore::Go(state.origin.restore.clone()))
    }

    /// `POST …/restore/error`.
    pub(crate) fn fail_restore(&self, error_type: String, body: Bytes) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        state.machine.fail_restore()?;
        state.failed = Some(Failure::Init { error_type, body });
        self.changed.notify_one();
        Ok(())
    }

    /// The runtime asks for its first event: for its part, the start is over.
    pub(super) fn end_start(&self, state: &mut State, marks: InitMarks) {
        match state.origin.kind {
            StartKind::Forked => {
                state.restore = Some(state.trace.end_restore(marks, clock::now()));
                self.tell_runtime_done(&state.origin, Status::Success);
            }
            _ if state.origin.init_ended => {}
            _ => self.end_runtime_init(state, marks),
        }
    }

    /// All have asked for their first event: the start is over.
    pub(super) fn report_start(&self, state: &mut State) {
        let now = clock::now();
        let extensions = !state.extensions.is_empty();
        if extensions {
            state.trace.end(Phase::Extensions, now);
            self.tell_extensions(state);
        }
        let length = state.trace.since_spawn(now);
        match state.origin.kind {
            StartKind::Forked => {
                if extensions {
                    state.restore = Some(length);
                }
                let length = state.restore.unwrap_or_default();
                self.tell_start(&state.origin, Status::Success, length);
                // The tail that a caller gets begins behind it.
                drop(self.log.take_tail());
            }
            _ if state.origin.init_ended => {}
            _ => {
                // What extensions do before the first request is init like the function's own.
                if extensions && state.init.is_some() {
                    state.init = Some(length);
                }
                self.tell_start(&state.origin, Status::Success, length);
            }
        }
    }

    /// The init is over without a request for an event.
    fn end_init(&self, state: &mut State, marks: InitMarks) {
        self.end_runtime_init(state, marks);
        state.origin.init_ended = true;
        let length = state.trace.since_spawn(clock::now());
        self.tell_start(&state.origin, Status::Success, length);
    }

    fn end_runtime_init(&self, state: &mut State, marks: InitMarks) {
        state.trace.end_init(marks, clock::now());
        // A repeated init is part of the request that it serves, and billed with it.
        if state.current.is_none() {
            state.init = Some(state.trace.user_init());
        }
        self.tell_runtime_done(&state.origin, Status::Success);
        if state.origin.template {
            self.log.close_telemetry();
        }
    }
}
