//! Whether it is worth being ready for a version's next request, and until when that is so.

use std::time::Duration;

use pilotlight_model::start::{Instant, StartKind};

use super::Pilot;
use super::mind::Mind;
use crate::action::Forecast;
use crate::predict::bins::{self, BINS, MINUTE};
use crate::predict::curve::{Curve, Window};
use crate::predict::fine::SOONEST;
use crate::{Bytes, VersionId, later};

/// What a second of a processor costs, in byte-seconds: 9.1 GB for each, by the public prices of AWS Fargate
/// in 2024 ($0.04048 for an hour of a vCPU, $0.004445 for an hour of a GB).
const PROCESSOR: f64 = 9.1e9;
/// How much longer than the median making a template may take and still be in time.
const IN_TIME: f32 = 1.5;
/// A window is never found if nothing in it can be worth it.
const NEVER: f32 = f32::INFINITY;

/// What is decided about being ready: what to keep, why, and until when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict {
    pub ready: bool,
    /// Whether a template is worth making for it.
    pub lasting: bool,
    /// What is expected, now or next.
    pub forecast: Option<Forecast>,
    /// Its confidence before it was corrected, where it is of the version's past.
    pub raw: Option<f32>,
    /// Whether something else than the past says so.
    pub told: bool,
    pub until: Instant,
    pub hazard: f32,
}

impl Pilot {
    /// Seconds that being ready saves a request of a version.
    pub(super) fn saves(&self, version: VersionId) -> f32 {
        let Some(mind) = self.minds.get(version.0) else {
            return 0.0;
        };
        let paid = self.costs.start(mind.runtime, &mind.its, StartKind::Zygote);
        let ready = if mind.no_template {
            StartKind::Spare
        } else {
            StartKind::Forked
        };
        let ready = self.costs.start(mind.runtime, &mind.its, ready);
        paid.saturating_sub(ready).as_secs_f32()
    }

    /// The hazard per minute from which on so many bytes are worth keeping that save so many seconds.
    pub(super) fn least(&self, mind: &Mind, now: Instant, bytes: Bytes, saves: f32) -> f32 {
        self.least_at(self.price.now(), mind, now, bytes, saves)
    }

    fn least_at(&self, price: f64, mind: &Mind, now: Instant, bytes: Bytes, saves: f32) -> f32 {
        if price <= 0.0 {
            return 0.0;
        }
        let versions = self.means.versions.max(1e-9);
        let (mean_bytes, mean_saves) = (self.means.bytes / versions, self.means.saves / versions);
        let cost = price * bytes.0 as f64 / mean_bytes.max(1.0);
        let value = f64::from(saves) / mean_saves.max(1e-6) * f64::from(self.weight(mind, now));
        if value <= 0.0 {
            NEVER
        } else {
            (cost / value) as f32
        }
    }

    fn weight(&self, mind: &Mind, now: Instant) -> f32 {
        mind.days_between(now) + self.parameters.floor
    }

    pub(super) fn verdict(
        &self,
        now: Instant,
        version: VersionId,
        mind: &Mind,
        curve: &Curve,
        owner: Option<Instant>,
        working: bool,
    ) -> Verdict {
        let bytes = self.ready_bytes(mind);
        let short = self.is_short(mind, now);
        let least = if short {
            NEVER
        } else {
            self.least_at(self.price.to_make(), mind, now, bytes, self.saves(version))
        };
        // Instances at work need nothing beside them: what is there stays while it can be paid for, or while its end
        // would have them take more than it gives back.
        let shared = || {
            mind.template
                .is_some_and(|it| self.grows_without(version, mind.home) >= it)
        };
        let working = working && (!short || shared());
        let minute = mind.minute(now);
        let young = self.worth_seconds(now, version);
        // Beyond what is told apart, nothing is expected any more.
        let forgotten = mind.is_over(bins::LONGEST + 1) <= now;
        let window = curve.window(minute, least).filter(|_| !forgotten);
        let lead = self.lead(mind) + self.bridge(mind, bytes, now);
        let begins = window.map(|window| Instant(mind.begins(window.from).0.saturating_sub(lead)));
        let ends = window.map(|window| mind.is_over(window.until));
        let inside = begins.is_some_and(|begins| begins <= now);
        let told = mind.expected.filter(|told| now <= told.forecast.until);
        let told_from = told.map(|told| Instant(told.forecast.from.0.saturating_sub(lead)));
        let told_now = told_from.is_some_and(|from| from <= now);
        let owned = owner.is_some_and(|owner| now < owner);
        // Nothing is given up for nothing.
        let free = self.price.is_free() && mind.is_ready()
            || self.price.leaves_templates() && mind.template.is_some();

        let edge = (mind.last.is_some() && mind.crossed < BINS)
            .then(|| mind.is_over(bins::range(mind.crossed).1));
        let owner_ends = owner.filter(|owner| *owner > now);
        let mut until = edge
            .into_iter()
            .chain(mind.shadow.ends(now))
            .chain(owner_ends)
            .min();
        until = sooner(until, told_from.filter(|from| *from > now));
        until = sooner(until, told.map(|told| Instant(told.forecast.until.0 + 1)));
        until = sooner(until, if inside { ends } else { begins });
        if young {
            until = sooner(until, Some(Instant(mind.gap_since().0 + MINUTE / 2)));
        }
        if inside || working || owned {
            until = sooner(until, Some(later(now, self.price.lease())));
        }
        let forecast = match told.filter(|_| told_now) {
            Some(told) => Some(told.forecast),
            None => window.map(|window| self.forecast(mind, &window)),
        };
        let raw = window.filter(|_| !told_now).map(|window| window.confidence);
        let hazard = if young {
            self.soon_hazard(mind)
        } else {
            curve.hazard(minute)
        };
        Verdict {
            ready: inside || young || told_now || owned || working || free,
            lasting: inside || told_now || owned,
            forecast,
            raw,
            told: told_now,
            // Nothing to wait for: a look a day.
            until: until
                .filter(|until| *until > now)
                .unwrap_or(Instant(now.0 + 1_440 * MINUTE)),
            hazard,
        }
    }

    /// What being ready takes.
    pub(super) fn ready_bytes(&self, mind: &Mind) -> Bytes {
        if mind.no_template {
            mind.its.whole_memory(mind.most)
        } else {
            mind.template
                .unwrap_or_else(|| mind.its.template_memory(mind.most))
        }
    }

    /// Whether nothing may be kept of a version because the shadow keeps nothing.
    pub(super) fn is_short(&self, mind: &Mind, now: Instant) -> bool {
        self.price.is_short(&self.ledger) && mind.shadow.idle(now) == 0
    }

    /// The probability per minute that a request follows within seconds.
    pub(super) fn soon_hazard(&self, mind: &Mind) -> f32 {
        mind.fine.soon(&self.fine) / SOONEST
    }

    /// Whether it is worth being ready for a request that follows within seconds, and those are not over.
    pub(super) fn worth_seconds(&self, now: Instant, version: VersionId) -> bool {
        let Some(mind) = self.minds.get(version.0).filter(|mind| mind.is_young(now)) else {
            return false;
        };
        let least = self.least(mind, now, self.ready_bytes(mind), self.saves(version));
        !self.is_short(mind, now) && self.soon_hazard(mind) >= least
    }

    /// For how long it is better to stay ready than to be made ready again: while the memory costs less than
    /// the processor's work, in nanoseconds. Nothing where nothing is ready.
    fn bridge(&self, mind: &Mind, bytes: Bytes, now: Instant) -> u64 {
        if !mind.is_ready() || self.is_short(mind, now) {
            return 0;
        }
        let makes = self
            .costs
            .make_template(mind.runtime, &mind.its)
            .as_secs_f64();
        let seconds = makes * PROCESSOR / bytes.0.max(1) as f64;
        (seconds.min(self.price.lease().as_secs_f64()) * 1e9) as u64
    }

    fn forecast(&self, mind: &Mind, window: &Window) -> Forecast {
        Forecast {
            by: window.source,
            confidence: self.calibration.correct(window.confidence),
            from: mind.begins(window.from),
            until: mind.is_over(window.until),
        }
    }

    /// How long before it is needed something must be begun.
    fn lead(&self, mind: &Mind) -> u64 {
        let makes = self.costs.make_template(mind.runtime, &mind.its);
        (makes.mul_f32(IN_TIME) + Duration::from_millis(20)).as_nanos() as u64
    }
}

fn sooner(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
