//! Whether descriptors are one open file (kcmp(2)).

use std::io;

/// linux/kcmp.h.
const KCMP_FILE: libc::c_int = 0;
/// See [`KCMP_FILE`].
const KCMP_EPOLL_TFD: libc::c_int = 7;

/// Whether both descriptors of that process refer to one open file description.
pub(crate) fn same_file(pid: i32, one: i32, other: i32) -> io::Result<bool> {
    // SAFETY: touches no memory.
    match unsafe { libc::syscall(libc::SYS_kcmp, pid, pid, KCMP_FILE, one, other) } {
        -1 => Err(io::Error::last_os_error()),
        order => Ok(order == 0),
    }
}

/// `struct kcmp_epoll_slot`.
#[repr(C)]
struct EpollSlot {
    epoll: u32,
    fd: u32,
    index: u32,
}

/// Whether what that epoll of the process's watches as `fd` is the open file that `fd` refers to; `index` counts what it
/// watches under that number.
pub(crate) fn watches_file(pid: i32, epoll: i32, fd: i32, index: u32) -> io::Result<bool> {
    let slot = EpollSlot {
        epoll: epoll as u32,
        fd: fd as u32,
        index,
    };
    // SAFETY: `slot` outlives the call, which only reads it.
    match unsafe {
        libc::syscall(
            libc::SYS_kcmp,
            pid,
            pid,
            KCMP_EPOLL_TFD,
            fd,
            &raw const slot,
        )
    } {
        -1 => Err(io::Error::last_os_error()),
        order => Ok(order == 0),
    }
}
