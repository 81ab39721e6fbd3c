//! The way of a streamed answer from the node to the client's connection: a few chunks long, so that a client that is
//! slow makes the function wait.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use parking_lot::Mutex;
use pilotlight_model::node::{BoxFuture, NodeError, ResponseSink, StreamBegun};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::invoke::run::Ended;

/// Chunks on their way. The node reads at most 64 KiB at a time: with what the connection holds, a stream takes less
/// than a megabyte.
const CHUNKS: usize = 4;

/// The node's end.
#[derive(Debug)]
struct Inlet {
    /// Taken by the beginning.
    begun: Mutex<Option<oneshot::Sender<StreamBegun>>>,
    chunks: mpsc::Sender<Bytes>,
}

/// The client's end.
pub(crate) struct Outlet {
    /// The beginning; never, if the function does not stream.
    pub(crate) begun: oneshot::Receiver<StreamBegun>,
    pub(crate) chunks: mpsc::Receiver<Bytes>,
}

/// A way for one answer.
pub(crate) fn pipe() -> (Arc<dyn ResponseSink>, Outlet) {
    let (begun, outlet_begun) = oneshot::channel();
    let (chunks, outlet_chunks) = mpsc::channel(CHUNKS);
    let inlet = Inlet {
        begun: Mutex::new(Some(begun)),
        chunks,
    };
    let outlet = Outlet {
        begun: outlet_begun,
        chunks: outlet_chunks,
    };
    (Arc::new(inlet), outlet)
}

impl ResponseSink for Inlet {
    fn begin(&self, begun: StreamBegun) {
        if let Some(waiting) = self.begun.lock().take() {
            // An error means that the client is gone.
            let _ = waiting.send(begun);
        }
    }

    fn send(&self, chunk: Bytes) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // The function runs to its end although nobody listens.
            let _ = self.chunks.send(chunk).await;
        })
    }
}

/// A streamed answer as it comes.
pub(crate) struct Pieces {
    chunks: mpsc::Receiver<Bytes>,
    running: JoinHandle<Ended>,
    /// The function has ended; chunks may still be on their way.
    ended: Option<Ended>,
}

/// A part of it.
pub(crate) enum Piece {
    Chunk(Bytes),
    /// The last.
    End(Box<Ended>),
}

impl Pieces {
    pub(crate) fn new(chunks: mpsc::Receiver<Bytes>, running: JoinHandle<Ended>) -> Self {
        Self {
            chunks,
            running,
            ended: None,
        }
    }

    /// The next piece; not to be asked for behind the last.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Piece> {
        if self.ended.is_none()
            && let Poll::Ready(ended) = Pin::new(&mut self.running).poll(context)
        {
            let panicked = |error: tokio::task::JoinError| NodeError::Internal(error.to_string());
            self.ended = Some(ended.map_err(panicked).and_then(|ended| ended));
            // Whoever still waits to send need not.
            self.chunks.close();
        }
        let chunk = ready!(self.chunks.poll_recv(context));
        match (chunk, self.ended.take()) {
            (Some(chunk), ended) => {
                self.ended = ended;
                Poll::Ready(Piece::Chunk(chunk))
            }
            (None, Some(ended)) => Poll::Ready(Piece::End(Box::new(ended))),
            // The way is closed, and the function about to end.
            (None, None) => Poll::Pending,
        }
    }

    /// The next piece.
    pub(crate) async fn next(&mut self) -> Piece {
        std::future::poll_fn(|context| self.poll(context)).await
    }
}
