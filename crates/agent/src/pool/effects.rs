//! From a decision to what follows from it. Decisions are taken under the pool's one lock, in microseconds;
//! starting, stopping and waking happen after it is released.

use std::sync::Arc;

use parking_lot::MutexGuard;
use pilotlight_model::function::FunctionSpec;
use pilotlight_model::ladder::Rung;
use pilotlight_model::node::NodeError;
use tokio::sync::oneshot;

use super::Pool;
use super::admission::Admitted;
use super::handles::{Lease, Turn};
use super::holdings::Background;
use super::members::Occupant;
use super::orders::{Call, Grant, Purpose, StartOrder};
use super::state::State;
use crate::clock;

/// What is to be done once the lock is released.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) stop: Vec<Occupant>,
    pub(super) start: Vec<Admitted>,
    pub(super) refuse: Vec<(oneshot::Sender<Grant>, NodeError)>,
    /// Specs of the versions whose spare was taken.
    pub(super) spares_taken: Vec<Arc<FunctionSpec>>,
    pub(super) given_up: Vec<Rung>,
    /// Versions that are to have up to that rung what they lack.
    pub(super) raise: Vec<(Arc<FunctionSpec>, Rung)>,
    /// What may start has grown by what the policy said.
    pub(super) admit: bool,
    /// Orders that come to nothing: who ordered is told by the drop.
    pub(super) dropped: Vec<Background>,
}

impl Pool {
    /// The books, at this moment: all of one decision happens at one time, and none before another.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        state.now = clock::now();
        state
    }

    /// Takes a decision, does what the policy says to it, and carries out what follows.
    pub(super) fn decide<T>(
        self: &Arc<Self>,
        decision: impl FnOnce(&mut State, &mut Effects) -> T,
    ) -> T {
        let mut effects = Effects::default();
        let (decided, earlier) = {
            let mut state = self.lock();
            let decided = decision(&mut state, &mut effects);
            state.settle(&mut effects);
            let ahead = state.ahead.next();
            (decided, state.mind.set_clock(ahead))
        };
        if earlier {
            self.clock_changed.notify_one();
        }
        self.carry_out(effects);
        decided
    }

    /// Takes a decision that somebody waits for, and carries it out before the policy hears of it. It does with the
    /// next one, or when it is told to [catch up](Pool::catch_up).
    pub(super) fn decide_at_once<T>(
        self: &Arc<Self>,
        decision: impl FnOnce(&mut State, &mut Effects) -> T,
    ) -> T {
        let mut effects = Effects::default();
        let decided = decision(&mut self.lock(), &mut effects);
        self.carry_out(effects);
        decided
    }

    /// A policy that may be late hears what has happened, and what it says to that is done. Others hear of it with the
    /// next decision, which is the request's end at the latest.
    pub(crate) fn catch_up(self: &Arc<Self>) {
        if self.hurries {
            self.decide(|_, _| ());
        }
    }

    /// Starts what may be started now.
    pub(super) fn pump(self: &Arc<Self>) {
        self.decide(|state, effects| state.admit(state.now, effects));
    }

    fn carry_out(self: &Arc<Self>, effects: Effects) {
        for occupant in effects.stop {
            occupant.stop();
        }
        for rung in effects.given_up {
            (self.outside)(Call::GivenUp(rung));
        }
        for spec in effects.spares_taken {
            (self.outside)(Call::SpareTaken(spec));
        }
        drop(effects.dropped);
        for (spec, rung) in effects.raise {
            (self.outside)(Call::Raise(spec, rung));
        }
        for (sender, error) in effects.refuse {
            let _ = sender.send(Grant::Refused(error));
        }
        for admitted in effects.start {
            (self.outside)(Call::Start(Box::new(self.start_order(admitted))));
        }
    }

    fn start_order(self: &Arc<Self>, admitted: Admitted) -> StartOrder {
        StartOrder {
            instance: admitted.instance,
            spec: admitted.spec,
            cheapest: admitted.cheapest,
            finishing: admitted.finishing,
            admitted: admitted.at,
            turn: Turn {
                pool: Arc::clone(self),
                background: !matches!(admitted.purpose, Purpose::Request(_)),
            },
            lease: Lease {
                pool: Arc::clone(self),
                instance: admitted.instance,
            },
            purpose: admitted.purpose,
        }
    }
}
