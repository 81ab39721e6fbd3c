//! Leaving namespaces.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

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

/// The network namespace of a socket, from whatever process that is (since Linux 4.9).
///
/// # Errors
/// The caller lacks CAP_NET_ADMIN there.
pub(crate) fn network_of(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // linux/sockios.h, where rustix and libc end.
    const SIOCGSKNS: libc::Ioctl = 0x894c;
    // SAFETY: this request takes no argument.
    match unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSKNS) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the call succeeded, so it is a new descriptor that nobody else owns.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}

/// Has the command's child move into new namespaces before it becomes the program.
pub(crate) fn unshare_before_exec(command: &mut Command, flags: UnshareFlags) {
    // SAFETY: between fork and exec only one system call is made: nothing is allocated, no lock is taken.
    unsafe { command.pre_exec(move || unshare(flags)) };
}
