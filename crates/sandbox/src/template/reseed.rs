//! Generators of random numbers whose state a fork would share with all others.
//!
//! The kernel's is none. OpenSSL's notices a fork by the process id (`RAND_DRBG` in 1.1.1, `openssl_get_fork_id` in 3),
//! which is the same in all forks of a template; but any program can tell it to mix in fresh bytes: `RAND_poll(3)`. The
//! engine has each fork do that, in every object that exports the function, before its own code runs on. Those of language
//! runtimes are their bootstraps' concern. AWS-LC and BoringSSL see the fork by memory that the kernel wipes (MADV_WIPEONFORK).

use std::collections::BTreeSet;
use std::fs::File;

use super::elf::{Address, exported};
use super::memory::Mapping;

/// Of OpenSSL and its kin.
const RAND_POLL: &str = "RAND_poll";

/// Addresses of the functions to call.
pub(super) fn reseeders(pid: i32, mappings: &[Mapping]) -> Vec<u64> {
    let mut seen = BTreeSet::new();
    let firsts = mappings
        .iter()
        .filter(|mapping| mapping.offset == 0 && mapping.path.starts_with('/'));
    firsts
        .filter(|mapping| seen.insert(&mapping.path))
        .filter_map(|mapping| {
            let file = File::open(format!("/proc/{pid}/root{}", mapping.path)).ok()?;
            match exported(&file, RAND_POLL).ok().flatten()? {
                Address::Absolute(address) => Some(address),
                Address::Relative(offset) => mapping.begin.checked_add(offset),
            }
        })
        .collect()
}
