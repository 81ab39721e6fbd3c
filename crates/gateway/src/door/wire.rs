//! When a request's first byte was read and its answer's last byte was written. The waterfall begins and
//! ends here, at the socket, so that its phases add up to what the client saw.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use parking_lot::Mutex;
use pilotlight_model::start::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::inner::Inside;
use crate::budget::Share;
use crate::clock::monotonic_now;
use crate::record::Responding;

/// A first request that arrives this soon was sent as soon as the client was connected: it was on its way,
/// or waited here to be read, since the connection was accepted. A later one is that of a connection
/// made in advance, whose idle time is nobody's.
const AT_ONCE: Duration = Duration::from_millis(1);

/// What the socket and the service of one connection tell each other.
pub(crate) struct Wire {
    peer: SocketAddr,
    port: u16,
    /// The inner door that the connection came through.
    inside: Option<Arc<Inside>>,
    /// Both sides run in the connection's task, so this is never contended; it is a lock only because
    /// that task may move between threads.
    stage: Mutex<Stage>,
}

enum Stage {
    /// Nothing has been read since the connection was accepted.
    Fresh(Instant),
    /// Between requests.
    Idle,
    /// First byte of a request read.
    Arrived(Instant),
    /// A request is being served.
    Serving,
    /// Its answer is on its way to the socket.
    Answering(Option<Responding>, Option<Share>),
}

impl Wire {
    pub(crate) fn new(
        peer: SocketAddr,
        port: u16,
        accepted: Instant,
        inside: Option<Arc<Inside>>,
    ) -> Self {
        Self {
            peer,
            port,
            inside,
            stage: Mutex::new(Stage::Fresh(accepted)),
        }
    }

    /// The client's address.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The port that the client has connected to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The inner door that the connection came through, if it is a function's.
    pub(crate) fn inside(&self) -> Option<&Inside> {
        self.inside.as_deref()
    }

    /// A request's head has been read; returns when its first byte was. A pipelined request, whose
    /// bytes came with the one before, begins now.
    pub(crate) fn begin(&self) -> Instant {
        let mut stage = self.stage.lock();
        match std::mem::replace(&mut *stage, Stage::Serving) {
            Stage::Arrived(at) => at,
            _ => monotonic_now(),
        }
    }

    /// The service hands its answer, or the end of one in pieces, to the connection; `responding` is finished
    /// once it is written.
    pub(crate) fn answer(&self, responding: Option<Responding>) {
        self.answer_holding(responding, None);
    }

    /// The same of an answer whose share of memory is held until it is written.
    pub(crate) fn answer_holding(&self, responding: Option<Responding>, share: Option<Share>) {
        *self.stage.lock() = Stage::Answering(responding, share);
    }

    fn read(&self) {
        let mut stage = self.stage.lock();
        match *stage {
            Stage::Fresh(accepted) => {
                let now = monotonic_now();
                let at_once = now.since(accepted) <= AT_ONCE;
                *stage = Stage::Arrived(if at_once { accepted } else { now });
            }
            Stage::Idle => *stage = Stage::Arrived(monotonic_now()),
            _ => {}
        }
    }

    fn flushed(&self) {
        let mut stage = self.stage.lock();
        if !matches!(*stage, Stage::Answering(..)) {
            return;
        }
        let answered = std::mem::replace(&mut *stage, Stage::Idle);
        drop(stage);
        if let Stage::Answering(responding, share) = answered {
            drop(share);
            if let Some(responding) = responding {
                responding.finish(monotonic_now());
            }
        }
    }
}

/// A socket that tells its [`Wire`] what passes. The HTTP connection flushes when, and only when, it has
/// written all it has: an answer that is not streamed is handed to it whole.
///
/// A client that takes nothing for too long is cut off: what waits for it holds memory, and a function that
/// streams.
pub(crate) struct Stamped {
    stream: TcpStream,
    wire: Arc<Wire>,
    /// How long a write may stand still.
    patience: Duration,
    /// Since a write stands still.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Stamped {
    pub(crate) fn new(stream: TcpStream, wire: Arc<Wire>, patience: Duration) -> Self {
        Self {
            stream,
            wire,
            patience,
            stalled: None,
        }
    }

    fn watched<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Stamped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.wire.read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stamped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watched(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watched(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.wire.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
