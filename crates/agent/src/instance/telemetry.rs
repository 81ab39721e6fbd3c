//! Subscriptions to what an instance's log is told.

use std::sync::{Arc, Weak};

use pilotlight_sandbox::network::NetNs;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::Instance;
use crate::extensions::Refusal;
use crate::platform_events::PlatformEvent;
use crate::telemetry::Subscription;

/// Why an extension has no subscription.
#[derive(Debug)]
pub(crate) enum NotSubscribed {
    Refused(Refusal),
    /// It comes too late.
    Closed,
}

impl Instance {
    /// Its processes are listened to there: from within the network that they have, and nobody else.
    pub(crate) fn listens_at(&self, listener: &Arc<TcpListener>) {
        self.state.lock().listener = Arc::downgrade(listener);
    }

    /// An extension subscribes to telemetry.
    pub(crate) fn subscribe(
        &self,
        id: Uuid,
        subscription: Subscription,
    ) -> Result<(), NotSubscribed> {
        let state = self.state.lock();
        let name = state.extensions.name_of(id);
        let name = name.map_err(NotSubscribed::Refused)?;
        let inside = inside(&state.listener).ok_or(NotSubscribed::Closed)?;
        let told = PlatformEvent::Subscribed {
            api: subscription.api,
            name: name.clone(),
            types: subscription.types(),
        };
        if !self.log.subscribe(&name, subscription, Arc::new(inside)) {
            return Err(NotSubscribed::Closed);
        }
        self.log.event(&told);
        Ok(())
    }
}

/// The network that the listener is in.
fn inside(listener: &Weak<TcpListener>) -> Option<NetNs> {
    let listener = listener.upgrade()?;
    let inside = NetNs::of_socket(&*listener);
    inside
        .inspect_err(|error| tracing::warn!(%error, "an instance's network cannot be entered"))
        .ok()
}
