//! The look at one version: what of it is worth its memory, until when, and what comes after.

use std::time::Duration;

use pilotlight_model::ladder::Rung;
use pilotlight_model::start::Instant;

use super::Pilot;
use super::mind::{GaveUp, Kept, Mind, Resting};
use super::verdict::Verdict;
use crate::action::{Action, Because};
use crate::budget::shadow::KEEP_ALIVE;
use crate::predict::bins::{self, BINS};
use crate::predict::population::Population;
use crate::{VersionId, later};

/// Of several idle instances, each next one is needed so much less often.
const NEXT_INSTANCE: f32 = 0.5;

impl Pilot {
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
        let ends = self.next_end(now, mind, keep_alive);
        let rung = self.rung(now, mind, &verdict, kept);
        let hazard = verdict.hazard.max(mind.told_hazard(now));
        self.judge(now, version, &verdict);
        self.learn_confidence(now, version, false);
        self.note_value(now, version, hazard);
        let before = actions.len();
        self.stand(now, version, rung, &verdict, actions);
        let orders = actions.len() - before;
        if orders > 0 {
            self.stated(version, &verdict);
        }
        self.rest(version, kept, actions);
        if rung < Rung::Template {
            // Without their template, idle instances weigh more: they go before it does.
            actions[before..].rotate_left(orders);
        }
        self.rank(version);
        self.look_at(now, version, verdict.until);
        if let Some(ends) = ends {
            self.look_at(now, version, ends);
        }
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
        if mind.is_sure(now) || verdict.told || owner.is_some_and(|owner| now < owner) {
            return all;
        }
        if self.price.is_free() {
            // Without a template, one of them is all that is ready.
            let least = usize::from(mind.template.is_none()).min(all);
            let kept = |resting: &&Resting| now < idles_until(resting, keep_alive);
            return mind.idle.iter().filter(kept).count().max(least);
        }
        if !verdict.ready {
            // Without their template they would be as heavy as any.
            return 0;
        }
        if mind.template.is_none() {
            // They are all that is ready: while nothing is left in the account, as many as the shadow keeps.
            let affordable = if self.price.is_short(&self.ledger) {
                mind.shadow.idle(now) as usize
            } else {
                all
            };
            return all.min(affordable);
        }
        let all = mind.idle.iter().filter(|resting| !resting.whole).count();
        let saves = self.fork_saves(mind);
        let least = self.least(mind, now, mind.its.fork_memory(mind.most), saves);
        let hazard = verdict.hazard;
        (0..all)
            .take_while(|place| hazard * NEXT_INSTANCE.powi(*place as i32) >= least)
            .count()
    }

    /// When the next of its idle instances has been kept for as long as any is where memory is free.
    fn next_end(&self, now: Instant, mind: &Mind, keep_alive: Option<Duration>) -> Option<Instant> {
        if !self.price.is_free() {
            return None;
        }
        let ends = mind.idle.iter().map(|it| idles_until(it, keep_alive));
        ends.filter(|end| *end > now).min()
    }

    /// The rung to stand on.
    fn rung(&self, now: Instant, mind: &Mind, verdict: &Verdict, kept: usize) -> Rung {
        let makes = mind.template.is_none() && !verdict.lasting;
        if !verdict.ready || mind.no_template || makes {
            return Rung::Zygote;
        }
        let saves = self.fork_saves(mind);
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
            self.totals.misses += 1;
            let mb_s = mind.kept().0 as f64 / 1e6 * now.since(kept.since).as_secs_f64();
            mind.record.counters.wasted_mb_s += mb_s;
            self.totals.wasted_mb_s += mb_s;
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
            // What is sure is counted already.
            if !(verdict.told && mind.is_sure(now)) {
                mind.forecast = Some(Kept {
                    forecast,
                    since: now,
                });
                mind.record.counters.forecasts += 1;
                self.totals.forecasts += 1;
            }
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
        let has_template = mind.template.is_some();
        let because = match self.price.is_free() {
            true => Because::Expired,
            false => Because::Worth,
        };
        while mind.idle.len() > kept {
            let lonely = |resting: &Resting| has_template && resting.whole;
            let place = mind.idle.iter().position(lonely).unwrap_or(0);
            let instance = mind.idle[place].instance;
            mind.forget(instance);
            self.books.remove(instance);
            actions.push(Action::Reclaim { instance, because });
        }
        self.account(version);
    }
}

/// Until when an idle instance is kept where memory is free: for as long as its owner says, or as long as is usual.
/// A template, which starts the next one in a millisecond, stays.
fn idles_until(resting: &Resting, keep_alive: Option<Duration>) -> Instant {
    later(resting.since, keep_alive.unwrap_or(KEEP_ALIVE))
}
