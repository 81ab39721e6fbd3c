//! What RainbowCake can be told, and for how long a layer is kept by it.

use std::time::Duration;

use crate::Bytes;
use crate::policies::SpecError;
use crate::policies::parameters::Parameters as Given;

/// What can be told to it; the defaults are those of the artifact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// The quantile of the time to the next arrival until which a layer is kept: above 0, below 1.
    pub quantile: f64,
    /// What waiting is worth beside memory, α: from 0, below 1.
    pub waiting: f64,
    /// Nothing is kept for less.
    pub least: Duration,
    /// Nothing is kept for more while its cost is unknown.
    pub most: Duration,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            quantile: 0.8,
            waiting: 0.996,
            least: Duration::from_secs(60),
            most: Duration::from_secs(600),
        }
    }
}

/// A mean in the making.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    pub(super) fn add(&mut self, value: Duration) {
        if self.count < u32::MAX {
            self.sum += value.as_secs_f64();
            self.count += 1;
        }
    }

    fn get(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

impl Parameters {
    /// Those that are given, and the artifact's for the others.
    pub(super) fn take(given: &mut Given) -> Result<Self, SpecError> {
        let mut taken = Self::default();
        given.part("quantile", &mut taken.quantile)?;
        given.part("waiting", &mut taken.waiting)?;
        taken.least = given.time("least")?.unwrap_or(taken.least);
        taken.most = given.time("most")?.unwrap_or(taken.most);
        Ok(taken)
    }

    /// For how long a layer is kept that is expected to be wanted within `next`.
    pub(super) fn time_to_live(
        &self,
        next: Option<Duration>,
        start: Mean,
        memory: Option<Bytes>,
    ) -> Duration {
        let most = start
            .get()
            .zip(memory)
            .map_or(self.most, |(seconds, memory)| {
                let mib = memory.0.max(1) as f64 / f64::from(1 << 20);
                let worth = self.waiting / (1.0 - self.waiting);
                Duration::try_from_secs_f64(worth * seconds / mib).unwrap_or(Duration::MAX)
            });
        next.unwrap_or(most).min(most).max(self.least)
    }
}
