//! Generators of random numbers whose state a fork would share with all others.
//!
//! The kernel's is none. OpenSSL's notices a fork by the process id (`RAND_DRBG` in 1.1.1, `openssl_get_fork_id` in 3),
//! which is the same in all forks of a template; but any program can tell it to mix in fresh bytes: `RAND_poll(3)`. The
//! engine has each fork do that, in every object that exports the function, before its own code runs on. Those of language
//! runtimes are their bootstraps' concern. AWS-LC and BoringSSL see the fork by memory that the kernel wipes (MADV_WIPEONFORK).

use std::collections::BTreeMap;
use std::fs::File;

use super::elf::{Address, exported};
use super::memory::Mapping;

/// Of OpenSSL and its kin.
const RAND_POLL: &str = "RAND_poll";

/// Addresses of the functions to call: of each copy that can be executed, for a file may be mapped to be read, too.
pub(super) fn reseeders(pid: i32, mappings: &[Mapping]) -> Vec<u64> {
    let mut known: BTreeMap<&str, Option<Address>> = BTreeMap::new();
    let firsts = mappings
        .iter()
        .filter(|mapping| mapping.offset == 0 && mapping.path.starts_with('/'));
    let found = firsts.filter_map(|mapping| {
        let address = *known
            .entry(&mapping.path)
            .or_insert_with(|| look_up(pid, mapping));
        match address? {
            Address::Absolute(address) => Some(address),
            Address::Relative(offset) => mapping.begin.checked_add(offset),
        }
    });
    let is_code = |address: &u64| {
        mappings
            .iter()
            .any(|mapping| mapping.is_executable() && mapping.has(*address))
    };
    let mut addresses: Vec<u64> = found.filter(is_code).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// Not by its path: libraries are unpacked, loaded and deleted.
fn look_up(pid: i32, mapping: &Mapping) -> Option<Address> {
    let Mapping { begin, end, .. } = mapping;
    let file = File::open(format!("/proc/{pid}/map_files/{begin:x}-{end:x}")).ok()?;
    exported(&file, RAND_POLL).ok().flatten()
}
