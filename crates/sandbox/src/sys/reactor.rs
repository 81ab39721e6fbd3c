//! Descriptors that async code waits on.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::channel::Channel;

/// Registers a channel, which must be non-blocking, or another descriptor with the runtime's reactor.
///
/// # Errors
/// A limit of the reactor.
///
/// # Panics
/// Outside of a runtime.
pub(crate) fn readable<T: Waitable>(descriptor: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: what is waitable owns one descriptor, which it closes only when dropped, never replaces, and always returns
    // from `as_raw_fd`.
    unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }
        .map_err(io::Error::from)
}

/// Owners of a descriptor that it can be relied upon for.
pub(crate) trait Waitable: AsRawFd {}
impl Waitable for Channel {}
impl Waitable for OwnedFd {}
