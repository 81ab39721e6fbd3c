//! Who has registered, who waits, and what an extension may say when. Decides; whoever holds it acts.

mod extension;

use tokio::sync::oneshot;
use uuid::Uuid;

use extension::Extension;

pub(crate) use extension::{Event, Events, Refusal, State, Subscribed};

/// Extensions of an instance, as on Lambda.
pub(crate) const MAX_EXTENSIONS: usize = 10;

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
        if !asking.state.takes_part() {
            return Err(asking.refuse(State::Ready));
        }
        asking.state = State::Ready;
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
            State::ExitError => Ok(()),
            state if state.takes_part() => {
                failing.state = State::ExitError;
                failing.error_type = Some(error_type);
                Ok(())
            }
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
            if wanted && it.state.takes_part() {
                it.tell(event.clone());
            }
        }
    }

    /// Which of the external extensions will hear of a shutdown, by their places.
    pub(crate) fn hear_of_shutdown(&self) -> Vec<bool> {
        let external = self.all.iter().filter(|it| it.external);
        let hears = |it: &Extension| it.events.shutdown && it.state.takes_part();
        external.map(hears).collect()
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
        self.all.iter().map(Extension::summary).collect()
    }

    fn find(&mut self, id: Uuid) -> Result<&mut Extension, Refusal> {
        let mut all = self.all.iter_mut();
        all.find(|it| it.id == id && it.state != State::Started)
            .ok_or(Refusal::Unknown(id))
    }
}

#[cfg(test)]
mod tests;
