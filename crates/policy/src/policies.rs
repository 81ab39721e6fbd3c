//! The policies that can be chosen, and how they are asked for by name.

pub mod cache;
pub mod fixed;
pub mod hybrid;
pub mod pilot;
pub mod rainbowcake;
mod spec;
mod time_to_live;
#[cfg(test)]
mod trial;

pub use spec::{SpecError, by_name};

/// A policy as lists and `--help` show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What asks for it, before the colon.
    pub name: &'static str,
    /// All that can be asked for.
    pub usage: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
}

/// Every policy that [`by_name`] knows.
pub const POLICIES: &[Entry] = &[
    Entry {
        name: "fixed",
        usage: "fixed[:KEEP_ALIVE]",
        summary: "keeps each idle instance for the same time, 10m unless said otherwise",
    },
    Entry {
        name: "lru",
        usage: "lru[:MEMORY]",
        summary: "gives up the least recently used when a node is full, or uses more than that",
    },
    Entry {
        name: "lfu",
        usage: "lfu[:MEMORY]",
        summary: "gives up the least frequently used likewise",
    },
    Entry {
        name: "greedy-dual",
        usage: "greedy-dual[:MEMORY]",
        summary: "gives up by frequency, cost and size (FaasCache) likewise",
    },
    Entry {
        name: "cidre",
        usage: "cidre[:MEMORY][,slack=X]",
        summary: "the same, by concurrency too (CIDRE); requests wait for busy instances where that pays",
    },
    Entry {
        name: "hybrid",
        usage: "hybrid[:RANGE][,least=N][,cv=X][,head=P][,tail=P][,margin=P][,oob=P][,forecast-margin=P]",
        summary: "hybrid histogram (Serverless in the Wild), over idle times up to 4h",
    },
    Entry {
        name: "rainbowcake",
        usage: "rainbowcake[:quantile=Q][,waiting=A][,least=T][,most=T]",
        summary: "takes instances down layer by layer, and starts ahead (RainbowCake)",
    },
    Entry {
        name: "pilot",
        usage: "pilot[:BUDGET][,floor=X]",
        summary: "ours: keeps what saves most for its memory, by forecasts; BUDGET is node, shadow or memory",
    },
];

#[cfg(test)]
mod tests;
