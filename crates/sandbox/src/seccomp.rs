//! Which system calls a program in a sandbox may make: an allow-list, compiled once per node to a classic BPF program
//! that decides by binary search.
//!
//! The list is what Docker's default profile gives a container without capabilities, less what a function has no use
//! for and the kernel's attack surface is better without. A call that is not on it fails with EPERM; one newer than the
//! list with ENOSYS, so that libraries fall back to older ones. `clone3` counts as newer: its flags are in memory that a
//! filter cannot see, while `clone` has them in a register.
//!
//! One call is let through by a secret, the [`Knock`]: `setns`, with which the fork engine's helper takes its place in the
//! slot of a fork (ADR 6). It takes capabilities over the namespaces too, which no program has; the secret keeps programs
//! from even asking.

mod allowed;
mod bpf;
mod rules;

use std::io::Read;

use self::bpf::{Program, Verdict};

/// The secret with which a call of `setns` passes: its third and fourth argument.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Knock(pub(crate) [u64; 2]);

impl Knock {
    /// Of this many bytes.
    pub(crate) const BYTES: usize = 16;

    /// A new one.
    pub(crate) fn random() -> std::io::Result<Knock> {
        let mut bytes = [0; Knock::BYTES];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Knock::from_bytes(bytes))
    }

    pub(crate) fn from_bytes(bytes: [u8; Knock::BYTES]) -> Knock {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        Knock([word(0), word(8)])
    }

    pub(crate) fn bytes(self) -> [u8; Knock::BYTES] {
        let mut bytes = [0; Knock::BYTES];
        bytes[..8].copy_from_slice(&self.0[0].to_le_bytes());
        bytes[8..].copy_from_slice(&self.0[1].to_le_bytes());
        bytes
    }
}

impl std::fmt::Debug for Knock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Knock(…)")
    }
}

/// The filter.
#[derive(Debug, Clone)]
pub(crate) struct Filter(Program);

impl Filter {
    /// Compiles the list.
    pub(crate) fn for_programs(knock: Knock) -> Filter {
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
        verdicts[libc::SYS_setns as usize] = Verdict::Rule(rules::ALL.len());
        let rules: Vec<_> = rules::ALL
            .iter()
            .map(|(_, rule)| rule())
            .chain([rules::setns(knock)])
            .collect();
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
