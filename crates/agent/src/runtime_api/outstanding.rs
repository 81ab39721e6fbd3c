//! Requests that a forked process has made already.
//!
//! A template is frozen while it waits for an answer, so a fork of it never sends the request: it is waiting
//! from its first moment on. Its connection here begins with the request all the same, put before what the
//! fork will say, so that everything behind it works as for any other process.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The request that a frozen process waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outstanding {
    /// `GET /pilotlight/assignment`: a zygote.
    Assignment,
    /// `GET …/runtime/restore/next`: a template that knows what it is.
    Restore,
    /// `GET …/runtime/invocation/next`: a template that does not.
    Next,
}

/// Which way a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// Over the inherited connection.
    Inherited,
    /// Over one that the process made.
    Tcp,
}

impl Outstanding {
    fn head(self) -> &'static [u8] {
        match self {
            Outstanding::Assignment => b"GET /pilotlight/assignment HTTP/1.1\r\n\r\n",
            Outstanding::Restore => b"GET /2018-06-01/runtime/restore/next HTTP/1.1\r\n\r\n",
            Outstanding::Next => b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n",
        }
    }
}

/// A connection on which a request may be outstanding.
pub(super) struct Begun<IO> {
    /// What has not been read yet of the request that was made already.
    before: &'static [u8],
    io: IO,
}

impl<IO> Begun<IO> {
    pub(super) fn new(io: IO, outstanding: Option<Outstanding>) -> Self {
        Self {
            before: outstanding.map_or(&[], Outstanding::head),
            io,
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Begun<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.before.is_empty() {
            return Pin::new(&mut self.io).poll_read(context, buffer);
        }
        let (now, later) = self
            .before
            .split_at(self.before.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.before = later;
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Begun<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
