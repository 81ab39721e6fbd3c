//! Which system calls a program in a sandbox may make: an allow-list, compiled once per node to a classic BPF program
//! that decides by binary search.
//!
//! The list is what Docker's default profile gives a container without capabilities, less what a function has no use
//! for and the kernel's attack surface is better without. A call that is not on it fails with EPERM; one newer than the
//! list with ENOSYS, so that libraries fall back to older ones. `clone3` counts as newer: its flags are in memory that a
//! filter cannot see, while `clone` has them in a register.

mod allowed;
mod bpf;
mod rules;

use self::bpf::{Program, Verdict};

/// The filter.
#[derive(Debug, Clone)]
pub(crate) struct Filter(Program);

impl Filter {
    /// Compiles the list.
    pub(crate) fn for_programs() -> Filter {
        let newest = allowed::plain()
            .chain(rules::ALL.iter().map(|(number, _)| *number))
            .max();
        let newest = newest.expect("the list is not empty");
        let mut verdicts = vec![
            Verdict::Errno(libc::EPERM);
            usize::try_from(newest).expect("numbers are small") + 1
        ];
        for number in allowed::plain() {
            verdicts[number as usize] = Verdict::Allow;
        }
        for (index, (number, _)) in rules::ALL.iter().enumerate() {
            verdicts[*number as usize] = Verdict::Rule(index);
        }
        verdicts[libc::SYS_clone3 as usize] = Verdict::Errno(libc::ENOSYS);
        let rules: Vec<_> = rules::ALL.iter().map(|(_, rule)| rule()).collect();
        Filter(bpf::compile(
            &verdicts,
            Verdict::Errno(libc::ENOSYS),
            &rules,
        ))
    }

    /// Puts it on the calling thread, which must have no_new_privs, for good.
    pub(crate) fn install(&self) -> std::io::Result<()> {
        crate::sys::seccomp::install(&self.0)
    }
}

#[cfg(test)]
mod tests;
