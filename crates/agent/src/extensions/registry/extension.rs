//! One extension: what it may be told, where it stands, and why it is refused.

use pilotlight_model::ids::RequestId;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::MAX_EXTENSIONS;

/// What an extension is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Invoke {
        request: RequestId,
        deadline_ms: u64,
        invoked_arn: String,
        trace_id: String,
    },
    Shutdown {
        reason: &'static str,
        deadline_ms: u64,
    },
}

/// Which events an extension wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Events {
    pub(crate) invoke: bool,
    pub(crate) shutdown: bool,
}

/// Where an extension stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Its process was started.
    Started,
    Registered,
    /// It waits for an event.
    Ready,
    /// It has one.
    Running,
    InitError,
    ExitError,
    /// Its process cannot be started.
    LaunchError,
    /// Its process has ended by itself.
    Exited,
}

/// One extension.
pub(super) struct Extension {
    pub(super) name: String,
    pub(super) id: Uuid,
    /// A process of its own.
    pub(super) external: bool,
    pub(super) events: Events,
    pub(super) state: State,
    pub(super) error_type: Option<String>,
    /// An event that it has not asked for yet.
    pub(super) pending: Option<Event>,
    /// The question that waits.
    pub(super) waiting: Option<oneshot::Sender<Event>>,
}

/// What an extension has told of itself, for people to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscribed {
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) events: Vec<&'static str>,
    pub(crate) error_type: Option<String>,
}

/// Why a request of an extension's is refused; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("Extension registration closed already")]
    Closed,
    #[error("Extension with this name already registered")]
    Name,
    #[error("Extension limit ({MAX_EXTENSIONS}) reached")]
    TooMany,
    #[error("{0}: event type is not supported for this extension")]
    Event(String),
    #[error("Unknown extension {0}")]
    Unknown(Uuid),
    #[error(
        "State transition from {from} to {to} failed for extension {extension}. Error: State transition is not allowed"
    )]
    Transition {
        from: &'static str,
        to: &'static str,
        extension: String,
    },
}

impl Extension {
    /// One whose process, if it is external, is being started.
    pub(super) fn new(name: &str, external: bool) -> Self {
        Self {
            name: name.to_owned(),
            id: Uuid::new_v4(),
            external,
            events: Events::default(),
            state: State::Started,
            error_type: None,
            pending: None,
            waiting: None,
        }
    }

    /// Goes on, where it stands so.
    pub(super) fn change(&mut self, from: State, to: State) -> Result<(), Refusal> {
        if self.state != from {
            return Err(self.refuse(to));
        }
        self.state = to;
        Ok(())
    }

    /// Why it cannot go on to that.
    pub(super) fn refuse(&self, to: State) -> Refusal {
        Refusal::Transition {
            from: self.state.as_str(),
            to: to.as_str(),
            extension: match to {
                State::Registered => self.name.clone(),
                _ => self.id.to_string(),
            },
        }
    }

    /// Gives it an event, now or when it asks.
    pub(super) fn tell(&mut self, event: Event) {
        self.state = State::Running;
        self.pending = match self.waiting.take() {
            Some(waiting) => waiting.send(event).err(),
            None => Some(event),
        };
    }

    /// What is known of it.
    pub(super) fn summary(&self) -> Subscribed {
        Subscribed {
            name: self.name.clone(),
            state: self.state,
            events: self.events.names(),
            error_type: self.error_type.clone(),
        }
    }
}

impl Events {
    /// As an extension names them.
    pub(crate) fn of(names: &[String]) -> Result<Self, Refusal> {
        let mut events = Events::default();
        for name in names {
            match name.as_str() {
                "INVOKE" => events.invoke = true,
                "SHUTDOWN" => events.shutdown = true,
                _ => return Err(Refusal::Event(name.clone())),
            }
        }
        Ok(events)
    }

    pub(super) fn names(self) -> Vec<&'static str> {
        let named = [(self.invoke, "INVOKE"), (self.shutdown, "SHUTDOWN")];
        named.iter().filter(|it| it.0).map(|it| it.1).collect()
    }
}

impl State {
    /// As Lambda's log has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::Started => "Started",
            State::Registered => "Registered",
            State::Ready => "Ready",
            State::Running => "Running",
            State::InitError => "InitError",
            State::ExitError => "ExitError",
            State::LaunchError => "LaunchError",
            State::Exited => "Exited",
        }
    }

    /// Whether it takes part in rounds: it has registered and not failed.
    pub(super) fn takes_part(self) -> bool {
        matches!(self, State::Registered | State::Ready | State::Running)
    }
}

impl Refusal {
    /// The error type that Lambda answers with.
    pub(crate) fn error_type(&self) -> &'static str {
        match self {
            Refusal::Closed => "Extension.RegistrationClosed",
            Refusal::TooMany => "Extension.TooManyExtensions",
            Refusal::Event(_) => "Extension.InvalidEventType",
            Refusal::Unknown(_) => "Extension.UnknownExtensionIdentifier",
            Refusal::Name | Refusal::Transition { .. } => "Extension.InvalidExtensionState",
        }
    }
}
