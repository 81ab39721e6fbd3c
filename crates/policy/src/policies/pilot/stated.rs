//! Forecasts that an order told as its reason: what came of them corrects the confidence of those to come.
//!
//! All of them are learned from, whether anything was kept for them until their time was over or not: what is kept
//! depends on what it is worth, and so on the forecast. One that a request comes before says nothing: it spoke of the
//! next request.

use pilotlight_model::start::Instant;

use super::Pilot;
use super::verdict::Verdict;
use crate::VersionId;
use crate::predict::calibration::Calibration;

/// Forecasts of a version that are followed at the same time, 24 bytes each. More are not followed, whatever comes of
/// them.
const MOST: usize = 8;

/// A forecast by a version's past that is not decided.
#[derive(Debug, Clone, Copy)]
struct One {
    /// Its confidence before it was corrected.
    raw: f32,
    from: Instant,
    until: Instant,
}

/// Those of one version.
#[derive(Debug, Clone, Default)]
pub(super) struct Stated(Vec<One>);

impl Stated {
    fn add(&mut self, one: One) {
        let told = |it: &One| (it.from, it.until) == (one.from, one.until);
        if self.0.len() < MOST && !self.0.iter().any(told) {
            self.0.push(one);
        }
    }

    /// A request came.
    fn decided(&mut self, now: Instant, calibration: &mut Calibration) {
        for one in self.0.drain(..).filter(|one| one.from <= now) {
            calibration.learn(one.raw, now <= one.until);
        }
    }

    /// Time has passed without a request.
    fn outlasted(&mut self, now: Instant, calibration: &mut Calibration) {
        self.0.retain(|one| {
            let open = now <= one.until;
            if !open {
                calibration.learn(one.raw, false);
            }
            open
        });
    }
}

impl Pilot {
    /// An order was given by that verdict.
    pub(super) fn stated(&mut self, version: VersionId, verdict: &Verdict) {
        let told = verdict.forecast.filter(|_| verdict.ready);
        if let Some((forecast, raw)) = told.zip(verdict.raw)
            && let Some(mind) = self.minds.entry(version.0)
        {
            let (from, until) = (forecast.from, forecast.until);
            mind.stated.add(One { raw, from, until });
        }
    }

    /// A request came for a version, or none in the time since the last look at it.
    pub(super) fn learn_confidence(&mut self, now: Instant, version: VersionId, came: bool) {
        let Some(mind) = self.minds.entry(version.0) else {
            return;
        };
        match came {
            true => mind.stated.decided(now, &mut self.calibration),
            false => mind.stated.outlasted(now, &mut self.calibration),
        }
    }
}
