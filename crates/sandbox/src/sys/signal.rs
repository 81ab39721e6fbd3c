//! Signals of the processes around a sandbox.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

/// How many the kernel has.
const SIGNALS: usize = 64;

/// Has the kernel reap the caller's children, whose exits nobody asks for.
///
/// # Errors
/// None that the kernel documents.
pub(crate) fn ignore_children() -> io::Result<()> {
    // SAFETY: no handler is installed.
    match unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) } {
        libc::SIG_ERR => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Sets every signal back to its default and lets all through, as a program expects to be started.
pub(crate) fn reset() {
    // SIG_DFL, no flags and an empty mask are all zeros; this is longer than the kernel's structure.
    let default = [0_u64; 8];
    for signal in 1..=SIGNALS {
        // SAFETY: no handler is installed, and `default` outlives the call. By the bare call, because libc keeps two signals
        // to itself, which a supervisor may still have ignored. SIGKILL and SIGSTOP refuse, which is as good.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                ptr::null_mut::<u64>(),
                SIGNALS / 8,
            );
        }
    }
    // No signals is a valid mask: this cannot fail.
    let _ = mask(libc::SIG_SETMASK, &set(&[]));
}

/// A descriptor that is readable when a child has ended; from then on the caller gets no signal of it.
///
/// # Errors
/// A limit of descriptors.
pub(crate) fn children_as_descriptor() -> io::Result<OwnedFd> {
    let children = set(&[libc::SIGCHLD]);
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    mask(libc::SIG_BLOCK, &children)?;
    // SAFETY: the set is initialised, and the kernel only reads it.
    let fd = unsafe {
        libc::signalfd(
            -1,
            &raw const children,
            libc::SFD_CLOEXEC | libc::SFD_NONBLOCK,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so this is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn mask(how: libc::c_int, signals: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the set is initialised, and the old one is not asked for.
    match unsafe { libc::sigprocmask(how, signals, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn set(signals: &[libc::c_int]) -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the whole set.
    let mut set = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    };
    for signal in signals {
        // SAFETY: the set is initialised; a wrong number would be refused.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    set
}
