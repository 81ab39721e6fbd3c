//! Whether two descriptors are one open file (kcmp(2)).

use std::io;

/// linux/kcmp.h.
const KCMP_FILE: libc::c_int = 0;

/// Whether both descriptors of that process refer to one open file description.
pub(crate) fn same_file(pid: i32, one: i32, other: i32) -> io::Result<bool> {
    // SAFETY: touches no memory.
    match unsafe { libc::syscall(libc::SYS_kcmp, pid, pid, KCMP_FILE, one, other) } {
        -1 => Err(io::Error::last_os_error()),
        order => Ok(order == 0),
    }
}
