//! Bodies of answers: whole, as nearly all are, or in pieces as a function makes them.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use pilotlight_model::node::InvokeReply;

use crate::door::wire::Wire;
use crate::record::Responding;
use crate::stream::{Piece, Pieces};

/// A body.
pub(crate) enum AnswerBody {
    Whole(Full<Bytes>),
    Streamed(Box<Streamed>),
}

/// An answer that its function broke off. The connection is closed before the body's end, which is all that HTTP/1.1
/// has to say so.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the function broke its answer off")]
pub(crate) struct BrokenOff;

/// How pieces are put into a body.
pub(crate) trait Framing: fmt::Debug + Send {
    /// A chunk.
    fn chunk(&mut self, data: Bytes) -> Bytes;

    /// What stands behind the last; an error breaks the body off.
    fn end(&mut self, reply: &InvokeReply) -> Result<Option<Bytes>, BrokenOff>;
}

/// The pieces as they are; an error of the function breaks the body off.
#[derive(Debug)]
pub(crate) struct Plain;

impl Framing for Plain {
    fn chunk(&mut self, data: Bytes) -> Bytes {
        data
    }

    fn end(&mut self, reply: &InvokeReply) -> Result<Option<Bytes>, BrokenOff> {
        match reply.function_error {
            None => Ok(None),
            Some(_) => Err(BrokenOff),
        }
    }
}

/// A body in pieces. Dropped before its end it leaves the function to run on.
pub(crate) struct Streamed {
    pieces: Pieces,
    /// A piece that was looked at already.
    first: Option<Bytes>,
    framing: Box<dyn Framing>,
    wire: Arc<Wire>,
    /// The function has ended: its record, finished when the body is written.
    over: Option<Responding>,
    /// The body is to be broken off.
    broken: bool,
}

impl Streamed {
    pub(crate) fn new(pieces: Pieces, framing: Box<dyn Framing>, wire: Arc<Wire>) -> Self {
        Self {
            pieces,
            first: None,
            framing,
            wire,
            over: None,
            broken: false,
        }
    }

    /// With these bytes before all others.
    pub(crate) fn beginning_with(mut self, first: Bytes) -> Self {
        self.first = Some(first).filter(|first| !first.is_empty());
        self
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        if self.broken {
            return Poll::Ready(Some(Err(BrokenOff)));
        }
        if let Some(responding) = self.over.take() {
            self.wire.answer(Some(responding));
            return Poll::Ready(None);
        }
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(self.framing.chunk(first))));
        }
        let (reply, responding) = match ready!(self.pieces.poll(context)) {
            Piece::Chunk(chunk) => return Poll::Ready(Some(Ok(self.framing.chunk(chunk)))),
            Piece::End(ended) => match *ended {
                Ok(ended) => ended,
                Err(error) => {
                    tracing::error!(%error, "node failed while an answer was streamed");
                    return self.break_off(context);
                }
            },
        };
        match self.framing.end(&reply) {
            Ok(Some(last)) => {
                self.over = Some(responding);
                Poll::Ready(Some(Ok(last)))
            }
            Ok(None) => {
                self.wire.answer(Some(responding));
                Poll::Ready(None)
            }
            Err(BrokenOff) => self.break_off(context),
        }
    }

    /// The connection throws away what it has not written when a body fails: it gets a moment for that.
    fn break_off(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        self.broken = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl From<Bytes> for AnswerBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

impl From<Streamed> for AnswerBody {
    fn from(streamed: Streamed) -> Self {
        Self::Streamed(Box::new(streamed))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut *self {
            Self::Whole(whole) => Pin::new(whole)
                .poll_frame(context)
                .map_err(|never: Infallible| match never {}),
            Self::Streamed(streamed) => streamed
                .poll(context)
                .map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Streamed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Streamed(_) => SizeHint::default(),
        }
    }
}
