//! What others hold of the pool: a place in its queue, a turn, a room. Each is given back by being dropped.

use std::sync::Arc;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::node::NodeError;
use tokio::sync::oneshot;

use super::orders::{Grant, Ticket};
use super::{Pool, Worth};

/// A request's place in the queue. Dropping it gives the place up.
pub(crate) struct Place {
    pub(super) pool: Arc<Pool>,
    pub(super) ticket: Ticket,
    pub(super) grant: oneshot::Receiver<Grant>,
    /// An instance of the version is granted already, or about to be idle.
    pub(crate) soon: bool,
    /// What comes if it is not waited for costs next to nothing.
    pub(crate) cheap: bool,
}

/// One of the node's concurrent starts. Dropping it lets the next one begin.
pub(crate) struct Turn {
    pub(super) pool: Arc<Pool>,
    /// Of a start that no request waits for.
    pub(super) background: bool,
}

/// The room of one instance. Dropped when the instance's processes are gone.
pub(crate) struct Lease {
    pub(super) pool: Arc<Pool>,
    pub(super) instance: InstanceId,
}

impl Place {
    /// Asks for a start. Until then only instances that become free serve the request.
    pub(crate) fn want_start(&self) {
        self.pool.decide(|state, effects| {
            effects.admit |= state.want_start(self.ticket);
        });
    }

    /// Asks for a start, whatever the policy says to it.
    pub(crate) fn insist(&self) {
        self.pool.decide(|state, effects| {
            state.permit(self.ticket);
            state.admit(state.now, effects);
        });
    }

    /// What the request gets.
    pub(crate) async fn grant(&mut self) -> Grant {
        match (&mut self.grant).await {
            Ok(grant) => grant,
            Err(_) => Grant::Refused(NodeError::Draining),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let left = self.pool.decide(|state, _| state.take_waiting(self.ticket));
        drop(left);
        // It may have been granted an instance at the very moment that it gave up. One that cannot
        // serve has nothing to be released.
        if let Ok(Grant::Instance(instance, _)) = self.grant.try_recv()
            && instance.is_ready()
        {
            self.pool.release(&instance, None);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.pool.decide(|state, effects| {
            state.turn_over(self.background);
            state.admit(state.now, effects);
        });
    }
}

impl Lease {
    /// What has the room is a template or a zygote now, and worth that much.
    pub(crate) fn hold(&self, rung: Rung, worth: Worth) {
        self.pool.decide(|state, effects| {
            state.hold(self.instance, rung, worth);
            state.admit(state.now, effects);
        });
    }

    /// A start has had use for it.
    pub(crate) fn used(&self) {
        self.pool.lock().used(self.instance);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (empty, provisions) = {
            let mut state = self.pool.lock();
            state.gone(self.instance);
            (state.members.is_empty(), !state.provisions.is_empty())
        };
        if empty {
            self.pool.emptied.notify_waiters();
        }
        // A provisioned one that is gone is made again, at once or at a time that is known now.
        if provisions {
            self.pool.clock_changed.notify_one();
        }
        self.pool.pump();
    }
}
