//! One instance: a process tree that serves one request at a time.
//!
//! The invocation, the runtime's connections and the supervisor meet here. An event goes from the
//! invoking task to the waiting `GET …/next` with one wake-up, and the answer back with another; the
//! supervisor sleeps meanwhile. Dropping the invocation changes nothing: the state is the instance's.

mod extensions;
mod machine;
mod origin;
mod oversight;
mod reporting;
mod runtime;
mod start_trace;
mod telemetry;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use pilotlight_model::function::FunctionSpec;
use pilotlight_model::ids::{InstanceId, RequestId};
use pilotlight_model::node::{Cause, InvokeReply, InvokeRequest, Serving};
use pilotlight_model::start::{Instant, Phase, StartKind, Timeline};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant as Deadline;

use crate::clock;
use crate::extensions::{Event as ExtensionEvent, Registry};
use crate::failure::Failure;
use crate::launcher::Process;
use crate::logs::InstanceLog;
use crate::platform_events::PlatformEvent;
use origin::Origin;
use reporting::Unreported;

pub(crate) use machine::{Asked, Machine, Refusal};
pub(crate) use origin::{Begin, Restore};
pub(crate) use oversight::Verdict;
pub(crate) use runtime::{Answer, Next};
pub(crate) use start_trace::{InitMarks, StartTrace};
pub(crate) use telemetry::NotSubscribed;

/// One instance.
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) spec: Arc<FunctionSpec>,
    pub(crate) log: Arc<InstanceLog>,
    /// Instances of the version that have answered and not asked for more: about to be idle.
    finishing: Arc<AtomicU32>,
    /// Takes no request any more; ends when the one it has is over.
    retired: AtomicBool,
    /// It has answered a request.
    served: AtomicBool,
    /// Wakes the supervisor.
    changed: Notify,
    /// The protocol, the request and its deadline change together, from the tasks of the runtime's
    /// connections, of the invocation and of the supervisor.
    state: Mutex<State>,
}

struct State {
    machine: Machine,
    /// An event that no runtime has fetched yet.
    pending: Option<Event>,
    /// The `GET …/next` that waits.
    waiting: Option<oneshot::Sender<Event>>,
    current: Option<Current>,
    extensions: Registry,
    /// Where its processes are listened to.
    listener: Weak<TcpListener>,
    /// What the runtime has asked for the end of, while extensions have not.
    round: Option<Asked>,
    /// A request has been answered and is not over.
    answered: bool,
    /// Whether the runtime's connection has taken the current event.
    fetched: bool,
    /// A request that has been answered and not been reported.
    unreported: Option<Unreported>,
    /// Until when the runtime must have answered and asked again.
    deadline: Option<Deadline>,
    /// Whether the supervisor's timer runs.
    armed: bool,
    /// Told to end at once.
    stop: bool,
    /// Why it cannot serve: answers whoever is given this instance.
    failed: Option<Failure>,
    /// What has ended it since it could.
    crashed: Option<Failure>,
    trace: StartTrace,
    /// What the process came from, and what it is still to be told.
    origin: Origin,
    /// The user's init, until the first request reports it.
    init: Option<Duration>,
    /// The restore of a fork, until the first request reports it.
    restore: Option<Duration>,
    process: Option<Arc<dyn Process>>,
    /// Peak of the process that has gone.
    peak_bytes: u64,
}

/// The request that an instance has.
struct Current {
    request: InvokeRequest,
    deadline_ms: u64,
    kind: StartKind,
    began: Instant,
    /// The same by the wall clock.
    began_at: OffsetDateTime,
    /// When its answer began.
    first_byte: Option<Instant>,
    init: Option<Duration>,
    restore: Option<Duration>,
    /// Its answer goes to the caller as it comes, and has begun.
    streamed: bool,
    /// Bytes of it, once all have.
    handed_on: u64,
    reply: oneshot::Sender<Ended>,
}

/// How a delivery ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With an answer, or with an error of the function.
    Answered(Box<InvokeReply>),
    /// The instance died before its runtime had fetched the event: any other may run it.
    Undelivered(Box<InvokeRequest>),
}

/// What `GET …/next` returns.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) request_id: RequestId,
    pub(crate) deadline_ms: u64,
    pub(crate) invoked_arn: String,
    pub(crate) trace_id: String,
    pub(crate) client_context: Option<String>,
    pub(crate) payload: Bytes,
}

impl Instance {
    pub(crate) fn new(
        id: InstanceId,
        spec: Arc<FunctionSpec>,
        log: Arc<InstanceLog>,
        finishing: Arc<AtomicU32>,
        trace: StartTrace,
    ) -> Self {
        Self {
            id,
            spec,
            log,
            finishing,
            retired: AtomicBool::new(false),
            served: AtomicBool::new(false),
            changed: Notify::new(),
            state: Mutex::new(State::new(trace)),
        }
    }

    /// Gives a request to this instance, which the caller has taken from the pool. The request comes
    /// back if the instance has ended meanwhile, or has a request.
    pub(crate) fn deliver(
        &self,
        mut request: InvokeRequest,
        kind: StartKind,
    ) -> Result<oneshot::Receiver<Ended>, Box<InvokeRequest>> {
        let mut state = self.state.lock();
        // One request at a time, whatever the pool believes.
        let taken = state.current.is_some();
        if taken || (state.machine == Machine::Over && state.failed.is_none()) {
            return Err(Box::new(request));
        }
        if !kind.was_ready() {
            state.trace.write(&mut request.timeline);
        }
        // START stands in the log before the runtime can write anything about this request.
        self.log.event(&PlatformEvent::Start {
            request: request.request_id,
            version: self.spec.key.version.to_string(),
            trace: request.trace_id.clone(),
        });
        let (reply, ended) = oneshot::channel();
        let event = Event::of(&request, self.spec.timeout);
        let (init, restore) = (state.init.take(), state.restore.take());
        let began = clock::now();
        state.fetched = false;
        state.current = Some(Current {
            deadline_ms: event.deadline_ms,
            request,
            kind,
            began,
            began_at: clock::utc(),
            first_byte: None,
            init,
            restore,
            streamed: false,
            handed_on: 0,
            reply,
        });
        if let Some(failure) = state.failed.clone() {
            self.fail(&mut state, failure, None);
            return Ok(ended);
        }
        if !state.is_starting()
            && let Some(current) = &state.current
        {
            let told = current.invoke_event();
            state.extensions.tell(&told);
        }
        state.deadline = Some(Deadline::now() + self.spec.timeout);
        if !std::mem::replace(&mut state.armed, true) {
            self.changed.notify_one();
        }
        state.hand_out(event);
        Ok(ended)
    }

    /// Ends the instance at once. Only for one that has no request, or whose request is given up.
    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.changed.notify_one();
    }

    /// The instance takes no request any more.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// It has answered a request. Whether that was the first of a fork of its version's template.
    pub(crate) fn serves_first(&self) -> bool {
        !self.served.swap(true, Ordering::Relaxed) && self.started_as() == StartKind::Forked
    }

    /// Whether the runtime has answered, and not asked for more.
    pub(crate) fn has_answered(&self) -> bool {
        matches!(self.state.lock().machine, Machine::Answered(_))
    }

    /// Whether it takes no request any more.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.id, f)
    }
}

impl Serving for Instance {
    fn request(&self) -> Option<Cause> {
        let state = self.state.lock();
        let request = &state.current.as_ref()?.request;
        Some(Cause {
            version: self.spec.key.clone(),
            request_id: request.request_id,
            at_ms: request.at_ms,
        })
    }
}

impl State {
    fn new(trace: StartTrace) -> Self {
        Self {
            machine: Machine::Init,
            pending: None,
            waiting: None,
            current: None,
            extensions: Registry::new(&[]),
            listener: Weak::new(),
            round: None,
            answered: false,
            fetched: false,
            unreported: None,
            deadline: None,
            armed: false,
            stop: false,
            failed: None,
            crashed: None,
            trace,
            origin: Origin::default(),
            init: None,
            restore: None,
            process: None,
            peak_bytes: 0,
        }
    }

    fn peak(&self) -> u64 {
        self.process
            .as_ref()
            .map_or(self.peak_bytes, |process| process.memory_peak_bytes())
    }

    /// Gives the event to the waiting runtime, or keeps it for when it asks.
    fn hand_out(&mut self, event: Event) {
        if self.machine == Machine::Ready
            && let Some(waiting) = self.waiting.take()
        {
            let id = event.request_id;
            match waiting.send(event) {
                Ok(()) => self.machine.deliver(id),
                // Its connection broke; the runtime will ask again.
                Err(event) => self.pending = Some(event),
            }
        } else {
            self.pending = Some(event);
        }
    }
}

impl Current {
    /// What extensions hear of it.
    fn invoke_event(&self) -> ExtensionEvent {
        ExtensionEvent::Invoke {
            request: self.request.request_id,
            deadline_ms: self.deadline_ms,
            invoked_arn: self.request.invoked_arn.clone(),
            trace_id: self.request.trace_id.clone(),
        }
    }

    fn give_back(self) {
        debug_assert!(!self.streamed, "who streams has seen the event");
        let _ = self.reply.send(Ended::Undelivered(Box::new(self.request)));
    }
}

impl Event {
    fn of(request: &InvokeRequest, timeout: Duration) -> Self {
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        Self {
            request_id: request.request_id,
            deadline_ms: clock::unix_ms().saturating_add(timeout_ms),
            invoked_arn: request.invoked_arn.clone(),
            trace_id: request.trace_id.clone(),
            client_context: request.client_context.clone(),
            payload: request.payload.clone(),
        }
    }
}

/// Ends a timeline's waiting phases for an instance that was already there.
pub(crate) fn found_idle(timeline: &mut Timeline, since: Instant) {
    timeline.end(Phase::Queue, since);
    timeline.end(Phase::Place, clock::now());
}

#[cfg(test)]
mod tests;
