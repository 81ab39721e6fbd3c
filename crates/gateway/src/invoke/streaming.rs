//! InvokeWithResponseStream: the answer as events, the first of them while the function runs.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use pilotlight_model::Version;
use pilotlight_model::node::InvokeReply;
use serde_json::{Map, Value};

use super::answer::told;
use super::run::Ran;
use super::trace_id::TraceId;
use crate::answer_body::{AnswerBody, BrokenOff, Framing, Streamed};
use crate::door::wire::Wire;
use crate::eventstream::{self, Header};
use crate::front::Answer;

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");

/// The answer of what ran, or has begun to.
pub(super) fn answer(ran: Ran, version: &Version, trace: &TraceId, wire: &Arc<Wire>) -> Answer {
    let (body, kind, timeline, responding) = match ran {
        Ran::Whole(Err(refused)) => return refused.into(),
        Ran::Whole(Ok((reply, responding))) => {
            let body = AnswerBody::from(whole(&reply));
            (body, reply.kind, reply.timeline, Some(responding))
        }
        Ran::Begun(begun, pieces) => {
            let streamed = Streamed::new(pieces, Box::new(Events), Arc::clone(wire));
            let body = AnswerBody::from(streamed);
            (body, begun.kind, begun.timeline, None)
        }
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, EVENT_STREAM);
    told(headers, version, trace, kind, &timeline);
    Answer {
        response,
        responding,
    }
}

/// An answer that was not streamed, as one event; one that is an error has none.
fn whole(reply: &InvokeReply) -> Bytes {
    let mut all = BytesMut::new();
    if reply.function_error.is_none() {
        all.extend_from_slice(&chunk(&reply.payload));
    }
    all.extend_from_slice(&complete(reply));
    all.freeze()
}

/// Pieces of an answer as events.
#[derive(Debug)]
struct Events;

impl Framing for Events {
    fn chunk(&mut self, data: Bytes) -> Bytes {
        chunk(&data)
    }

    /// An error that cut the answer short is told by the last event: to HTTP the answer is whole.
    fn end(&mut self, reply: &InvokeReply) -> Result<Option<Bytes>, BrokenOff> {
        Ok(Some(complete(reply)))
    }
}

fn chunk(data: &[u8]) -> Bytes {
    event("PayloadChunk", "application/octet-stream", data)
}

fn complete(reply: &InvokeReply) -> Bytes {
    let mut told = Map::new();
    if let Some(kind) = reply.function_error {
        let details = String::from_utf8_lossy(&reply.payload).into_owned();
        told.insert("ErrorCode".to_owned(), Value::from(kind));
        told.insert("ErrorDetails".to_owned(), Value::from(details));
    }
    if let Some(tail) = &reply.log_tail {
        let tail = BASE64_STANDARD.encode(tail);
        told.insert("LogResult".to_owned(), Value::from(tail));
    }
    let body = Value::from(told).to_string();
    event("InvokeComplete", "application/json", body.as_bytes())
}

fn event(event_type: &str, content_type: &str, payload: &[u8]) -> Bytes {
    let header = |name, value| Header { name, value };
    eventstream::message(
        &[
            header(":event-type", event_type),
            header(":content-type", content_type),
            header(":message-type", "event"),
        ],
        payload,
    )
}
