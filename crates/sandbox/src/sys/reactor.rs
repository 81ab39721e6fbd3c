//! Channels that async code waits on.

use std::io;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::channel::Channel;

/// Registers the channel, which must be non-blocking, with the runtime's reactor.
///
/// # Errors
/// A limit of the reactor.
///
/// # Panics
/// Outside of a runtime.
pub(crate) fn readable(channel: Channel) -> io::Result<AsyncFd<Channel>> {
    // SAFETY: a channel owns one descriptor, which it closes only when dropped, never replaces, and always returns from
    // `as_raw_fd`.
    unsafe { AsyncFd::register_with_interest(channel, Interest::READABLE) }.map_err(io::Error::from)
}
