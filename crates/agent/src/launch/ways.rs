//! The addresses inside a sandbox that its processes can connect to, and who serves them.

use std::sync::Arc;

use pilotlight_model::node::Inhabitant;
use pilotlight_sandbox::Listeners;
use tokio::net::{TcpListener, UnixStream};

use super::Launching;
use crate::environment::Initialization;
use crate::launcher::LaunchError;
use crate::runtime_api::{Outstanding, Server, Via};

/// What is still to be served; nothing, once it is.
#[derive(Default)]
pub(super) struct Ways {
    runtime_api: Option<TcpListener>,
    /// The inner door's. It meets the reactor where it is served, off the path of a start.
    door: Option<std::net::TcpListener>,
}

impl Ways {
    pub(super) fn of(taken: Option<Listeners>) -> Result<Self, LaunchError> {
        let Some(listeners) = taken else {
            return Ok(Self::default());
        };
        let runtime_api = TcpListener::from_std(listeners.runtime_api)
            .map_err(|error| LaunchError::platform("runtime api listener", error))?;
        Ok(Self {
            runtime_api: Some(runtime_api),
            door: Some(listeners.inner_door),
        })
    }
}

impl Launching<'_> {
    /// Serves what the sandbox's processes connect to, and the connection that its program inherited.
    pub(super) fn listen(
        &self,
        connection: Option<UnixStream>,
        ways: Ways,
        outstanding: Option<(Outstanding, Via)>,
    ) -> Server {
        let (instance, on_free) = (Arc::clone(self.instance), Arc::clone(&self.on_free));
        let door = ways.door.zip(self.node.inner_door.as_ref());
        let door = door.map(|(listener, door)| {
            let inhabitant = Inhabitant {
                version: instance.spec.key.clone(),
                one_answer: self.initialization == Initialization::SnapStart,
                serving: Arc::clone(self.instance) as _,
            };
            door.serve_inside(inhabitant, listener)
        });
        Server::start(
            instance,
            on_free,
            connection,
            ways.runtime_api,
            outstanding,
            door,
        )
    }
}
