//! Becoming another program.

use std::ffi::c_char;
use std::io;

/// Room for the pointers that `execve` wants, made before a fork so that nothing allocates after it.
#[derive(Debug)]
pub(crate) struct Exec {
    pointers: Vec<*const c_char>,
}

impl Exec {
    /// Room for so many arguments and environment entries together.
    pub(crate) fn with_room_for(strings: usize) -> Exec {
        // Both lists end with a null pointer.
        Exec {
            pointers: Vec::with_capacity(strings + 2),
        }
    }

    /// Executes the program named by the first string; the first `argc` strings are its arguments, the rest its
    /// environment. Each string in `strings` ends with a zero byte. Returns only if that fails.
    pub(crate) fn exec(&mut self, strings: &[u8], argc: usize) -> io::Error {
        self.pointers.clear();
        if argc == 0 || strings.last() != Some(&0) {
            return io::ErrorKind::InvalidInput.into();
        }
        let mut seen = 0;
        for string in strings.split_inclusive(|byte| *byte == 0) {
            if seen == argc {
                self.pointers.push(std::ptr::null());
            }
            if self.pointers.len() + 2 > self.pointers.capacity() {
                return io::Error::from_raw_os_error(libc::E2BIG);
            }
            self.pointers.push(string.as_ptr().cast());
            seen += 1;
        }
        if seen < argc {
            return io::ErrorKind::InvalidInput.into();
        }
        if seen == argc {
            self.pointers.push(std::ptr::null());
        }
        self.pointers.push(std::ptr::null());
        let argv = self.pointers.as_ptr();
        let env = &self.pointers[argc + 1..];
        // SAFETY: both lists end with null, each other pointer is to a zero-terminated string in `strings`, and both
        // outlive the call, which does not return if it succeeds.
        unsafe { libc::execve(self.pointers[0], argv, env.as_ptr()) };
        io::Error::last_os_error()
    }
}
