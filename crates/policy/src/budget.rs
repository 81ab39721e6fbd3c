//! What being ready may cost: how much memory is kept for how long beyond what runs, and the price of it
//! that keeps that within a limit.

pub mod ledger;
pub mod price;
pub mod shadow;

pub use ledger::Ledger;
pub use price::Price;
pub use shadow::Shadow;

use std::time::Duration;

use crate::Bytes;

/// How much may be kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Budget {
    /// What the node has: while it has room, nothing is given up for nothing.
    #[default]
    Node,
    /// No more at any time than so much.
    Bytes(Bytes),
    /// No more memory-time than a keep-alive of so long would have taken on the same requests.
    Shadow(Duration),
}

impl Budget {
    /// The shadow of what providers are reported to do.
    pub const TEN_MINUTES: Self = Self::Shadow(shadow::KEEP_ALIVE);

    /// How long the shadow keeps: what idle times are held against where nothing else is said.
    pub fn keep_alive(self) -> Duration {
        match self {
            Budget::Shadow(keep_alive) => keep_alive,
            Budget::Node | Budget::Bytes(_) => shadow::KEEP_ALIVE,
        }
    }
}
