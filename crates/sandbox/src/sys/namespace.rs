//! Leaving namespaces.

use std::io;

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Moves the calling thread into new namespaces.
///
/// # Errors
/// A missing capability or a limit of namespaces.
///
/// # Panics
/// When asked for a private descriptor table, which this is not for.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    assert!(
        !flags.contains(UnshareFlags::FILES),
        "descriptors stay shared by all threads"
    );
    // SAFETY: of all flags only FILES can break memory or descriptor safety, and it is not among these.
    Ok(unsafe { unshare_unsafe(flags) }?)
}
