//! The look at one version: what of it is worth its memory, until when, and what comes after.

use std::time::Duration;

use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Instant, StartKind};

use super::Pilot;
use super::mind::{GaveUp, Kept, Mind};
use crate::action::{Action, Because, Forecast};
use crate::budget::price::LEASE;
use crate::predict::bins::{self, BINS, MINUTE};
use crate::predict::curve::{Curve, Window};
use crate::predict::fine::SOONEST;
use crate::predict::population::Population;
use crate::{Bytes, VersionId, later};

/// What a second of a processor costs, in byte-seconds: 9.1 GB for each, by the public prices of AWS Fargate
/// in 2024 ($0.04048 for an hour of a vCPU, $0.004445 for an hour of a GB).
const PROCESSOR: f64 = 9.1e9;
/// Of several idle instances, each next one is needed so much less often.
const NEXT_INSTANCE: f32 = 0.5;
/// How much longer than the median making a template may take and still be in time.
const IN_TIME: f32 = 1.5;
/// A window is never found if nothing in it can be worth it.
const NEVER: f32 = f32::INFINITY;

/// What is decided about being ready: what to keep, why, and until when.
#[derive(Debug, Clone, Copy)]
struct Verdict {
    ready: bool,
    /// Whether a template is worth making for it.
    lasting: bool,
    /// What is expected, now or next.
    forecast: Option<Forecast>,
    /// Its confidence before it was corrected, where it is of the version's past.
    raw: Option<f32>,
    /// Whether something else than the past says so.
    told: bool,
    until: Instant,
    hazard: f32,
}

impl Pilot {
    /// Seconds that being ready saves a request of a version.
    pub(super) fn saves(&self, version: VersionId) -> f32 {
        let Some(mind) = self.minds.get(version.0) else {
            return 0.0;
        };
        let paid = self.costs.start(mind.runtime, &mind.its, StartKind::Zygote);
        let ready = if mind.no_template {
            StartKind::Warm
        } else {
            StartKind::Forked
        };
        let ready = self.costs.start(mind.runtime, &mind.its, ready);
        paid.saturating_sub(ready).as_secs_f32()
    }

    /// The hazard per minute from which on so many bytes are worth it that save so many seconds.
    fn least(&self, mind: &Mind, now: Instant, bytes: Bytes, saves: f32) -> f32 {
        let price = self.price.now();
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

    /// Looks at a version, and says what is to be done about it.
    pub(super) fn review(&mut self, now: Instant, version: VersionId, actions: &mut Vec<Action>) {
        let known = self.books.version(version);
        let (working, keep_alive) = (known.busy + known.starting > 0, known.keep_alive);
        if known.is_retired() {
            return;
        }
        self.pass_time(now, version);
        let Some(mind) = self.minds.get(version.0) else {
            return;
        };
        if mind.last.is_none() && mind.expected.is_none() && !mind.is_ready() {
            return;
        }
        let curve = mind.past.curve(mind.gap_since(), &self.all, &self.beliefs);
        let owner = keep_alive.map(|time| later(mind.gap_since(), time));
        let verdict = self.verdict(now, version, mind, &curve, owner, working);
        let kept = self.instances_worth(now, mind, &verdict, keep_alive, owner);
        let rung = self.rung(now, mind, &verdict, kept);
        self.judge(now, version, &verdict);
        self.stand(now, version, rung, &verdict, actions);
        self.rest(version, kept, actions);
        self.note_worth(now, version, verdict.hazard);
        self.look_at(now, version, verdict.until);
    }

    /// The account of time that has passed: the shadow's, and that of gaps that are still open.
    fn pass_time(&mut self, now: Instant, version: VersionId) {
        let Some(mind) = self.minds.entry(version.0) else {
            return;
        };
        let whole = mind.its.whole_memory(mind.most).0 as f64;
        let kept = mind.shadow.settle(now) * whole * f64::from(mind.weight);
        self.ledger.add_shadow(kept);
        if mind.last.is_none() {
            return;
        }
        let minute = mind.minute(now);
        let weight = Population::weight(mind.past.gaps.seen(), mind.weight);
        while mind.crossed < BINS && bins::range(mind.crossed).1 <= minute {
            self.all
                .outlasted(mind.past.likeness(), mind.crossed, weight);
            mind.crossed += 1;
        }
    }

    fn verdict(
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
            self.least(mind, now, bytes, self.saves(version))
        };
        let minute = mind.minute(now);
        let young = self.worth_seconds(now, version);
        let window = curve.window(minute, least);
        let lead = self.lead(mind) + self.bridge(mind, bytes, now);
        let begins = window.map(|window| Instant(mind.begins(window.from).0.saturating_sub(lead)));
        let ends = window.map(|window| mind.is_over(window.until));
        let inside = begins.is_some_and(|begins| begins <= now);
        let told = mind.expected.filter(|told| now <= told.forecast.until);
        let told_from = told.map(|told| Instant(told.forecast.from.0.saturating_sub(lead)));
        let told_now = told_from.is_some_and(|from| from <= now);
        let owned = owner.is_some_and(|owner| now < owner);

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
            until = sooner(until, Some(later(now, LEASE)));
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
            ready: inside || young || told_now || owned || working,
            lasting: inside || told_now || owned,
            forecast,
            raw,
            told: told_now,
            // Nothing to wait for: a look a day.
            until: until.unwrap_or(Instant(now.0 + 1_440 * MINUTE)),
            hazard,
        }
    }

    /// What being ready takes.
    fn ready_bytes(&self, mind: &Mind) -> Bytes {
        if mind.no_template {
            mind.its.whole_memory(mind.most)
        } else {
            mind.template
                .unwrap_or_else(|| mind.its.template_memory(mind.most))
        }
    }

    /// Whether nothing may be kept of a version because the shadow keeps nothing.
    fn is_short(&self, mind: &Mind, now: Instant) -> bool {
        self.price.is_short(&self.ledger) && mind.shadow.idle(now) == 0
    }

    /// The probability per minute that a request follows within seconds.
    fn soon_hazard(&self, mind: &Mind) -> f32 {
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
        (seconds.min(LEASE.as_secs_f64()) * 1e9) as u64
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

    /// How many idle instances are worth keeping.
    fn instances_worth(
        &self,
        now: Instant,
        mind: &Mind,
        verdict: &Verdict,
        keep_alive: Option<Duration>,
        owner: Option<Instant>,
    ) -> usize {
        if keep_alive.is_some_and(|time| time.is_zero()) && !verdict.told {
            return 0;
        }
        let all = mind.idle.len();
        // What was ordered ahead may be there before its time.
        let surely = mind.expected.is_some_and(|told| told.caller.is_none());
        if surely || verdict.told || owner.is_some_and(|owner| now < owner) {
            return all;
        }
        if !verdict.ready {
            // Without their template they would be as heavy as any.
            return 0;
        }
        if mind.template.is_none() {
            // They are all that is ready.
            return all;
        }
        let shared =
            |resting: &&super::mind::Resting| resting.memory.0 < mind.its.whole_memory(mind.most).0;
        let all = mind.idle.iter().filter(shared).count();
        let forked = self.costs.start(mind.runtime, &mind.its, StartKind::Forked);
        let warm = self.costs.start(mind.runtime, &mind.its, StartKind::Warm);
        let saves = forked.saturating_sub(warm).as_secs_f32();
        let least = self.least(mind, now, mind.its.fork_memory(mind.most), saves);
        let hazard = verdict.hazard;
        (0..all)
            .take_while(|place| hazard * NEXT_INSTANCE.powi(*place as i32) >= least)
            .count()
    }

    /// The rung to stand on.
    fn rung(&self, now: Instant, mind: &Mind, verdict: &Verdict, kept: usize) -> Rung {
        let makes = mind.template.is_none() && !verdict.lasting;
        if !verdict.ready || mind.no_template || makes {
            return Rung::Zygote;
        }
        let forked = self.costs.start(mind.runtime, &mind.its, StartKind::Forked);
        let spare = self.costs.start(mind.runtime, &mind.its, StartKind::Spare);
        let saves = forked.saturating_sub(spare).as_secs_f32();
        let least = self.least(mind, now, mind.its.fork_memory(mind.most), saves);
        let hazard = verdict.hazard * NEXT_INSTANCE.powi(kept.min(8) as i32);
        if hazard >= least {
            Rung::Spare
        } else {
            Rung::Template
        }
    }

    /// Whether what was kept for a forecast was kept in vain.
    fn judge(&mut self, now: Instant, version: VersionId, verdict: &Verdict) {
        let Some(mind) = self.minds.entry(version.0) else {
            return;
        };
        if let Some(kept) = mind.forecast
            && (now > kept.forecast.until || !verdict.ready)
        {
            mind.forecast = None;
            mind.record.counters.misses += 1;
            if let Some(raw) = kept.raw.filter(|_| now >= kept.forecast.until) {
                self.calibration.learn(raw, false);
            }
            let mb_s = mind.kept().0 as f64 / 1e6 * now.since(kept.since).as_secs_f64();
            mind.record.counters.wasted_mb_s += mb_s;
        }
        if mind.expected.is_some_and(|told| now > told.forecast.until) {
            self.unmet(now, version);
        }
    }

    /// Orders a rung, where it is another than before.
    fn stand(
        &mut self,
        now: Instant,
        version: VersionId,
        rung: Rung,
        verdict: &Verdict,
        actions: &mut Vec<Action>,
    ) {
        let Some(mind) = self.minds.entry(version.0) else {
            return;
        };
        let was_ready = mind.is_ready();
        if verdict.ready
            && !was_ready
            && let Some(forecast) = verdict.forecast
        {
            mind.forecast = Some(Kept {
                forecast,
                raw: verdict.raw,
                since: now,
            });
            mind.record.counters.forecasts += 1;
            if let Some(told) = mind.expected.as_mut().filter(|_| verdict.told) {
                told.ready.get_or_insert(now);
            }
        }
        if !verdict.ready && was_ready {
            mind.gave_up = Some(GaveUp {
                at: now,
                pressure: false,
                next: verdict.forecast,
            });
        }
        if verdict.ready && mind.no_template && mind.idle.is_empty() {
            if let Some(forecast) = verdict.forecast.filter(|_| !was_ready) {
                actions.push(Action::PreStart {
                    version,
                    node: mind.home,
                    instances: 1,
                    by: forecast.from.max(now),
                    because: Because::Forecast(forecast),
                });
            }
            return;
        }
        let lacks = rung == Rung::Template && mind.template.is_none();
        let stands = mind.wanted == rung && !lacks;
        let nothing =
            rung < Rung::Template && mind.template.is_none() && mind.wanted < Rung::Template;
        if stands || nothing {
            return;
        }
        let because = match verdict.forecast {
            Some(forecast) if verdict.ready => Because::Forecast(forecast),
            _ if verdict.ready => Because::Worth,
            None => Because::Expired,
            Some(_) => Because::Worth,
        };
        if !lacks || mind.wanted < Rung::Template {
            mind.wanted_since = now;
        }
        mind.wanted = rung;
        actions.push(Action::Hold {
            version,
            node: mind.home,
            rung,
            because,
        });
    }

    /// Gives up idle instances but for so many; those that share nothing with a template first.
    fn rest(&mut self, version: VersionId, kept: usize, actions: &mut Vec<Action>) {
        let Some(mind) = self.minds.entry(version.0) else {
            return;
        };
        let whole = mind.its.whole_memory(mind.most).0;
        let has_template = mind.template.is_some();
        while mind.idle.len() > kept {
            let lonely = |resting: &super::mind::Resting| has_template && resting.memory.0 >= whole;
            let place = mind.idle.iter().position(lonely).unwrap_or(0);
            let resting = mind.idle.remove(place);
            self.books.remove(resting.instance);
            actions.push(Action::Reclaim {
                instance: resting.instance,
                because: Because::Worth,
            });
        }
        self.account(version);
    }
}

fn sooner(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
