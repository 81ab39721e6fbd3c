//! New processes by `clone3`, from processes that are known to have one thread.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::thread::UnshareFlags;

use super::namespace;

/// Namespaces of a child, as `clone3` has them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Namespaces(u64);

impl Namespaces {
    /// All that a sandbox's first process is born into. Its network and cgroup follow when it lives, in parallel with
    /// others'; its user namespace belongs to the program alone.
    const SANDBOX: Namespaces = Namespaces(
        (libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS) as u64,
    );
    /// Those, for a sibling of the caller, which is about to exit.
    pub(crate) const SANDBOX_SIBLING: Namespaces =
        Namespaces(Namespaces::SANDBOX.0 | Namespaces::NONE_SIBLING.0);
    /// None of its own.
    pub(crate) const NONE: Namespaces = Namespaces(0);
    /// None of its own; it is a sibling of the caller, which is about to exit.
    pub(crate) const NONE_SIBLING: Namespaces = Namespaces(libc::CLONE_PARENT as u64);
    /// Those, all of them in a new user namespace.
    pub(crate) const NESTED_SIBLING: Namespaces =
        Namespaces(Namespaces::SANDBOX_SIBLING.0 | libc::CLONE_NEWUSER as u64);
    /// A user namespace.
    pub(crate) const USER: Namespaces = Namespaces(libc::CLONE_NEWUSER as u64);
}

/// Proof that this process has one thread, so that a forked child finds every lock free.
#[derive(Debug)]
pub(crate) struct SingleThreaded(());

impl SingleThreaded {
    /// Asks the kernel.
    ///
    /// # Errors
    /// `EINVAL` when there is another thread.
    pub(crate) fn prove() -> io::Result<SingleThreaded> {
        // Does nothing but fail where there are several threads.
        namespace::unshare(UnshareFlags::from_bits_retain(libc::CLONE_THREAD as u32))?;
        Ok(SingleThreaded(()))
    }
}

/// A child process.
#[derive(Debug)]
pub(crate) struct Child {
    /// In the caller's PID namespace.
    pub(crate) pid: i32,
    /// Stays right when the id is used again.
    pub(crate) pidfd: OwnedFd,
}

/// Forks; the child runs `body` and exits with what it returns. Nothing of the parent's is dropped in the child.
///
/// # Errors
/// A missing capability or a limit of processes or namespaces.
pub(crate) fn fork(
    _: &SingleThreaded,
    namespaces: Namespaces,
    body: impl FnOnce() -> i32,
) -> io::Result<Child> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: all fields are integers, for which zero is valid and means "none".
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = namespaces.0 | libc::CLONE_PIDFD as u64;
    args.pidfd = (&raw mut pidfd) as u64;
    if namespaces.0 & libc::CLONE_PARENT as u64 == 0 {
        args.exit_signal = libc::SIGCHLD as u64;
    }
    // SAFETY: without CLONE_VM and with no stack given this is fork: the child has its own copy of everything, and as
    // the process has one thread, no lock or allocator state is caught half-way. `args` outlives the call.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw mut args,
            size_of::<libc::clone_args>(),
        )
    };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // A panic must not unwind into frames that belong to the parent.
            let code = catch_unwind(AssertUnwindSafe(body)).unwrap_or(101);
            // SAFETY: ends the process; no destructor or exit handler of the parent's runs.
            unsafe { libc::_exit(code) }
        }
        pid => {
            // SAFETY: the call succeeded, so `pidfd` is a new descriptor that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Child {
                pid: i32::try_from(pid).expect("the kernel's ids fit i32"),
                pidfd,
            })
        }
    }
}
