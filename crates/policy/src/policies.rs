//! The policies that can be chosen, and how they are asked for by name.

pub mod cache;
pub mod fixed;
pub mod hybrid;
mod parameters;
pub mod pilot;
mod put_off;
pub mod rainbowcake;
mod spec;
mod sped_up;
mod time_to_live;
#[cfg(test)]
mod trial;

pub use spec::{SpecError, by_name, on_node, speed};

use crate::Policy;
use parameters::Parameters;

/// A policy as lists and `--help` show it.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What asks for it, before the colon.
    pub name: &'static str,
    /// All that can be asked for.
    pub usage: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// The parameter without a name, where a node has another default for it than a simulation.
    on_node: Option<&'static str>,
    make: fn(&mut Parameters) -> Result<Box<dyn Policy>, SpecError>,
}

/// Every policy that [`by_name`] knows.
pub const POLICIES: &[Entry] = &[
    fixed::ENTRY,
    cache::LRU,
    cache::LFU,
    cache::GREEDY_DUAL,
    cache::CIDRE,
    hybrid::ENTRY,
    rainbowcake::ENTRY,
    pilot::ENTRY,
];

#[cfg(test)]
mod tests;
