//! Descriptors in bulk.

use std::io;
use std::os::fd::RawFd;

/// Marks all descriptors from `first` on to be closed by `execve`.
///
/// # Errors
/// The kernel is older than 5.11.
pub(crate) fn close_on_exec_from(first: RawFd) -> io::Result<()> {
    range(first as u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
}

/// Closes all descriptors but the standard ones and `kept`. For a process that was just forked: what its parent
/// owned, it must never touch.
///
/// # Errors
/// The kernel is older than 5.9.
pub(crate) fn close_all_but(kept: &mut [RawFd]) -> io::Result<()> {
    kept.sort_unstable();
    let mut first = 3;
    for fd in kept.iter().map(|fd| *fd as u32) {
        if first < fd {
            range(first, fd - 1, 0)?;
        }
        first = fd + 1;
    }
    range(first, u32::MAX, 0)
}

fn range(first: u32, last: u32, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: touches no memory. Descriptors are closed under their owners' feet only in forked children, which never
    // return to those owners nor drop them.
    match unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
