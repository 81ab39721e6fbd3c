//! Requests that something other than a version's own past leads one to expect: a caller that runs, an
//! alias that shifts requests, an announcement.

use std::time::Duration;

use pilotlight_model::ladder::Rung;
use pilotlight_model::start::Instant;

use super::Pilot;
use super::mind::{Expectation, Sure};
use crate::action::{Action, Because, Forecast, Source};
use crate::budget::shadow::KEEP_ALIVE;
use crate::event::{Announced, Arrived, Calls, Shift};
use crate::{VersionId, later};

/// How far a chain of calls is followed, and how many calls in all for one request.
const DEPTH: usize = 4;
const MOST_CALLS: usize = 24;
/// What is less likely is not followed.
const UNLIKELY: f32 = 0.05;
/// What making a template may take at least, as a part of its mean.
const QUICKEST: f32 = 0.5;
/// How long a version that gets another's requests is kept ready after that.
const SETTLES: Duration = Duration::from_secs(600);
/// How long after its time an announced request may come.
const LATE: Duration = Duration::from_secs(60);
/// Announcements for times that are no further apart are for the same, in nanoseconds.
const SAME: u64 = 1_000_000_000;
/// How sure an announcement is.
const ANNOUNCED: f32 = 0.95;

/// A call to come, seen from the request that begins the chain.
#[derive(Debug, Clone, Copy)]
struct Step {
    caller: VersionId,
    probability: f32,
    from: Duration,
    /// Nearly all come sooner.
    late: Duration,
    until: Duration,
    depth: usize,
}

impl Pilot {
    /// What a request says about calls: the one that it is, and those that it will make.
    pub(super) fn calls(&mut self, now: Instant, arrived: &Arrived, actions: &mut Vec<Action>) {
        if let Some(cause) = arrived.cause
            && let Some(caller) = self.minds.entry(cause.version.0)
        {
            let counts = caller
                .callees
                .called(arrived.version, cause.request, cause.after);
            self.call_totals.calls += u64::from(counts);
        }
        let Some(mind) = self.minds.entry(arrived.version.0) else {
            return;
        };
        mind.callees.request();
        if mind.callees.edges().is_empty() {
            return;
        }
        let mut steps = vec![Step {
            caller: arrived.version,
            probability: 1.0,
            from: Duration::ZERO,
            late: Duration::ZERO,
            until: Duration::ZERO,
            depth: 0,
        }];
        let mut at = 0;
        while at < steps.len() {
            let step = steps[at];
            at += 1;
            let Some(mind) = self.minds.get(step.caller.0) else {
                continue;
            };
            let expected: Vec<_> = mind.callees.expected().collect();
            for call in expected {
                let probability = step.probability * call.probability;
                if probability < UNLIKELY || steps.len() >= MOST_CALLS {
                    continue;
                }
                let (from, until) = (step.from + call.from, step.until + call.until);
                let next = Step {
                    caller: call.callee,
                    probability,
                    from,
                    late: step.late + call.late,
                    until,
                    depth: step.depth + 1,
                };
                let loops = call.callee == arrived.version;
                if !loops {
                    self.expect_call(now, step.caller, &next, actions);
                }
                if !loops && next.depth < DEPTH {
                    steps.push(next);
                }
            }
        }
    }

    fn expect_call(
        &mut self,
        now: Instant,
        caller: VersionId,
        step: &Step,
        actions: &mut Vec<Action>,
    ) {
        let callee = step.caller;
        if self.is_too_soon(callee, step.late) || !self.pays(now, callee, step) {
            return;
        }
        let Some(mind) = self.minds.entry(callee.0) else {
            return;
        };
        let forecast = Forecast {
            by: Source::Call(caller),
            confidence: step.probability,
            from: later(now, step.from),
            until: later(now, step.until),
        };
        if let Some(known) = mind.expected {
            // One that is expected already stays so; the time is that of both.
            let longer = known.forecast.until.max(forecast.until);
            if let Some(known) = &mut mind.expected {
                known.forecast.until = longer;
            }
            return;
        }
        let ready = mind.is_ready().then_some(now);
        mind.expected = Some(Expectation {
            forecast,
            caller: Some(caller),
            ready,
            sure: None,
        });
        if let Some(edge) = self
            .minds
            .entry(caller.0)
            .and_then(|it| it.callees.to(callee))
        {
            edge.record.forecasts += 1;
            self.call_totals.forecasts += 1;
        }
        let takes = self.saves(callee).max(0.0);
        let early = Duration::from_secs_f32(takes * 1.5 + 0.02);
        let begin = Instant(forecast.from.0.saturating_sub(early.as_nanos() as u64));
        if begin <= now {
            self.review(now, callee, actions);
        } else {
            self.look_at(now, callee, begin);
        }
    }

    /// Whether a template that is begun now is still being made when its call comes, so that it saves it nothing. Where
    /// memory is free, it is there for the next one.
    fn is_too_soon(&self, callee: VersionId, late: Duration) -> bool {
        let Some(mind) = self.minds.get(callee.0) else {
            return false;
        };
        if mind.is_ready() || mind.no_template || self.price.is_free() {
            return false;
        }
        let makes = self.costs.make_template(mind.runtime, &mind.its);
        late < makes.mul_f32(QUICKEST)
    }

    /// Whether probability × saved time is worth the memory until the call is over.
    fn pays(&self, now: Instant, callee: VersionId, step: &Step) -> bool {
        let Some(mind) = self.minds.get(callee.0) else {
            return false;
        };
        let versions = self.means.versions.max(1e-9);
        let bytes = mind.its.template_memory(mind.most).0 as f64;
        let minutes = (step.until.saturating_sub(step.from)).as_secs_f64() / 60.0 + 1.0 / 60.0;
        let cost = self.price.now() * bytes / (self.means.bytes / versions).max(1.0) * minutes;
        let saves = f64::from(self.saves(callee)) / (self.means.saves / versions).max(1e-6);
        let weight = f64::from(mind.days_between(now) + self.parameters.floor);
        f64::from(step.probability) * saves * weight >= cost
    }

    pub(super) fn declared(&mut self, calls: &Calls) {
        let Some(caller) = self.minds.entry(calls.caller.0) else {
            return;
        };
        if calls.part > 0.0 {
            caller
                .callees
                .declared(calls.callee, calls.part, calls.after);
        } else {
            caller.callees.declared_no_more(calls.callee);
        }
    }

    /// A request has come to a version, and does not say who made it: where a definition says that the version which
    /// led one to expect it calls this one, it did.
    pub(super) fn ascribe(&mut self, now: Instant, version: VersionId) {
        let told = self.minds.entry(version.0).and_then(|mind| mind.expected);
        let Some(told) = told.filter(|told| now <= told.forecast.until) else {
            return;
        };
        let caller = told.caller.and_then(|caller| self.minds.entry(caller.0));
        let Some((caller, last)) = caller.and_then(|it| it.last.map(|last| (it, last))) else {
            return;
        };
        let edge = caller.callees.to(version);
        if edge.is_some_and(|edge| edge.is_declared()) {
            // Its time tells the caller's request from others.
            let counts = caller.callees.called(version, last.0, now.since(last));
            self.call_totals.calls += u64::from(counts);
        }
    }

    /// A request has come to a version: what was expected of it has come true.
    pub(super) fn met(&mut self, now: Instant, version: VersionId) {
        let told = self.minds.entry(version.0).and_then(|mind| mind.expected);
        let Some(told) = told else {
            return;
        };
        if now > told.forecast.until {
            return self.unmet(now, version);
        }
        if let Some(mind) = self.minds.entry(version.0) {
            match &mut mind.expected {
                // It stays until its time is over: more may come.
                Some(Expectation {
                    sure: Some(sure),
                    caller,
                    ..
                }) => {
                    *caller = None;
                    if now >= told.forecast.from && !std::mem::replace(&mut sure.met, true) {
                        mind.record.counters.hits += 1;
                        self.totals.hits += 1;
                    }
                }
                expected => *expected = None,
            }
        }
        let edge = told.caller.and_then(|caller| self.minds.entry(caller.0));
        if let Some(edge) = edge.and_then(|caller| caller.callees.to(version)) {
            let lead = told.ready.map_or(Duration::ZERO, |ready| now.since(ready));
            edge.record.hits += 1;
            edge.record.lead_s += lead.as_secs_f32();
            self.call_totals.hits += 1;
            self.call_totals.lead_s += lead.as_secs_f64();
        }
    }

    /// The time of what was expected of a version is over.
    pub(super) fn unmet(&mut self, now: Instant, version: VersionId) {
        let Some(mind) = self.minds.entry(version.0) else {
            return;
        };
        let Some(told) = mind.expected.take() else {
            return;
        };
        if let Some(sure) = told.sure.filter(|sure| !sure.met) {
            let idle = mind.idle.iter().rev().take(sure.instances as usize);
            let idle: u64 = idle.map(|resting| resting.memory.0).sum();
            let held = if sure.made { mind.held().0 } else { 0 };
            let mb_s = (idle + held) as f64 / 1e6 * now.since(sure.since).as_secs_f64();
            for counters in [&mut mind.record.counters, &mut self.totals] {
                counters.misses += 1;
                counters.wasted_mb_s += mb_s;
            }
        }
        let bytes = mind.template.unwrap_or_default().0 as f32;
        let edge = told.caller.and_then(|caller| self.minds.entry(caller.0));
        if let (Some(edge), Some(ready)) = (edge.and_then(|it| it.callees.to(version)), told.ready)
        {
            let mb_s = bytes / 1e6 * now.since(ready).as_secs_f32();
            edge.record.wasted_mb_s += mb_s;
            self.call_totals.wasted_mb_s += f64::from(mb_s);
        }
    }

    /// The new version gets its share of what the old one has, before it gets the requests.
    pub(super) fn shift(&mut self, now: Instant, shift: &Shift, actions: &mut Vec<Action>) {
        let Some(old) = self.minds.get(shift.from.0) else {
            return;
        };
        let (past, fine) = (old.past, old.fine);
        let (known, last) = (self.books.version(shift.from), old.last);
        let part = shift.part.clamp(0.0, 1.0);
        // What is busy and idle, and what was busy at once within the last minutes.
        let peak = (known.busy + known.idle).max(old.shadow.idle(now) + known.busy);
        let share = (part * peak as f32).ceil() as u32;
        if last.is_none() || part <= 0.0 {
            return;
        }
        let Some(new) = self.minds.entry(shift.to.0) else {
            return;
        };
        if new.last.is_none() {
            (new.past, new.fine) = (past, fine);
        }
        let forecast = Forecast {
            by: Source::Shift(shift.from),
            confidence: ANNOUNCED,
            from: shift.at,
            until: later(shift.at, SETTLES),
        };
        self.expect_surely(now, shift.to, forecast, share.max(1), actions);
    }

    pub(super) fn announced(&mut self, now: Instant, told: &Announced, actions: &mut Vec<Action>) {
        if told.requests == 0 {
            return self.taken_back(now, told, actions);
        }
        // What is announced when its time has come, as a warm-up is, says no more than that: it may come for as
        // long as idle instances are usually kept.
        let keep_alive = self.books.version(told.version).keep_alive;
        let lasts = match told.at <= now {
            true => keep_alive.unwrap_or(KEEP_ALIVE).max(LATE),
            false => LATE,
        };
        let forecast = Forecast {
            by: Source::Announced,
            confidence: ANNOUNCED,
            from: told.at,
            until: later(told.at, lasts),
        };
        self.expect_surely(now, told.version, forecast, told.requests, actions);
    }

    /// What was announced will not come.
    fn taken_back(&mut self, now: Instant, told: &Announced, actions: &mut Vec<Action>) {
        let Some(mind) = self.minds.entry(told.version.0) else {
            return;
        };
        let Some(expected) = &mut mind.expected else {
            return;
        };
        let forecast = &mut expected.forecast;
        if forecast.by != Source::Announced {
            return;
        }
        // What is expected may be of several announcements: from the first on, until the last is over.
        let is_same = |one: Instant, other: Instant| one.0.abs_diff(other.0) < SAME;
        let last = Instant(forecast.until.0.saturating_sub(LATE.as_nanos() as u64));
        match (is_same(forecast.from, told.at), is_same(last, told.at)) {
            (true, true) => mind.expected = None,
            (true, false) => forecast.from = last,
            (false, true) => forecast.until = later(forecast.from, LATE),
            (false, false) => return,
        }
        self.review(now, told.version, actions);
    }

    fn expect_surely(
        &mut self,
        now: Instant,
        version: VersionId,
        forecast: Forecast,
        instances: u32,
        actions: &mut Vec<Action>,
    ) {
        let over = |told: Expectation| told.forecast.until < now;
        if self
            .minds
            .get(version.0)
            .is_some_and(|mind| mind.expected.is_some_and(over))
        {
            self.unmet(now, version);
        }
        let known = self.books.version(version);
        let missing = instances.saturating_sub(known.idle + known.starting);
        let Some(mind) = self.minds.entry(version.0) else {
            return;
        };
        let ready = mind.is_ready().then_some(now);
        let open = mind.expected.filter(|told| now <= told.forecast.until);
        let sure = match open.and_then(|told| told.sure) {
            // One forecast more, unless nothing has come of the one before, which then is the same.
            Some(sure) if !sure.met => Sure {
                instances: sure.instances.max(instances),
                ..sure
            },
            _ => {
                mind.record.counters.forecasts += 1;
                self.totals.forecasts += 1;
                Sure {
                    instances,
                    since: now,
                    made: ready.is_none(),
                    met: false,
                }
            }
        };
        let at = forecast.from;
        let mut forecast = forecast;
        if let Some(open) = open.filter(|told| told.sure.is_some()) {
            forecast.from = forecast.from.min(open.forecast.from);
            forecast.until = forecast.until.max(open.forecast.until);
        }
        mind.expected = Some(Expectation {
            forecast,
            caller: open.and_then(|told| told.caller),
            ready,
            sure: Some(sure),
        });
        let because = Because::Forecast(forecast);
        let node = mind.home;
        if mind.template.is_none() && !mind.no_template && mind.wanted < Rung::Template {
            // Instances are forked from it, once it is there.
            mind.wanted = Rung::Template;
            mind.wanted_since = now;
            actions.push(Action::Hold {
                version,
                node,
                rung: Rung::Template,
                because,
            });
        }
        if missing > 0 {
            actions.push(Action::PreStart {
                version,
                node,
                instances: missing,
                by: at.max(now),
                because,
            });
        }
        self.look_at(now, version, Instant(forecast.until.0 + 1));
    }
}
