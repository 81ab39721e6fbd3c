//! Installing a system call filter.

use std::io;

/// One instruction of classic BPF: code, jump if true, jump if false, operand.
pub(crate) type Instruction = libc::sock_filter;

/// Filters the calling thread's system calls, for good and for all its children. It must have no_new_privs.
///
/// # Errors
/// The program is not valid, or too long.
pub(crate) fn install(program: &[Instruction]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: `program` points to `len` instructions, which the kernel copies and checks.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
