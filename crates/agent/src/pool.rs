//! Which instances there are, who waits for one, and what may be started: the node's bookkeeping.
//!
//! A request takes an idle instance, or a ticket. A ticket is served by whatever comes first: an
//! instance of its version that becomes free, or the start that it is entitled to once its turn has come
//! and there is room. Turns go in order of arrival, so that no request is overtaken for ever; room is
//! made by reclaiming what the policy says.
//!
//! What is kept for starts to come (spares, templates, zygotes) has its room here too, and gives it up
//! when an instance needs it.

mod admission;
mod counts;
mod handles;
mod holdings;
mod provisions;
mod state;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::limits::Limits;
use pilotlight_model::node::{NodeError, VersionCounts};
use pilotlight_model::start::{Cold, Instant, StartKind};
use tokio::sync::{Notify, oneshot};

use crate::clock;
use crate::instance::Instance;
use crate::warm_up::Expected;
use holdings::Background;
use state::{Effects, State, Waiting};

pub(crate) use handles::{Lease, Place, Turn};
pub(crate) use holdings::{Occupant, Worth};

/// The pool of a node.
pub(crate) struct Pool {
    /// Every decision is taken under this one lock and takes microseconds; what follows from it
    /// (starting, stopping, waking) happens after it is released.
    state: Mutex<State>,
    outside: Box<dyn Fn(Call) + Send + Sync>,
    /// The policy wants to be woken earlier than was said before.
    wake_changed: Notify,
    /// The last instance has gone.
    emptied: Notify,
}

/// What the pool asks of the rest of the node, outside any lock.
pub(crate) enum Call {
    /// Make this start.
    Start(Box<StartOrder>),
    /// The version's spare has been taken.
    SpareTaken(Arc<FunctionSpec>),
    /// Something was given up for want of room.
    GivenUp(Rung),
}

/// Leave to start one process.
pub(crate) struct StartOrder {
    pub(crate) instance: InstanceId,
    pub(crate) spec: Arc<FunctionSpec>,
    pub(crate) purpose: Purpose,
    /// The cheapest kind of start that is wanted.
    pub(crate) cheapest: StartKind,
    pub(crate) finishing: Arc<AtomicU32>,
    pub(crate) admitted: Instant,
    pub(crate) turn: Turn,
    pub(crate) lease: Lease,
}

/// What a start is for.
pub(crate) enum Purpose {
    /// The request that caused it.
    Request(Ticket),
    /// To wait, forked, for a request to come.
    Spare(Done),
    /// To become the version's template.
    Template(Done),
    /// To be idle, initialised, before a request comes.
    WarmUp(Expected),
    /// To serve, as one of those that are provisioned.
    Provisioned,
}

/// Dropped when a start off the path is over, whichever way, for those who wait for it.
pub(crate) type Done = Box<dyn Send>;

/// Names a waiting request; in order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(u64);

/// What a waiting request gets.
pub(crate) enum Grant {
    /// This instance, for itself alone.
    Instance(Arc<Instance>, StartKind),
    /// Nothing.
    Refused(NodeError),
}

impl Pool {
    /// A pool within those limits; `outside` is called, outside any lock, for what is to be done.
    pub(crate) fn new(
        limits: &Limits,
        capacity_mb: u64,
        outside: impl Fn(Call) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::new(limits, capacity_mb)),
            outside: Box::new(outside),
            wake_changed: Notify::new(),
            emptied: Notify::new(),
        })
    }

    /// Takes an instance of that version that is ready: of the idle ones the one used last, whose caches
    /// are the warmest, while the others grow old enough to be reclaimed; or else the spare, unless an
    /// idle one is about to be there.
    pub(crate) fn take_ready(
        self: &Arc<Self>,
        spec: &Arc<FunctionSpec>,
        cold: Option<Cold>,
    ) -> Result<Option<(Arc<Instance>, StartKind)>, NodeError> {
        let mut effects = Effects::default();
        let taken = {
            let mut state = self.state.lock();
            if state.draining {
                return Err(NodeError::Draining);
            }
            state.refresh(spec, &mut effects);
            state.pop_ready(&spec.key, cold, &mut effects)
        };
        self.carry_out(effects);
        Ok(taken)
    }

    /// Gives a request a place in the queue. One that is `cold` is served by its own start alone.
    pub(crate) fn queue(
        self: &Arc<Self>,
        spec: &Arc<FunctionSpec>,
        cold: Option<Cold>,
    ) -> Result<Place, NodeError> {
        let mut effects = Effects::default();
        let place = {
            let mut state = self.state.lock();
            if state.draining {
                return Err(NodeError::Draining);
            }
            state.refresh(spec, &mut effects);
            let (sender, grant) = oneshot::channel();
            let soon = cold.is_none()
                && state
                    .versions
                    .get(&spec.key)
                    .is_some_and(|version| version.finishing.load(Ordering::Relaxed) > 0);
            let ticket = state.wait(Waiting {
                spec: Arc::clone(spec),
                sender,
                cold,
            })?;
            // One may have become idle since the request looked, and must not be left beside a start.
            let granted = cold.is_none() && state.grant_idle(ticket);
            Place {
                pool: Arc::clone(self),
                ticket,
                grant,
                soon: soon || granted,
                cheap: state.is_cheap(&spec.key),
            }
        };
        self.carry_out(effects);
        Ok(place)
    }

    /// Attaches the instance that a start order made.
    pub(crate) fn attach(&self, instance: &Arc<Instance>) {
        let stop = {
            let mut state = self.state.lock();
            if let Some(member) = state.members.get_mut(&instance.id) {
                member.occupant = Some(Occupant::Instance(Arc::clone(instance)));
            }
            // It may have been deleted between the order and now, when there was no instance to tell.
            if state.is_retired(&instance.spec) {
                instance.retire();
            }
            state.killing || state.is_ending(instance.id) || state.is_outdated(instance)
        };
        if stop {
            instance.stop();
        }
    }

    /// The instance has nothing to do. `started_for` names the request that its start was for, when
    /// this is the end of the start.
    pub(crate) fn release(self: &Arc<Self>, instance: &Arc<Instance>, started_for: Option<Ticket>) {
        let mut effects = Effects::default();
        let started_for = started_for.map(|ticket| (ticket, instance.started_as()));
        let (wake, starts_wanted) = {
            let mut state = self.state.lock();
            let before = state.wake_at;
            state.release(instance, started_for, &mut effects);
            (
                state.wake_earlier_than(before),
                !state.starts_wanted.is_empty() || !state.background.is_empty(),
            )
        };
        if wake {
            self.wake_changed.notify_one();
        }
        self.carry_out(effects);
        if starts_wanted {
            // Room that only an idle instance holds can be made now.
            self.pump();
        }
    }

    /// Gives an instance, in whatever state it is, to the request that its start was for. False if
    /// that request waits no more.
    pub(crate) fn hand_over(&self, instance: &Arc<Instance>, ticket: Ticket) -> bool {
        let mut state = self.state.lock();
        let Some(waiting) = state.take_waiting(ticket) else {
            return false;
        };
        state.set_busy(instance.id);
        drop(state);
        waiting
            .sender
            .send(Grant::Instance(Arc::clone(instance), instance.started_as()))
            .is_ok()
    }

    /// Refuses the request that a start was for. False if that request waits no more.
    pub(crate) fn refuse(&self, ticket: Ticket, error: NodeError) -> bool {
        let waiting = self.state.lock().take_waiting(ticket);
        waiting.is_some_and(|waiting| waiting.sender.send(Grant::Refused(error)).is_ok())
    }

    /// Takes note of a newer revision, so that instances of older ones take no new request.
    pub(crate) fn refresh(self: &Arc<Self>, spec: &Arc<FunctionSpec>) {
        let mut effects = Effects::default();
        self.state.lock().refresh(spec, &mut effects);
        self.carry_out(effects);
    }

    /// How many instances of the version are idle. Up to `wanted` of them are kept from now on for as long
    /// as one that has just become idle.
    pub(crate) fn keep(self: &Arc<Self>, spec: &Arc<FunctionSpec>, wanted: u32) -> usize {
        let mut effects = Effects::default();
        let idle = self.state.lock().keep(spec, wanted as usize, &mut effects);
        self.carry_out(effects);
        idle
    }

    /// Takes up to `wanted` idle instances of the version, which no request gets meanwhile.
    pub(crate) fn take_idle(&self, spec: &FunctionSpec, wanted: u32) -> Vec<Arc<Instance>> {
        let mut state = self.state.lock();
        let take = |_| state.take_idle(&spec.key);
        (0..wanted).map_while(take).collect()
    }

    /// Orders a start off the path: it is made when no request waits for a turn.
    pub(crate) fn order(self: &Arc<Self>, spec: Arc<FunctionSpec>, purpose: Purpose) {
        let order = Background { spec, purpose };
        // Who is refused is told by being dropped, once the lock is free.
        let refused = self.state.lock().order(order);
        drop(refused);
        self.pump();
    }

    /// A fork is ready and waits for a request. It is worth that much.
    pub(crate) fn stock(self: &Arc<Self>, instance: &Arc<Instance>, worth: Worth) {
        let mut effects = Effects::default();
        self.state.lock().stock(instance, worth, &mut effects);
        self.carry_out(effects);
        self.pump();
    }

    /// The instance was to become a template and cannot: it serves.
    pub(crate) fn adopt(self: &Arc<Self>, instance: &Arc<Instance>) {
        self.state.lock().adopt(instance.id);
    }

    /// Room for something that belongs to no version, if there is any.
    pub(crate) fn reserve(self: &Arc<Self>, memory_mb: u64, occupant: Occupant) -> Option<Lease> {
        let instance = self.state.lock().reserve(memory_mb, occupant)?;
        Some(Lease {
            pool: Arc::clone(self),
            instance,
        })
    }

    /// Whether a template of that version and a spare have room, with nothing given up.
    pub(crate) fn has_room_to_hold(&self, spec: &FunctionSpec) -> bool {
        self.state.lock().has_room_to_hold(spec)
    }

    /// Whether a template of that version waits for room, and nothing is on its way out that would give it.
    pub(crate) fn is_short_of_room(&self, key: &VersionKey) -> bool {
        self.state.lock().is_short_of_room(key)
    }

    /// How often each version was used since the last call.
    pub(crate) fn take_uses(&self) -> Vec<(VersionKey, u64)> {
        self.state.lock().take_uses()
    }

    /// Spares of that version, ready ones.
    pub(crate) fn spares(&self, key: &VersionKey) -> usize {
        let state = self.state.lock();
        state.versions.get(key).map_or(0, |it| it.spares.len())
    }

    /// Whether the node takes no more requests.
    pub(crate) fn is_draining(&self) -> bool {
        self.state.lock().draining
    }

    /// Lets go of a version: idle instances at once, the others after what they do.
    pub(crate) fn retire(self: &Arc<Self>, key: &VersionKey) {
        let mut effects = Effects::default();
        self.state.lock().retire(key, &mut effects);
        self.carry_out(effects);
    }

    /// Lets go of what runs from a version's folder as it was before: idle instances at once, the others
    /// after what they do. Starts to come see it as it is.
    pub(crate) fn outdate(self: &Arc<Self>, key: &VersionKey) {
        let mut effects = Effects::default();
        self.state.lock().outdate(key, &mut effects);
        self.carry_out(effects);
        self.pump();
    }

    /// Runs the policy's clock; never ends by itself.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        loop {
            let mut effects = Effects::default();
            let wake_at = {
                let (mut state, now) = (self.state.lock(), clock::now());
                state.tick(now, &mut effects);
                let provisions = state.provisions.wake_at(now);
                [state.wake_at, provisions].into_iter().flatten().min()
            };
            self.carry_out(effects);
            self.pump();
            let pause = wake_at.map(|at| at.since(clock::now()));
            tokio::select! {
                () = sleep_or_never(pause) => {}
                () = self.wake_changed.notified() => {}
            }
        }
    }

    /// From now on nothing is started or accepted; idle instances end, and who waits is sent away.
    pub(crate) fn drain(self: &Arc<Self>) {
        let mut effects = Effects::default();
        self.state.lock().drain(&mut effects);
        self.carry_out(effects);
    }

    /// Ends every instance, whatever it does.
    pub(crate) fn kill_all(&self) {
        let occupants: Vec<_> = {
            let mut state = self.state.lock();
            state.killing = true;
            state
                .members
                .values()
                .filter_map(|member| member.occupant.clone())
                .collect()
        };
        for occupant in occupants {
            occupant.stop();
        }
    }

    /// Resolves when no instance is left.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.state.lock().members.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Memory promised, memory that may be promised, and what every version has.
    pub(crate) fn counts(&self) -> (u64, u64, std::collections::BTreeMap<String, VersionCounts>) {
        let state = self.state.lock();
        (state.promised_mb, state.capacity_mb, state.counts())
    }

    fn carry_out(&self, effects: Effects) {
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
        for (sender, error) in effects.refuse {
            let _ = sender.send(Grant::Refused(error));
        }
        debug_assert!(effects.start.is_empty(), "starts are carried out by `pump`");
    }

    /// Starts what may be started now.
    fn pump(self: &Arc<Self>) {
        let mut effects = Effects::default();
        self.state.lock().admit(clock::now(), &mut effects);
        let starts = std::mem::take(&mut effects.start);
        self.carry_out(effects);
        for admitted in starts {
            (self.outside)(Call::Start(Box::new(StartOrder {
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
            })));
        }
    }
}

async fn sleep_or_never(pause: Option<std::time::Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}
