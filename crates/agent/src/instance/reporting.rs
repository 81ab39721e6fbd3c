//! The end of a request: the caller's answer, and what the log tells of it.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use pilotlight_model::node::InvokeReply;
use pilotlight_model::start::{Instant, Phase};
use time::OffsetDateTime;

use super::{Current, Ended, Instance, Machine, State};
use crate::clock;
use crate::failure::{Failure, UNHANDLED};
use crate::platform_events::{AnswerTimes, PlatformEvent, Report, RuntimeDone, Status};

/// What is to be reported of a request that is over, or has been answered at least.
pub(super) struct Unreported {
    pub(super) report: Report,
    began: Instant,
    began_at: OffsetDateTime,
    answer: Option<AnswerTimes>,
    /// What the runtime did has been told.
    runtime_done: Option<Instant>,
}

impl Instance {
    /// Answers the caller, and keeps what is to be reported. With the tail wanted the report comes
    /// first; else it waits until the runtime asks for more, when nobody waits for it.
    pub(super) fn reply(
        &self,
        state: &mut State,
        at: Instant,
        payload: Bytes,
        function_error: Option<&'static str>,
        failure: Option<Failure>,
    ) {
        let Some(Current {
            deadline_ms: _,
            request,
            kind,
            began,
            began_at,
            first_byte,
            init,
            restore,
            streamed,
            handed_on,
            reply,
        }) = state.current.take()
        else {
            return;
        };
        let duration = match failure {
            // The kill comes a little late; the function's own time is over at its limit.
            Some(Failure::TimedOut(limit)) => at.since(began).min(limit),
            _ => at.since(began),
        };
        // What the runtime has not answered with is no answer.
        let answered = matches!(state.machine, Machine::Answered(_));
        let first_byte = first_byte.unwrap_or(at);
        state.unreported = Some(Unreported {
            answer: answered.then(|| AnswerTimes {
                latency: first_byte.since(began),
                duration: at.since(first_byte),
                bytes: payload.len() as u64 + handed_on,
            }),
            began,
            began_at,
            runtime_done: None,
            report: Report {
                request: request.request_id,
                duration,
                init,
                restore,
                memory_mb: self.spec.memory_mb,
                peak_bytes: 0,
                error: function_error.is_some(),
                overhead: None,
                failure,
                trace: request.trace_id.clone(),
            },
        });
        let log_tail = request.log_tail.then(|| self.report(state)).flatten();
        let mut timeline = request.timeline;
        let phase = match streamed {
            true => Phase::Stream,
            false => Phase::Handler,
        };
        timeline.end(phase, at);
        let answer = InvokeReply {
            payload,
            function_error,
            log_tail,
            instance: self.id,
            kind,
            timeline,
        };
        // An error means that the caller is gone.
        let _ = reply.send(Ended::Answered(Box::new(answer)));
    }

    /// The request failed without an answer of the runtime.
    pub(super) fn fail(&self, state: &mut State, failure: Failure, line: Option<String>) {
        let Some(current) = &state.current else {
            return;
        };
        let payload = failure.payload(current.request.request_id);
        if let Some(line) = line {
            self.log.words([line, String::new()]);
        }
        self.reply(state, clock::now(), payload, Some(UNHANDLED), Some(failure));
        self.report(state);
    }

    /// Writes END and REPORT, if they are still to be written, and returns the tail of the log.
    pub(super) fn report(&self, state: &mut State) -> Option<Vec<u8>> {
        let mut unreported = state.unreported.take()?;
        unreported.report.peak_bytes = state.peak();
        if unreported.runtime_done.is_none() {
            let done = unreported.done(clock::now());
            self.log.event(&PlatformEvent::RuntimeDone(done));
        }
        self.log.event(&PlatformEvent::Report(unreported.report));
        Some(self.log.take_tail())
    }

    /// The runtime is done with a request that it has answered.
    pub(super) fn end_runtime(&self, state: &mut State) {
        let now = clock::now();
        if let Some(unreported) = &mut state.unreported {
            self.log
                .event(&PlatformEvent::RuntimeDone(unreported.done(now)));
            unreported.runtime_done = Some(now);
        }
    }

    /// All are done with a request that the runtime has answered.
    pub(super) fn end_request(&self, state: &mut State) {
        if let Some(unreported) = &mut state.unreported
            && !state.extensions.is_empty()
        {
            // What extensions do for a request is part of it.
            let (now, began) = (clock::now(), unreported.began);
            unreported.report.duration = now.since(began);
            if let Some(done) = unreported.runtime_done {
                let start = unreported.began_at + done.since(began);
                unreported.report.overhead = Some((start, now.since(done)));
            }
        }
        self.report(state);
        state.deadline = None;
        state.answered = false;
        self.finishing.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Unreported {
    /// What the runtime did until now.
    fn done(&self, now: Instant) -> RuntimeDone {
        let report = &self.report;
        RuntimeDone {
            request: report.request,
            status: report.status(),
            trace: report.trace.clone(),
            began: self.began_at,
            duration: match report.status() {
                Status::Timeout => report.duration,
                _ => now.since(self.began),
            },
            answer: self.answer,
        }
    }
}
