//! Requests that a forked process has made already.
//!
//! A template is frozen while it waits for an answer, so a fork of it never sends the request: it is waiting
//! from its first moment on. Its connection here begins with the request all the same, put before what the
//! fork will say, so that everything behind it works as for any other process.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::CONNECTION;
use http::{HeaderMap, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The request that a frozen process waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outstanding {
    /// `GET /pilotlight/assignment`: a zygote.
    Assignment,
    /// `GET …/runtime/restore/next`: a template that knows what it is.
    Restore(Then),
    /// `GET …/runtime/invocation/next`: a template that does not.
    Next(Then),
}

/// What becomes of a connection after its request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It stays open for the next one.
    Keep,
    /// It is closed (`Connection: close`, HTTP/1.0): who asked may read up to its end.
    Close,
}

impl Then {
    pub(super) fn of(version: Version, headers: &HeaderMap) -> Self {
        let said = |option: &str| {
            headers
                .get_all(CONNECTION)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','))
                .any(|given| given.trim().eq_ignore_ascii_case(option))
        };
        let keeps = version >= Version::HTTP_11 || said("keep-alive");
        if keeps && !said("close") {
            Then::Keep
        } else {
            Then::Close
        }
    }
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
            Outstanding::Restore(Then::Keep) => {
                b"GET /2018-06-01/runtime/restore/next HTTP/1.1\r\n\r\n"
            }
            Outstanding::Restore(Then::Close) => {
                b"GET /2018-06-01/runtime/restore/next HTTP/1.1\r\nconnection: close\r\n\r\n"
            }
            Outstanding::Next(Then::Keep) => {
                b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n"
            }
            Outstanding::Next(Then::Close) => {
                b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nconnection: close\r\n\r\n"
            }
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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_connection_is_kept_unless_it_was_said_otherwise() {
        let then = |version, connection: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = connection {
                headers.insert(CONNECTION, HeaderValue::from_static(value));
            }
            Then::of(version, &headers)
        };
        assert_eq!(then(Version::HTTP_11, None), Then::Keep);
        assert_eq!(then(Version::HTTP_11, Some("keep-alive")), Then::Keep);
        assert_eq!(then(Version::HTTP_11, Some("TE, Close")), Then::Close);
        assert_eq!(then(Version::HTTP_10, None), Then::Close);
        assert_eq!(then(Version::HTTP_10, Some("Keep-Alive")), Then::Keep);
    }
}
