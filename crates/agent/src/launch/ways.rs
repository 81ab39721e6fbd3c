//! The addresses inside a sandbox that its processes can connect to, until somebody serves them.

use pilotlight_sandbox::Listeners;
use tokio::net::TcpListener;

use crate::launcher::LaunchError;

/// What is still to be served; nothing, once it is.
#[derive(Default)]
pub(super) struct Ways {
    pub(super) runtime_api: Option<TcpListener>,
    /// The inner door's. It meets the reactor where it is served, off the path of a start.
    pub(super) door: Option<std::net::TcpListener>,
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
