//! Why starts were what they were: the last ones of each version, and what its forecasts were worth.

use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Instant, StartKind};

use crate::action::Forecast;
use crate::predict::calls::Callees;
use crate::predict::period::Period;

/// Starts that are told of each version.
pub const TOLD: usize = 6;

/// What is known of a version and was done about it, for people.
#[derive(Debug, Clone, Copy)]
pub struct Explained<'a> {
    /// The last starts, and what forecasts were worth.
    pub record: &'a Record,
    /// What is expected now, where something is kept for it.
    pub forecast: Option<Forecast>,
    /// The strongest beat.
    pub period: Option<Period>,
    /// Calls to others.
    pub callees: &'a Callees,
    /// The rung that it is held on.
    pub rung: Rung,
}

/// What is told of one version: 400 bytes once it has had a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// The last starts, oldest first.
    told: Vec<Told>,
    /// What forecasts were worth.
    pub counters: Counters,
}

/// One start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Told {
    /// When its request came.
    pub at: Instant,
    /// What it was; none while it is being made.
    pub kind: Option<StartKind>,
    /// Why.
    pub why: Why,
}

/// Why a start was what it was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Why {
    /// It was the version's first request.
    NeverSeen,
    /// What was kept since its last request, or for a forecast, was there.
    Kept,
    /// What a forecast had made ready was there.
    Foreseen(Forecast),
    /// Nothing was kept any more, since then: its time was over, or its memory saved more elsewhere.
    Expired {
        /// When it was given up.
        at: Instant,
        /// What was forecast then, where anything was: a request later than the one that came.
        forecast: Option<Forecast>,
    },
    /// What was kept had to give way, then.
    Pressure {
        /// When it was given up.
        at: Instant,
    },
    /// All instances were busy, so many.
    Burst {
        /// Instances of the version.
        instances: u32,
    },
}

/// What the forecasts of a version, or of all, were worth; only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counters {
    /// Forecasts that something was made ready for where nothing was, and announcements.
    pub forecasts: u32,
    /// Those in whose time a request came.
    pub hits: u32,
    /// Those in whose time none came, or for which what was kept was given up before.
    pub misses: u32,
    /// Requests that paid a user's initialisation.
    pub cold: u32,
    /// Requests.
    pub requests: u64,
    /// MB·s that were kept for forecasts in vain.
    pub wasted_mb_s: f64,
}

impl Record {
    /// A request has come.
    pub fn tell(&mut self, told: Told) {
        if self.told.len() >= TOLD {
            self.told.remove(0);
        }
        self.told.push(told);
    }

    /// A start was made, or an instance found, for the oldest request of which that was not known.
    pub fn start(&mut self, kind: StartKind) {
        if matches!(kind, StartKind::Zygote | StartKind::Booted) {
            self.counters.cold += 1;
        }
        if let Some(told) = self.told.iter_mut().find(|told| told.kind.is_none()) {
            told.kind = Some(kind);
        }
    }

    /// The last starts, oldest first.
    pub fn told(&self) -> &[Told] {
        &self.told
    }
}
