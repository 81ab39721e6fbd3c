//! The ledger of forecasts: which came true, how long before, and what those cost that did not.
//!
//! A forecast is made with an action that a policy gives `Because::Forecast` for, and speaks of the time
//! from `from` to `until`. It is a hit if a request comes then, and counts once. An arrival needs one if no
//! instance waits that an earlier request has left; it is covered if a forecast speaks of that moment.
//!
//! Beside it, [`Reliability`]: of forecasts made with some confidence, how many came true. What is forecast by a
//! version's past is the time of its next request, so that one of these says nothing once a request has come
//! before its time, and does not count there. Nor does one whose time reaches beyond the trace: of those, only what
//! came true would be known.

use std::collections::BTreeMap;

use pilotlight_model::start::Instant;
use pilotlight_policy::action::{Because, Source};
use pilotlight_policy::{Bytes, VersionId};
use serde::Serialize;

use crate::outcome::Reliability;

/// Forecasts of one version that are open at the same time; more do not count.
const MAX_OPEN: usize = 16;
/// Edges that the ledger has entries for at most.
const MAX_EDGES: usize = 1 << 20;
/// Mebibytes times seconds in bytes times nanoseconds.
const MB_S: f64 = (1u64 << 20) as f64 * 1e9;

/// Where a forecast came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// Times between requests.
    Gaps,
    /// A period.
    Period,
    /// A caller that runs.
    Call,
    /// An alias that shifts.
    Shift,
    /// A schedule or a user.
    Announced,
}

impl SourceKind {
    /// All of them.
    pub const ALL: [SourceKind; 5] = [
        Self::Gaps,
        Self::Period,
        Self::Call,
        Self::Shift,
        Self::Announced,
    ];

    fn of(source: Source) -> Self {
        match source {
            Source::Gaps => Self::Gaps,
            Source::Period => Self::Period,
            Source::Call(_) => Self::Call,
            Source::Shift(_) => Self::Shift,
            Source::Announced => Self::Announced,
        }
    }
}

/// What expects a request, where that is why an action is ordered.
pub(crate) fn source(because: Because) -> Option<Source> {
    match because {
        Because::Forecast(forecast) => Some(forecast.by),
        Because::Expired | Because::Pressure | Because::Worth => None,
    }
}

/// What came of the forecasts of one source, or of one caller for one callee.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Entry {
    /// Forecasts that were made and are over.
    pub made: u64,
    /// Of them, those in whose time a request came.
    pub hit: u64,
    /// From the forecast to that request, added up, in seconds.
    pub lead_s: f64,
    /// Memory-time of what was made for requests that did not come, or until they came, in MB·s.
    pub wasted_mb_s: f64,
}

/// The whole ledger.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// By source, in the order of [`SourceKind::ALL`].
    pub by_source: [Entry; 5],
    /// What came of them by confidence, in the same order.
    pub reliability: [Reliability; 5],
    /// Of calls, by caller and callee.
    pub by_edge: BTreeMap<(VersionId, VersionId), Entry>,
    /// Arrivals that needed a forecast.
    pub needed: u64,
    /// Of them, those that a forecast covered.
    pub covered: u64,
}

impl Ledger {
    /// The time of a forecast is over.
    fn over(&mut self, open: &Open, hit: bool) {
        if !open.void {
            self.reliability[SourceKind::of(open.source) as usize].learn(open.confidence, hit);
        }
    }

    /// Changes all entries that a forecast of that source for that version counts in.
    fn entries(&mut self, source: Source, version: VersionId, change: impl Fn(&mut Entry)) {
        change(&mut self.by_source[SourceKind::of(source) as usize]);
        if let Source::Call(caller) = source {
            let edge = (caller, version);
            if self.by_edge.len() < MAX_EDGES || self.by_edge.contains_key(&edge) {
                change(self.by_edge.entry(edge).or_default());
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Open {
    source: Source,
    made: Instant,
    from: Instant,
    until: Instant,
    confidence: f32,
    /// What comes says nothing of its confidence.
    void: bool,
}

impl Open {
    /// A request came before it.
    fn preceded(&mut self) {
        self.void |= matches!(self.source, Source::Gaps | Source::Period);
    }
}

/// Forecasts of all versions.
#[derive(Debug)]
pub(crate) struct Forecasts {
    open: Vec<Vec<Open>>,
    ledger: Ledger,
    /// When the trace ends.
    end: Instant,
}

impl Forecasts {
    pub(crate) fn new(functions: usize, end: Instant) -> Self {
        Self {
            open: vec![Vec::new(); functions],
            ledger: Ledger::default(),
            end,
        }
    }

    /// Takes note of why an action was ordered.
    pub(crate) fn made(&mut self, now: Instant, version: VersionId, because: Because) {
        let Because::Forecast(forecast) = because else {
            return;
        };
        let source = forecast.by;
        let open = &mut self.open[version.0 as usize];
        let ledger = &mut self.ledger;
        open.retain(|it| {
            let is_over = it.until < now;
            if is_over {
                ledger.over(it, false);
            }
            !is_over
        });
        // An action that repeats a forecast is no forecast of its own.
        if open
            .iter()
            .any(|it| (it.source, it.from, it.until) == (source, forecast.from, forecast.until))
        {
            return;
        }
        if open.len() == MAX_OPEN {
            let Some(void) = open.iter().position(|it| it.void) else {
                // To leave out those that are open longest would leave out misses.
                return;
            };
            open.remove(void);
        }
        self.ledger
            .entries(source, version, |entry| entry.made += 1);
        open.push(Open {
            source,
            made: now,
            from: forecast.from,
            until: forecast.until,
            confidence: forecast.confidence,
            void: forecast.until >= self.end,
        });
    }

    /// A request came. `needed` says that no instance was left by one before it.
    pub(crate) fn arrived(&mut self, now: Instant, version: VersionId, needed: bool) {
        let open = &mut self.open[version.0 as usize];
        let mut covered = false;
        if !open.is_empty() {
            let ledger = &mut self.ledger;
            open.retain_mut(|it| {
                if now < it.from {
                    it.preceded();
                    return true;
                }
                if now <= it.until {
                    covered = true;
                    ledger.over(it, true);
                    ledger.entries(it.source, version, |entry| {
                        entry.hit += 1;
                        entry.lead_s += now.since(it.made).as_secs_f64();
                    });
                } else {
                    ledger.over(it, false);
                }
                false
            });
        }
        self.ledger.needed += u64::from(needed);
        self.ledger.covered += u64::from(needed && covered);
    }

    /// Memory that was held for a forecast, without use, from then until now.
    pub(crate) fn unused(
        &mut self,
        source: Option<Source>,
        version: VersionId,
        since: Instant,
        now: Instant,
        memory: Bytes,
    ) {
        if let Some(source) = source {
            let elapsed = now.0.saturating_sub(since.0) as f64 / MB_S;
            let wasted = memory.0 as f64 * elapsed;
            self.ledger
                .entries(source, version, |entry| entry.wasted_mb_s += wasted);
        }
    }

    /// The ledger at the end. A forecast that speaks of a time after it does not count.
    pub(crate) fn close(&mut self) -> Ledger {
        for (version, open) in (0..).map(VersionId).zip(&self.open) {
            for open in open {
                if open.until < self.end {
                    self.ledger.over(open, false);
                } else {
                    self.ledger
                        .entries(open.source, version, |entry| entry.made -= 1);
                }
            }
        }
        std::mem::take(&mut self.ledger)
    }
}

#[cfg(test)]
mod tests {
    use pilotlight_policy::action::Forecast;

    use super::*;

    const F: VersionId = VersionId(0);

    /// A forecast with a confidence of 0.35 that is made at 0, for a time in seconds.
    fn forecasts(by: Source, from: u64, until: u64) -> Forecasts {
        let mut forecasts = Forecasts::new(1, at(100));
        let forecast = Forecast {
            by,
            confidence: 0.35,
            from: at(from),
            until: at(until),
        };
        forecasts.made(at(0), F, Because::Forecast(forecast));
        forecasts
    }

    fn at(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000_000)
    }

    /// Forecasts and hits among those of its confidence, after requests at these seconds.
    fn came(mut forecasts: Forecasts, requests: &[u64]) -> (u64, u64) {
        for second in requests {
            forecasts.arrived(at(*second), F, true);
        }
        let ledger = forecasts.close();
        let all = ledger.reliability.iter();
        let tenth = all.fold(Reliability::default(), Reliability::and).tenths[3];
        (tenth.made, tenth.hit)
    }

    #[test]
    fn what_comes_in_its_time_is_a_hit_and_nothing_a_miss() {
        assert_eq!(came(forecasts(Source::Gaps, 10, 20), &[15, 16]), (1, 1));
        assert_eq!(came(forecasts(Source::Gaps, 10, 20), &[25]), (1, 0));
        assert_eq!(came(forecasts(Source::Gaps, 10, 20), &[]), (1, 0));
    }

    #[test]
    fn one_of_the_next_request_says_nothing_after_an_earlier_one() {
        assert_eq!(came(forecasts(Source::Gaps, 10, 20), &[5, 15]), (0, 0));
        assert_eq!(came(forecasts(Source::Period, 10, 20), &[5]), (0, 0));
        assert_eq!(came(forecasts(Source::Announced, 10, 20), &[5, 15]), (1, 1));
    }

    #[test]
    fn what_reaches_beyond_the_trace_does_not_count() {
        assert_eq!(came(forecasts(Source::Gaps, 10, 100), &[15]), (0, 0));
        assert_eq!(came(forecasts(Source::Gaps, 10, 100), &[]), (0, 0));
    }
}
