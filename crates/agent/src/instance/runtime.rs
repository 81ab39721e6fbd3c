//! What the runtime asks of an instance and answers it, as the Runtime API takes it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::HeaderValue;
use pilotlight_model::ids::RequestId;
use pilotlight_model::limits::{INVOKE_RESPONSE_BYTES, STREAMED_RESPONSE_BYTES};
use pilotlight_model::node::{ResponseSink, StreamBegun};
use pilotlight_model::start::Phase;
use tokio::sync::oneshot;

use super::{Asked, Event, InitMarks, Instance, Machine, Refusal, State};
use crate::clock;
use crate::failure::{Failure, UNHANDLED};

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
    TooLarge,
}

impl Instance {
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
            Answer::TooLarge => {
                let limit = match state.current.as_ref().is_some_and(|it| it.streamed) {
                    true => STREAMED_RESPONSE_BYTES,
                    false => INVOKE_RESPONSE_BYTES as u64,
                };
                let failure = Failure::TooLarge { limit };
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
}
