//! Memory that is kept beyond what runs, over all versions, and what the shadow has kept meanwhile.

use pilotlight_model::start::Instant;

use super::super::Bytes;

/// A weight of one: fine enough for the rarest row of a sample, and exact, so that nothing is left when all
/// is given up.
pub const ONE: i64 = 1 << 32;

/// The account of all versions.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ledger {
    /// Byte-seconds kept.
    spent: f64,
    /// Byte-seconds that the shadow kept.
    shadow: f64,
    /// Bytes kept now, in units of [`ONE`]: a version that stands for many counts so many times.
    rate: i128,
    settled: Instant0,
}

/// An instant, zero at first.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Instant0(Instant);

impl Default for Instant0 {
    fn default() -> Self {
        Self(Instant(0))
    }
}

impl Ledger {
    /// Time has passed.
    pub fn settle(&mut self, now: Instant) {
        self.spent += self.bytes() * now.since(self.settled.0).as_secs_f64();
        self.settled.0 = self.settled.0.max(now);
    }

    /// A version keeps `to` instead of `from`, counted `weight` times in units of [`ONE`].
    /// Settle first.
    pub fn change(&mut self, from: Bytes, to: Bytes, weight: i64) {
        self.rate += (i128::from(to.0) - i128::from(from.0)) * i128::from(weight);
    }

    /// The shadow has kept so many byte-seconds more.
    pub fn add_shadow(&mut self, byte_seconds: f64) {
        self.shadow += byte_seconds;
    }

    /// Bytes kept now.
    pub fn bytes(&self) -> f64 {
        self.rate.max(0) as f64 / ONE as f64
    }

    /// Byte-seconds kept.
    pub fn spent(&self) -> f64 {
        self.spent
    }

    /// Byte-seconds that the shadow kept.
    pub fn shadow(&self) -> f64 {
        self.shadow
    }
}
