//! The connection that a process inherits.
//!
//! Over a Unix socket the other side can send descriptors with its bytes. Nobody asks for them here, and a plain read
//! would have the kernel close them in the reading thread, for which a sender can make it take as long as it likes: a
//! TCP socket lingers, a file of its memory has gigabytes to free. A few of those would stop the node. So they are
//! received, closed where nobody waits, and the instance that sent them ends.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::{MaybeUninit, forget};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::thread;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg, sockopt::set_socket_linger,
};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;

use crate::instance::Instance;

/// Descriptors that the kernel takes with one message (SCM_MAX_FD).
const DESCRIPTORS: usize = 253;
/// Threads that close at one time. What a hostile function sends beyond stays open.
const CLOSERS: usize = 256;

/// Our end of an instance's inherited connection.
pub(super) struct Inherited {
    stream: UnixStream,
    instance: Arc<Instance>,
}

impl Inherited {
    pub(super) fn new(stream: UnixStream, instance: Arc<Instance>) -> Self {
        Self { stream, instance }
    }
}

impl AsyncRead for Inherited {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(context))?;
            let received = self.stream.try_io(Interest::READABLE, || {
                receive(&self.stream, buffer.initialize_unfilled())
            });
            match received {
                Ok((length, descriptors)) if descriptors.is_empty() => {
                    buffer.advance(length);
                    return Poll::Ready(Ok(()));
                }
                Ok((_, descriptors)) => {
                    tracing::info!(instance = %self.instance.id, "instance sent descriptors and is ended");
                    self.instance.stop();
                    close(descriptors);
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// Reads what is there, and takes the descriptors beside it.
fn receive(stream: &UnixStream, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let buffers = &mut [IoSliceMut::new(buffer)];
    let message = recvmsg(stream, buffers, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            descriptors.extend(rights);
        }
    }
    Ok((message.bytes, descriptors))
}

/// Closes them on a thread of their own.
fn close(descriptors: Vec<OwnedFd>) {
    static CLOSING: AtomicUsize = AtomicUsize::new(0);
    for descriptor in &descriptors {
        // Most are no sockets, and have nothing to wait for.
        let _ = set_socket_linger(descriptor, None);
    }
    if CLOSING.fetch_add(1, Ordering::Relaxed) >= CLOSERS {
        CLOSING.fetch_sub(1, Ordering::Relaxed);
        forget(descriptors);
        return;
    }
    // A thread that cannot be started must not close them here instead.
    let mut descriptors = std::mem::ManuallyDrop::new(descriptors);
    let started = thread::Builder::new().name("close".into()).spawn(move || {
        descriptors.clear();
        CLOSING.fetch_sub(1, Ordering::Relaxed);
    });
    if started.is_err() {
        CLOSING.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncWrite for Inherited {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
