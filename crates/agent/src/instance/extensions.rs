//! The extensions' side of an instance.

use pilotlight_sandbox::{CompanionEnd, Exit as CompanionExit};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Asked, Instance, Machine, State};
use crate::clock;
use crate::extensions::{Event, Events, Refusal, Registry};
use crate::failure::Failure;
use crate::launcher::Exit;
use crate::platform_events::PlatformEvent;

/// Why the process of an extension could not be started, as Lambda's log has it.
const PERMISSION_DENIED: &str = "PermissionDenied";
const TOO_MANY: &str = "TooManyExtensions";
const UNKNOWN_ERROR: &str = "UnknownError";

impl Instance {
    // ---- the supervisor's side ----

    /// External extensions of those names are being started, before a process of this instance.
    pub(crate) fn accompany(&self, names: &[String]) {
        let mut state = self.state.lock();
        state.extensions = Registry::new(names);
        state.trace.accompanied(clock::now());
    }

    /// More extensions than may run: from that one on they cannot be started.
    pub(crate) fn refuse_extensions(&self, names: &[String], from: usize) {
        let mut state = self.state.lock();
        state.extensions = Registry::new(names);
        for index in from..names.len() {
            state.extensions.not_launched(index, TOO_MANY);
        }
        state.failed = Some(Failure::Extension {
            error_type: "Extension.LaunchError",
            cause: format!("Extension limit ({from}) reached"),
        });
        self.changed.notify_one();
    }

    /// Whether the runtime may be started beside them.
    pub(crate) fn extensions_registered(&self) -> bool {
        self.state.lock().extensions.all_registered()
    }

    /// Whether there are any, external or internal.
    pub(crate) fn has_extensions(&self) -> bool {
        !self.state.lock().extensions.is_empty()
    }

    /// Whether the runtime's own process has registered one.
    pub(crate) fn has_internal_extensions(&self) -> bool {
        self.state.lock().extensions.has_internal()
    }

    /// The process of an external extension has ended, or could not be started.
    pub(crate) fn extension_ended(&self, index: usize, end: CompanionEnd) {
        let mut state = self.state.lock();
        let failure = match end {
            CompanionEnd::NotExecuted(errno) => {
                let source = std::io::Error::from_raw_os_error(errno);
                let denied = source.kind() == std::io::ErrorKind::PermissionDenied;
                let told = if denied {
                    PERMISSION_DENIED
                } else {
                    UNKNOWN_ERROR
                };
                state.extensions.not_launched(index, told);
                let path = state.extensions.summary();
                let name = path.get(index).map_or("", |it| it.name.as_str());
                let why = crate::start::execution_error(&source);
                Some(Failure::Extension {
                    error_type: "Extension.LaunchError",
                    cause: format!("fork/exec /opt/extensions/{name}: {why}"),
                })
            }
            CompanionEnd::Ended(exit) => {
                let ended = state.extensions.ended(index);
                ended.map(|error_type| Failure::Extension {
                    error_type,
                    cause: match exit {
                        CompanionExit::Code(0) => "exit code 0".to_owned(),
                        CompanionExit::Code(code) => Exit::Code(code).to_string(),
                        CompanionExit::Signal(signal) => Exit::Signal(signal).to_string(),
                    },
                })
            }
        };
        let Some(failure) = failure else {
            return;
        };
        if state.is_starting() {
            state.failed.get_or_insert(failure);
        } else {
            state.crashed.get_or_insert(failure);
        }
        self.changed.notify_one();
    }

    /// Tells the extensions that the instance ends, and returns which of the external ones will hear of it. From then on
    /// their ends are as they should be.
    pub(crate) fn shut_extensions_down(&self, event: &Event) -> Vec<bool> {
        let mut state = self.state.lock();
        let told = state.extensions.hear_of_shutdown();
        state.extensions.leave();
        self.log.flush_telemetry();
        state.extensions.tell(event);
        told
    }

    // ---- the extensions' side ----

    pub(crate) fn register(&self, name: &str, events: Events) -> Result<Uuid, Refusal> {
        let mut state = self.state.lock();
        let id = state.extensions.register(name, events)?;
        self.changed.notify_one();
        Ok(id)
    }

    /// An extension asks for an event. Returns where that will come, and whether the instance is now free: at the end of
    /// its start, or of a request.
    pub(crate) fn extension_asks(
        &self,
        id: Uuid,
    ) -> Result<(oneshot::Receiver<Event>, Option<bool>), Refusal> {
        let mut state = self.state.lock();
        let event = state.extensions.ask(id)?;
        // What is to be a template serves nobody.
        let serves = !state.origin.is_template();
        let freed = self.complete(&mut state).filter(|_| serves);
        Ok((event, freed.map(|asked| asked == Asked::First)))
    }

    pub(crate) fn extension_failed_init(&self, id: Uuid, why: String) -> Result<(), Refusal> {
        self.state.lock().extensions.fail_init(id, why)
    }

    pub(crate) fn extension_failed(&self, id: Uuid, why: String) -> Result<(), Refusal> {
        self.state.lock().extensions.fail(id, why)
    }

    // ---- inside ----

    /// The runtime has asked for more: what it has asked for the end of is over when all extensions have, too. Returns
    /// what is over now.
    pub(super) fn complete(&self, state: &mut State) -> Option<Asked> {
        let round = state.round?;
        if !state.extensions.all_ready() {
            return None;
        }
        state.round = None;
        match round {
            Asked::First => {
                state.extensions.close();
                self.report_start(state);
                self.log.close_telemetry();
                if let Some(current) = &state.current {
                    let event = current.invoke_event();
                    state.extensions.tell(&event);
                }
                if let Some(event) = state.pending.take() {
                    state.hand_out(event);
                }
                self.changed.notify_one();
            }
            Asked::Next => self.end_request(state),
            Asked::Again => {}
        }
        Some(round)
    }

    /// The log tells how each extension came through the init phase.
    pub(super) fn tell_extensions(&self, state: &State) {
        for extension in state.extensions.summary() {
            self.log.event(&PlatformEvent::Extension(extension));
        }
    }
}

impl State {
    /// Whether the init phase is not over.
    pub(super) fn is_starting(&self) -> bool {
        self.machine.is_starting() || self.round == Some(Asked::First)
    }

    /// Whether that takes the instance's own time. A parked process waits for its supervisor, however long that takes.
    pub(super) fn is_initialising(&self) -> bool {
        matches!(self.machine, Machine::Init | Machine::Restoring)
            || self.round == Some(Asked::First)
    }
}
