//! Which instances there are, who waits for one, and what may be started: the node's bookkeeping.
//!
//! A request takes an idle instance, or a ticket. A ticket is served by whatever comes first: an
//! instance of its version that becomes free, or the start that it is entitled to once its turn has come
//! and there is room. Accounts take turns, and within each its versions; room is made by reclaiming what the
//! policy says, and shared out so where it is short (`sharing`).
//!
//! What is kept for starts to come (spares, templates, zygotes) has its room here too, and gives it up
//! when an instance needs it.
//!
//! The books are `state` and what stands beside it; `happenings` tells the policy (`mind`) what happens in them,
//! `actions` does in them what the policy wants, and `effects` carries out what follows.

mod actions;
mod admission;
mod ahead;
mod counts;
mod effects;
mod handles;
mod happenings;
mod history;
mod holdings;
mod idle;
mod life;
mod members;
mod mind;
mod numbers;
mod orders;
mod provisions;
mod queue;
mod room;
mod sharing;
mod shifts;
mod state;
mod traces;
mod weights;
mod why;

use std::sync::Arc;

use parking_lot::Mutex;
use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::limits::Limits;
use pilotlight_model::node::{Declaration, InvokeRequest, NodeError};
use pilotlight_model::start::{Cold, Instant, StartKind};
use pilotlight_policy::Policy;
use tokio::sync::{Notify, oneshot};

use crate::clock;
use crate::event_log::EventLog;
use crate::instance::Instance;
use holdings::Background;
use mind::Mind;
use queue::Waiting;
use state::State;
use traces::Called;

pub(crate) use handles::{Lease, Place, Turn};
pub(crate) use holdings::Worth;
pub(crate) use members::Occupant;
pub(crate) use orders::{Call, Done, Grant, Purpose, StartOrder, Ticket};

/// The pool of a node.
pub(crate) struct Pool {
    /// Every decision is taken under this one lock: see [`Pool::decide`].
    state: Mutex<State>,
    outside: Box<dyn Fn(Call) + Send + Sync>,
    /// The policy is to hear of requests while they run.
    hurries: bool,
    /// The clock is set to ring earlier than it was.
    clock_changed: Notify,
    /// The last instance has gone.
    emptied: Notify,
}

impl Pool {
    /// A pool within those limits that keeps what the policy says, and has that written down; `outside` is called, outside any lock, for what is to be done.
    pub(crate) fn new(
        limits: &Limits,
        capacity_mb: u64,
        policy: Box<dyn Policy>,
        event_log: Option<EventLog>,
        outside: impl Fn(Call) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            hurries: policy.hurries(),
            state: Mutex::new(State::new(
                limits,
                capacity_mb,
                Mind::new(policy, event_log),
            )),
            outside: Box::new(outside),
            clock_changed: Notify::new(),
            emptied: Notify::new(),
        })
    }

    /// Takes an instance of that version that is ready: of the idle ones the one used last, whose caches
    /// are the warmest, while the others grow old enough to be reclaimed; or else the spare, unless an
    /// idle one is about to be there. The policy hears of it later: with the request's place in the queue, or when it
    /// is told to [catch up](Pool::catch_up).
    pub(crate) fn take_ready(
        self: &Arc<Self>,
        request: &InvokeRequest,
    ) -> Result<Option<(Arc<Instance>, StartKind)>, NodeError> {
        let InvokeRequest {
            spec,
            trace_id,
            cause,
            ..
        } = request;
        let called = cause
            .as_ref()
            .map(|cause| Called::now(cause, clock::unix_ms()));
        self.decide_at_once(|state, effects| {
            if state.draining {
                return Err(NodeError::Draining);
            }
            let version = state.refresh(spec, effects);
            // A start that is asked for is an experiment: nothing that it could have been ready for.
            if request.cold.is_none() {
                state.tell_arrived(version, trace_id, called);
            }
            Ok(state.pop_ready(&spec.key, request.cold, effects))
        })
    }

    /// Gives a request a place in the queue. One that is `cold` is served by its own start alone. Unless an instance
    /// is about to be there, it wants a start at once.
    pub(crate) fn queue(
        self: &Arc<Self>,
        spec: &Arc<FunctionSpec>,
        cold: Option<Cold>,
    ) -> Result<Place, NodeError> {
        let (sender, grant) = oneshot::channel();
        let waiting = Waiting::new(spec, sender, cold);
        let queued = self.decide(|state, effects| {
            if state.draining {
                return Err(NodeError::Draining);
            }
            state.refresh(spec, effects);
            let queued = state.queue(waiting)?;
            if !queued.soon {
                effects.admit |= state.want_start(queued.ticket);
            }
            Ok(queued)
        })?;
        Ok(Place {
            pool: Arc::clone(self),
            ticket: queued.ticket,
            grant,
            soon: queued.soon,
            cheap: queued.cheap,
        })
    }

    /// Attaches the instance that a start order made.
    pub(crate) fn attach(&self, instance: &Arc<Instance>) {
        let lives = self.lock().attach(instance);
        if !lives {
            instance.stop();
        }
    }

    /// The instance has nothing to do. `started_for` names the request that its start was for, when
    /// this is the end of the start.
    pub(crate) fn release(self: &Arc<Self>, instance: &Arc<Instance>, started_for: Option<Ticket>) {
        let started_for = started_for.map(|ticket| (ticket, instance.started_as()));
        self.decide(|state, effects| {
            state.release(instance, started_for, effects);
            // Room that only an idle instance holds can be made now.
            effects.admit |= !state.fair.is_empty() || !state.background.is_empty();
        });
    }

    /// Gives an instance, in whatever state it is, to the request that its start was for. False if
    /// that request waits no more.
    pub(crate) fn hand_over(self: &Arc<Self>, instance: &Arc<Instance>, ticket: Ticket) -> bool {
        self.decide(|state, _| {
            let Some(waiting) = state.take_waiting(ticket) else {
                return false;
            };
            state.set_busy(instance.id);
            state.grant(waiting, instance, instance.started_as())
        })
    }

    /// Refuses the request that a start was for. False if that request waits no more.
    pub(crate) fn refuse(self: &Arc<Self>, ticket: Ticket, error: NodeError) -> bool {
        let waiting = self.decide(|state, _| state.take_waiting(ticket));
        waiting.is_some_and(|waiting| waiting.sender.send(Grant::Refused(error)).is_ok())
    }

    /// Takes note of a newer revision, so that instances of older ones take no new request.
    pub(crate) fn refresh(self: &Arc<Self>, spec: &Arc<FunctionSpec>) {
        self.decide(|state, effects| {
            state.refresh(spec, effects);
        });
    }

    /// How many instances of the version are idle. Up to `wanted` of them are kept from now on for as long
    /// as one that has just become idle.
    pub(crate) fn keep(self: &Arc<Self>, spec: &Arc<FunctionSpec>, wanted: u32) -> usize {
        self.decide(|state, effects| state.keep(spec, wanted as usize, effects))
    }

    /// So many requests of the version may come then. With none, what was announced for that time is taken back.
    pub(crate) fn announce(self: &Arc<Self>, spec: &Arc<FunctionSpec>, requests: u32, at: Instant) {
        self.decide(|state, _| state.tell_announced(spec, requests, at));
    }

    /// Requests of one version cause requests of another, or are not said to any more.
    pub(crate) fn declare(self: &Arc<Self>, declaration: &Declaration) {
        self.decide(|state, _| state.tell_calls(declaration));
    }

    /// Takes up to `wanted` idle instances of the version, which no request gets meanwhile.
    pub(crate) fn take_idle(
        self: &Arc<Self>,
        spec: &FunctionSpec,
        wanted: u32,
    ) -> Vec<Arc<Instance>> {
        self.decide(|state, _| {
            let take = |_| state.take_idle(&spec.key);
            (0..wanted).map_while(take).collect()
        })
    }

    /// Orders a start off the path: it is made when no request waits for a turn.
    pub(crate) fn order(self: &Arc<Self>, spec: Arc<FunctionSpec>, purpose: Purpose) {
        let order = Background { spec, purpose };
        self.decide(|state, effects| state.order(order, effects));
        self.pump();
    }

    /// A fork is ready and waits for a request. It is worth that much.
    pub(crate) fn stock(self: &Arc<Self>, instance: &Arc<Instance>, worth: Worth) {
        self.decide(|state, effects| state.stock(instance, worth, effects));
        self.pump();
    }

    /// The instance was to become a template and cannot: it serves.
    pub(crate) fn adopt(&self, instance: &Arc<Instance>) {
        self.lock().adopt(instance.id);
    }

    /// Room for something that belongs to no version, if there is any.
    pub(crate) fn reserve(self: &Arc<Self>, memory_mb: u64, occupant: Occupant) -> Option<Lease> {
        let instance = self.lock().reserve(memory_mb, occupant)?;
        Some(Lease {
            pool: Arc::clone(self),
            instance,
        })
    }

    /// No template can be made of that version: the policy hears of it now, and not when starts have missed one for long.
    pub(crate) fn refused(self: &Arc<Self>, spec: &Arc<FunctionSpec>) {
        self.decide(|state, _| state.tell_refused(spec));
    }

    /// Whether a template of that version and a spare have room, with nothing given up.
    pub(crate) fn has_room_to_hold(&self, spec: &FunctionSpec) -> bool {
        self.lock().has_room_to_hold(spec)
    }

    /// Whether a template of that version waits for room, and nothing is on its way out that would give it.
    pub(crate) fn is_short_of_room(&self, key: &VersionKey) -> bool {
        self.lock().is_short_of_room(key)
    }

    /// How often each version was used since the last call.
    pub(crate) fn take_uses(&self) -> Vec<(VersionKey, u64)> {
        self.lock().take_uses()
    }

    /// Spares of that version, ready ones.
    pub(crate) fn spares(&self, key: &VersionKey) -> usize {
        let state = self.lock();
        state.versions.get(key).map_or(0, |it| it.spares.len())
    }

    /// Lets go of a version: idle instances at once, the others after what they do.
    pub(crate) fn retire(self: &Arc<Self>, key: &VersionKey) {
        self.decide(|state, effects| state.retire(key, effects));
    }

    /// Lets go of what runs from a version's folder as it was before: idle instances at once, the others
    /// after what they do. Starts to come see it as it is.
    pub(crate) fn outdate(self: &Arc<Self>, key: &VersionKey) {
        self.decide(|state, effects| state.outdate(key, effects));
        self.pump();
    }
}
