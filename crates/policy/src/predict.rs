//! When a version's next request comes: what is learned of its own past, and of all versions together.
//!
//! [`gaps`] keeps the times between a version's requests, [`period`] finds beats in them, [`population`]
//! knows what versions do of which little is known, and [`curve`] mixes the three into the hazard: the
//! probability of a request in the next moment, given that none has come until then.

pub mod bins;
pub mod calibration;
pub mod calls;
pub mod curve;
pub mod fine;
pub mod gaps;
pub mod mixture;
pub mod period;
pub mod population;

pub use curve::{Curve, Piece};
pub use fine::Fine;
pub use gaps::Gaps;
pub use mixture::Mixture;
pub use period::Periods;
pub use population::Population;
