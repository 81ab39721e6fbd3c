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
mod start_trace;
mod telemetry;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use parking_lot::Mutex;
use pilotlight_model::function::FunctionSpec;
use pilotlight_model::ids::{InstanceId, RequestId};
use pilotlight_model::limits::{INVOKE_RESPONSE_BYTES, STREAMED_RESPONSE_BYTES};
use pilotlight_model::node::{InvokeReply, InvokeRequest, ResponseSink, StreamBegun};
use pilotlight_model::start::{Instant, Phase, StartKind, Timeline};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant as Deadline;

use crate::clock;
use crate::extensions::{Event as ExtensionEvent, Registry};
use crate::failure::{Failure, UNHANDLED};
use crate::launcher::Process;
use crate::logs::InstanceLog;
use crate::platform_events::PlatformEvent;
use origin::Origin;
use reporting::Unreported;

pub(crate) use machine::{Asked, Machine, Refusal};
pub(crate) use origin::{Begin, Restore};
pub(crate) use oversight::Verdict;
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

/// What becomes of a `GET …/next`.
pub(crate) enum Next {
    /// The event is there.
    Event(Event),
    /// It comes; an error means that the instance ends. `freed` says whether the instance is now free.
    Wait {
        freed: Option<Asked>,
        event: oneshot::Receiver<Event>,
    },
}

/// What the runtime answered.
#[derive(Debug)]
pub(crate) enum Answer {
    Response(Bytes),
    /// All of it, so many bytes, has been handed on.
    Streamed(u64),
    /// `POST …/error`, or what cut a streamed answer short.
    Error(Bytes),
    /// More bytes than an answer may have.
    TooLarge(u64),
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

    // ---- the invocation's side ----

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

    // ---- the runtime's side ----

    /// `GET …/next`.
    pub(crate) fn ask(&self, marks: InitMarks) -> Result<Next, Refusal> {
        let mut state = self.state.lock();
        let asked = state.machine.ask()?;
        match asked {
            Asked::First => {
                self.end_start(&mut state, marks);
                state.round = Some(asked);
            }
            Asked::Next => {
                self.end_runtime(&mut state);
                state.round = Some(asked);
            }
            Asked::Again => {}
        }
        let freed = match self.complete(&mut state) {
            // What is to be a template waits for nobody else.
            None if state.origin.is_template() && asked == Asked::First => Some(asked),
            freed => freed,
        };
        // A request that has waited for the start waits for its extensions, too.
        if state.round.is_none()
            && let Some(event) = state.pending.take()
        {
            state.machine.deliver(event.request_id);
            state.fetched = true;
            return Ok(Next::Event(event));
        }
        // A second waiting request replaces the first, whose connection is most likely gone.
        let (sender, event) = oneshot::channel();
        state.waiting = Some(sender);
        Ok(Next::Wait { freed, event })
    }

    /// The waiting `GET …/next` has got its event and writes it to the runtime.
    pub(crate) fn fetched(&self) {
        self.state.lock().fetched = true;
    }

    /// `POST …/error`: the body is about to be read.
    pub(crate) fn begin_answer(&self, request: RequestId) -> Result<(), Refusal> {
        self.state.lock().machine.begin_answer(request)
    }

    /// `POST …/response`: the body is about to be read. Returns where it may go as it comes, if the caller
    /// wants that.
    pub(crate) fn begin_response(
        &self,
        request: RequestId,
    ) -> Result<Option<Arc<dyn ResponseSink>>, Refusal> {
        let mut state = self.state.lock();
        let State {
            machine, current, ..
        } = &mut *state;
        // Of a streamed answer that broke off the caller has seen a part: there is no second one.
        if current.as_ref().is_some_and(|it| it.streamed) && *machine == Machine::Running(request) {
            return Err(Machine::Answering(request).refuse("InvocationResponse"));
        }
        machine.begin_answer(request)?;
        let current = current.as_ref();
        Ok(current.and_then(|current| current.request.stream.clone()))
    }

    /// The first byte of an answer that is streamed is there. Nothing if it comes too late.
    pub(crate) fn begin_stream(
        &self,
        request: RequestId,
        content_type: Option<HeaderValue>,
    ) -> Option<StreamBegun> {
        let at = clock::now();
        let mut state = self.state.lock();
        let current = state.current.as_mut();
        let current = current.filter(|current| current.request.request_id == request)?;
        current.streamed = true;
        current.first_byte = Some(at);
        current.request.timeline.end(Phase::Handler, at);
        Some(StreamBegun {
            content_type,
            instance: self.id,
            kind: current.kind,
            timeline: current.request.timeline.clone(),
        })
    }

    /// The body did not come to its end.
    pub(crate) fn abandon_answer(&self, request: RequestId) {
        self.state.lock().machine.abandon_answer(request);
    }

    /// The body is there.
    pub(crate) fn finish_answer(&self, request: RequestId, answer: Answer) {
        let at = clock::now();
        let mut state = self.state.lock();
        if !state.machine.finish_answer(request) {
            return;
        }
        self.finishing.fetch_add(1, Ordering::Relaxed);
        state.answered = true;
        let (payload, failure) = match answer {
            Answer::Response(payload) => (payload, None),
            Answer::Streamed(bytes) => {
                if let Some(current) = &mut state.current {
                    current.handed_on = bytes;
                }
                (Bytes::new(), None)
            }
            Answer::Error(payload) => {
                self.reply(&mut state, at, payload, Some(UNHANDLED), None);
                return;
            }
            Answer::TooLarge(bytes) => {
                let limit = match state.current.as_ref().is_some_and(|it| it.streamed) {
                    true => STREAMED_RESPONSE_BYTES,
                    false => INVOKE_RESPONSE_BYTES as u64,
                };
                let failure = Failure::TooLarge { bytes, limit };
                (failure.payload(request), Some(failure))
            }
        };
        let error = failure.as_ref().map(|_| UNHANDLED);
        self.reply(&mut state, at, payload, error, failure);
    }

    /// `POST …/init/error`.
    pub(crate) fn fail_init(&self, error_type: String, body: Bytes) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        state.machine.fail_init()?;
        state.failed = Some(Failure::Init { error_type, body });
        self.changed.notify_one();
        Ok(())
    }

    // ---- the pool's side ----

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
