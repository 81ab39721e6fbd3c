//! What being ready may cost: how much memory is kept for how long beyond what runs, and the price of it
//! that keeps that within a limit.

pub mod ledger;
pub mod price;
pub mod shadow;

pub use ledger::Ledger;
pub use price::Price;
pub use shadow::Shadow;

use crate::Bytes;

/// How much may be kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Budget {
    /// What the node has: while it has room, nothing is given up for nothing.
    #[default]
    Node,
    /// No more at any time than so much.
    Bytes(Bytes),
    /// No more memory-time than a keep-alive of ten minutes would have taken on the same requests.
    Shadow,
}
