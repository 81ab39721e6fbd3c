//! The inner door of a gateway that is still to be made: the agent needs the door, and the gateway the agent.

use std::net::TcpListener;

use pilotlight_gateway::Gateway;
use pilotlight_model::node::{BoxFuture, Inhabitant, InnerDoor};
use tokio::sync::watch;

/// Inner doors before which calls wait until there is a gateway.
pub(super) struct LateDoor(watch::Receiver<Option<Gateway>>);

/// Opens a [`LateDoor`].
pub(super) struct Opens(watch::Sender<Option<Gateway>>);

impl LateDoor {
    pub(super) fn new() -> (Opens, Self) {
        let (opens, door) = watch::channel(None);
        (Opens(opens), Self(door))
    }
}

impl Opens {
    pub(super) fn open(self, gateway: Gateway) {
        self.0.send_replace(Some(gateway));
    }
}

impl InnerDoor for LateDoor {
    fn serve_inside(
        &self,
        inhabitant: Inhabitant,
        listener: TcpListener,
    ) -> BoxFuture<'static, ()> {
        let mut gateway = self.0.clone();
        Box::pin(async move {
            // An error means that there will be none: the platform does not come to serve.
            let gateway = match gateway.wait_for(Option::is_some).await {
                Ok(gateway) => gateway.clone(),
                Err(_) => None,
            };
            if let Some(gateway) = gateway {
                gateway.serve_inside(inhabitant, listener).await;
            }
        })
    }
}
