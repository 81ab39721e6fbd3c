//! Who has registered, who waits, and what an extension may say when. Decides; whoever holds it acts.

use pilotlight_model::ids::RequestId;
use tokio::sync::oneshot;
use uuid::Uuid;

/// Extensions of an instance, as on Lambda.
pub(crate) const MAX_EXTENSIONS: usize = 10;

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

struct Extension {
    name: String,
    id: Uuid,
    /// A process of its own.
    external: bool,
    events: Events,
    state: State,
    error_type: Option<String>,
    /// An event that it has not asked for yet.
    pending: Option<Event>,
    /// The question that waits.
    waiting: Option<oneshot::Sender<Event>>,
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

/// The extensions of one process of an instance.
pub(crate) struct Registry {
    all: Vec<Extension>,
    /// The init phase is over: nobody registers any more.
    closed: bool,
    /// They have been told to end.
    leaving: bool,
}

impl Registry {
    /// With external extensions of those names, whose processes are being started.
    pub(crate) fn new(external: &[String]) -> Self {
        let all = external.iter().map(|name| Extension::new(name, true));
        Self {
            all: all.collect(),
            closed: false,
            leaving: false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn has_internal(&self) -> bool {
        self.all.iter().any(|it| !it.external)
    }

    /// Whether a runtime may be started beside them.
    pub(crate) fn all_registered(&self) -> bool {
        self.all.iter().all(|it| it.state != State::Started)
    }

    /// Whether nobody has still to ask for more before the start, or the request, is over.
    pub(crate) fn all_ready(&self) -> bool {
        let done = |it: &Extension| match it.state {
            State::Ready | State::LaunchError | State::Exited => true,
            // Whoever has no event to work on has asked once.
            State::Started | State::Registered | State::Running => false,
            State::InitError | State::ExitError => false,
        };
        self.all.iter().all(done)
    }

    /// `POST …/register`.
    pub(crate) fn register(&mut self, name: &str, events: Events) -> Result<Uuid, Refusal> {
        if let Some(found) = self
            .all
            .iter_mut()
            .find(|it| it.external && it.name == name)
        {
            found.change(State::Started, State::Registered)?;
            found.events = events;
            return Ok(found.id);
        }
        if self.closed {
            return Err(Refusal::Closed);
        }
        if self.all.len() >= MAX_EXTENSIONS {
            return Err(Refusal::TooMany);
        }
        if self.all.iter().any(|it| it.name == name) {
            return Err(Refusal::Name);
        }
        if events.shutdown {
            return Err(Refusal::Event("SHUTDOWN".to_owned()));
        }
        let mut internal = Extension::new(name, false);
        internal.state = State::Registered;
        internal.events = events;
        let id = internal.id;
        self.all.push(internal);
        Ok(id)
    }

    /// `GET …/event/next`: the event, once there is one. A second question replaces the first, whose connection is most
    /// likely gone. An error of the receiver's means that the instance ends.
    pub(crate) fn ask(&mut self, id: Uuid) -> Result<oneshot::Receiver<Event>, Refusal> {
        let asking = self.find(id)?;
        match asking.state {
            State::Registered | State::Ready | State::Running => asking.state = State::Ready,
            _ => return Err(asking.refuse(State::Ready)),
        }
        let (sender, event) = oneshot::channel();
        asking.waiting = Some(sender);
        if let Some(event) = asking.pending.take() {
            asking.tell(event);
        }
        Ok(event)
    }

    /// `POST …/init/error`.
    pub(crate) fn fail_init(&mut self, id: Uuid, error_type: String) -> Result<(), Refusal> {
        let failing = self.find(id)?;
        if failing.state != State::InitError {
            failing.change(State::Registered, State::InitError)?;
            failing.error_type = Some(error_type);
        }
        Ok(())
    }

    /// `POST …/exit/error`.
    pub(crate) fn fail(&mut self, id: Uuid, error_type: String) -> Result<(), Refusal> {
        let failing = self.find(id)?;
        match failing.state {
            State::Registered | State::Ready | State::Running => {
                failing.state = State::ExitError;
                failing.error_type = Some(error_type);
                Ok(())
            }
            State::ExitError => Ok(()),
            _ => Err(failing.refuse(State::ExitError)),
        }
    }

    /// The name behind an identifier.
    pub(crate) fn name_of(&self, id: Uuid) -> Result<String, Refusal> {
        let mut all = self.all.iter();
        let found = all.find(|it| it.id == id && it.state != State::Started);
        found.map(|it| it.name.clone()).ok_or(Refusal::Unknown(id))
    }

    /// The process of that external extension could not be started.
    pub(crate) fn not_launched(&mut self, index: usize, error_type: &str) {
        if let Some(it) = self.all.get_mut(index) {
            it.state = State::LaunchError;
            it.error_type = Some(error_type.to_owned());
        }
    }

    /// The process of that external extension has ended. Returns the error type that Lambda has for it, if it should not
    /// have.
    pub(crate) fn ended(&mut self, index: usize) -> Option<&'static str> {
        let it = self.all.get_mut(index).filter(|it| it.external)?;
        // What was known of it before stays to be told.
        if self.leaving {
            return None;
        }
        let error = match it.state {
            State::LaunchError | State::Exited => return None,
            State::InitError => "Extension.InitError",
            State::ExitError => "Extension.ExitError",
            _ => {
                it.state = State::Exited;
                it.error_type = Some("Extension.Crash".to_owned());
                "Extension.Crash"
            }
        };
        Some(error)
    }

    /// They are told to end next.
    pub(crate) fn leave(&mut self) {
        self.leaving = true;
    }

    /// The init phase is over.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// Tells all who want to know.
    pub(crate) fn tell(&mut self, event: &Event) {
        for it in &mut self.all {
            let wanted = match event {
                Event::Invoke { .. } => it.events.invoke,
                Event::Shutdown { .. } => it.events.shutdown,
            };
            if wanted && matches!(it.state, State::Registered | State::Ready | State::Running) {
                it.tell(event.clone());
            }
        }
    }

    /// Which of the external extensions will hear of a shutdown, by their places.
    pub(crate) fn hear_of_shutdown(&self) -> Vec<bool> {
        let external = self.all.iter().filter(|it| it.external);
        external
            .map(|it| {
                it.events.shutdown
                    && matches!(it.state, State::Registered | State::Ready | State::Running)
            })
            .collect()
    }

    /// Nobody is told anything any more: whoever waits is hung up on.
    pub(crate) fn hang_up(&mut self) {
        for it in &mut self.all {
            it.waiting = None;
            it.pending = None;
        }
    }

    /// What is known of all of them.
    pub(crate) fn summary(&self) -> Vec<Subscribed> {
        let of = |it: &Extension| Subscribed {
            name: it.name.clone(),
            state: it.state,
            events: it.events.names(),
            error_type: it.error_type.clone(),
        };
        self.all.iter().map(of).collect()
    }

    fn find(&mut self, id: Uuid) -> Result<&mut Extension, Refusal> {
        let mut all = self.all.iter_mut();
        all.find(|it| it.id == id && it.state != State::Started)
            .ok_or(Refusal::Unknown(id))
    }
}

impl Extension {
    fn new(name: &str, external: bool) -> Self {
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

    fn change(&mut self, from: State, to: State) -> Result<(), Refusal> {
        if self.state != from {
            return Err(self.refuse(to));
        }
        self.state = to;
        Ok(())
    }

    fn refuse(&self, to: State) -> Refusal {
        Refusal::Transition {
            from: self.state.as_str(),
            to: to.as_str(),
            extension: match to {
                State::Registered => self.name.clone(),
                _ => self.id.to_string(),
            },
        }
    }

    fn tell(&mut self, event: Event) {
        self.state = State::Running;
        self.pending = match self.waiting.take() {
            Some(waiting) => waiting.send(event).err(),
            None => Some(event),
        };
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

    fn names(self) -> Vec<&'static str> {
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

#[cfg(test)]
mod tests;
