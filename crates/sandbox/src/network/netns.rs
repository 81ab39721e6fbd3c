//! Network namespaces as values: held by a descriptor, entered for the length of a closure.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::sys::namespace;

/// A network namespace. It has no name in the file system: when the last descriptor and the last process are gone,
/// the kernel deletes it with everything in it.
#[derive(Debug)]
pub struct NetNs(OwnedFd);

impl NetNs {
    /// Makes an empty one. The calling thread stays in its own.
    ///
    /// # Errors
    /// The caller lacks CAP_SYS_ADMIN, or a limit of namespaces is reached.
    pub fn create() -> io::Result<NetNs> {
        let home = NetNs::current()?;
        namespace::unshare(UnshareFlags::NEWNET)?;
        let _home = Home(home);
        NetNs::current()
    }

    /// The one that a socket is in, whoever made it.
    ///
    /// # Errors
    /// The caller lacks CAP_NET_ADMIN there.
    pub fn of_socket(socket: &impl AsFd) -> io::Result<NetNs> {
        namespace::network_of(socket.as_fd()).map(NetNs)
    }

    /// The one of the calling thread.
    ///
    /// # Errors
    /// /proc is not mounted.
    pub fn current() -> io::Result<NetNs> {
        Ok(NetNs(File::open("/proc/thread-self/ns/net")?.into()))
    }

    /// Runs `work` with the calling thread inside. Sockets opened and processes spawned by it belong there for good.
    ///
    /// # Errors
    /// The caller lacks CAP_SYS_ADMIN.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        within(self.as_fd(), work)
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// [`NetNs::enter`] for a namespace that someone else holds.
pub(super) fn within<T>(netns: BorrowedFd<'_>, work: impl FnOnce() -> T) -> io::Result<T> {
    let home = NetNs::current()?;
    move_into_link_name_space(netns, Some(LinkNameSpaceType::Network))?;
    let _home = Home(home);
    Ok(work())
}

/// Brings the thread back to where it came from, also when the work panics.
struct Home(NetNs);

impl Drop for Home {
    fn drop(&mut self) {
        let back = move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network));
        if back.is_err() {
            // Whatever ran next on this thread would reach the wrong network: worse than dying.
            std::process::abort();
        }
    }
}
