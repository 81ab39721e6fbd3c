//! Our own policy: a version stands on that rung of the ladder whose memory saves most, at the price that
//! memory has just then.
//!
//! For a version whose last request was τ ago, h(τ) is the probability of a request in the next moment. A
//! rung is worth its memory while h(τ) × the start time that it saves × a weight, divided by its memory, is
//! at least the price; and the price is such that what is kept stays within the budget. For arrivals that
//! depend on the past by the time since the last one alone, no other rule saves more under the same budget:
//! moments are bought in the order of what each saves for its cost. As a start from a template takes about
//! a millisecond, idle instances are given up within a minute where memory has a price, while templates
//! stay, and are made again before requests that are foreseen. `docs/prediction.md` explains the parts.
//!
//! The weight is the version's mean time between requests, in days, plus [`Parameters::floor`]: the first
//! part counts every version alike however often it is called (the mean over versions of the share of cold
//! requests), the second every request alike.

mod evict;
mod foresee;
mod instances;
mod mind;
mod queue;
mod requests;
mod review;
mod stated;
mod verdict;
mod worth;

use pilotlight_model::node::CallCounters;
use pilotlight_model::start::Instant;

use super::parameters::Parameters as Given;
use super::{Entry, SpecError};
use crate::action::{Action, Forecast};
use crate::books::{Books, Seen};
use crate::budget::{Budget, Ledger, Price, shadow};
use crate::costs::Costs;
use crate::dense::Dense;
use crate::event::Event;
use crate::explain::{Counters, Explained};
use crate::predict::calibration::Calibration;
use crate::predict::fine::Fine;
use crate::predict::mixture::Beliefs;
use crate::predict::population::Population;
use crate::ranking::Ranking;
use crate::{MOST_NODES, MOST_VERSIONS, Policy, VersionId};
use mind::Mind;
use queue::Queue;
use worth::Worth;

pub(super) const ENTRY: Entry = Entry {
    name: "pilot",
    usage: "pilot[:BUDGET][,keep-alive=TIME][,floor=X]",
    summary: "ours: keeps what saves most for its memory, by forecasts; BUDGET is node, memory, or shadow of a keep-alive",
    on_node: Some("node"),
    make: |given| Ok(Box::new(Pilot::new(Parameters::take(given)?))),
};

/// What can be chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// What being ready may cost.
    pub budget: Budget,
    /// What a request counts beside its version's mean time between requests, in days.
    pub floor: f32,
}

impl Parameters {
    /// Those that are given, and the defaults for the others; the budget is the shadow's.
    fn take(given: &mut Given) -> Result<Self, SpecError> {
        let shadow = |given: &mut Given| -> Result<Budget, SpecError> {
            let keep_alive = given.time("keep-alive")?;
            Ok(Budget::Shadow(keep_alive.unwrap_or(shadow::KEEP_ALIVE)))
        };
        let budget = match given.word("", &["shadow", "node"]) {
            Some("node") => Budget::Node,
            Some(_) => shadow(given)?,
            None => match given.memory("")? {
                Some(memory) => Budget::Bytes(memory),
                None => shadow(given)?,
            },
        };
        let mut floor = f64::from(Self::default().floor);
        given.factor("floor", &mut floor)?;
        Ok(Self {
            budget,
            floor: floor as f32,
        })
    }
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            budget: Budget::default(),
            floor: 0.02,
        }
    }
}

/// The policy.
#[derive(Debug)]
pub struct Pilot {
    parameters: Parameters,
    books: Books,
    minds: Dense<Mind>,
    all: Population,
    fine: Fine,
    calibration: Calibration,
    beliefs: Beliefs,
    costs: Costs,
    ledger: Ledger,
    /// What forecasts were worth, all versions together.
    totals: Counters,
    /// The same of calls.
    call_totals: CallCounters,
    price: Price,
    means: Means,
    due: Ranking<Instant, VersionId>,
    worth: Dense<Worth>,
    queue: Queue,
    /// When room was last found to be missing.
    short_at: Option<Instant>,
}

/// What an average version's template takes, in bytes, and saves, in seconds: what the price refers to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Means {
    versions: f64,
    bytes: f64,
    saves: f64,
}

impl Pilot {
    /// The policy with those parameters.
    pub fn new(parameters: Parameters) -> Self {
        Self {
            parameters,
            books: Books::default(),
            minds: Dense::new(MOST_VERSIONS),
            all: Population::default(),
            fine: Fine::default(),
            calibration: Calibration::default(),
            beliefs: Beliefs::default(),
            costs: Costs::default(),
            ledger: Ledger::default(),
            totals: Counters::default(),
            call_totals: CallCounters::default(),
            price: Price::new(parameters.budget),
            means: Means::default(),
            due: Ranking::default(),
            worth: Dense::new(MOST_NODES),
            queue: Queue::default(),
            short_at: None,
        }
    }

    /// The account of all that was kept beyond what ran.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn seen(&mut self, now: Instant, seen: Seen, actions: &mut Vec<Action>) {
        match seen {
            Seen::Idle {
                instance,
                at,
                served,
            } => self.idle(now, instance, &at, served, actions),
            Seen::Busy(instance, at) => self.busy(now, instance, &at),
            Seen::Gone(instance, at) => self.gone(now, instance, &at),
            Seen::Starting(..) | Seen::Nothing => {}
        }
    }

    fn tick(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.price.due().is_none_or(|due| due <= now) {
            let fill = self.fill();
            self.price.look(now, &self.ledger, fill);
        }
        while let Some((_, version)) = self.due.pop_until(now) {
            if let Some(mind) = self.minds.entry(version.0) {
                mind.due = None;
            }
            self.review(now, version, actions);
        }
        self.decide_again(now, actions);
        self.keep_within(now, actions);
    }

    /// Wants to look at a version again, then or earlier; never at this very moment.
    fn look_at(&mut self, now: Instant, version: VersionId, at: Instant) {
        let at = at.max(Instant(now.0 + 1));
        if let Some(mind) = self.minds.entry(version.0)
            && mind.due.is_none_or(|due| at < due)
        {
            mind.due = Some(at);
            self.due.set(version, at);
        }
    }
}

impl Policy for Pilot {
    fn observe(&mut self, now: Instant, event: Event, actions: &mut Vec<Action>) {
        self.ledger.settle(now);
        self.learn_times(now, &event);
        if let Event::Started(started) = &event {
            self.started(started);
        }
        let seen = self.books.observe(now, &event);
        self.seen(now, seen, actions);
        match event {
            Event::Deployed(deployed) => self.deployed(now, &deployed),
            Event::Retired(version) => self.retired(version, actions),
            Event::Arrived(arrived) => self.arrived(now, &arrived, actions),
            Event::Waits(waits) => self.waits(now, waits, actions),
            Event::Left(ticket) => self.left(now, ticket),
            Event::Starting(starting) => self.starting(&starting),
            Event::Measured(measured) => self.measured(&measured),
            Event::Held(held) => self.held(now, &held, actions),
            Event::Lost { version, rung, .. } => self.lost(version, rung),
            Event::Refused { version, rung, .. } => self.refused(now, version, rung, actions),
            Event::Shift(shift) => self.shift(now, &shift, actions),
            Event::Calls(calls) => self.declared(&calls),
            Event::Announced(announced) => self.announced(now, &announced, actions),
            Event::Pressure {
                node,
                shortage,
                template,
            } => self.pressed(now, node, shortage, template, actions),
            Event::Tick => self.tick(now, actions),
            _ => {}
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        let review = self.due.first().map(|(at, _)| at);
        // The price is looked at where something happens at all.
        let look = review.and_then(|_| self.price.due());
        [review, look, self.queue.wake_at()]
            .into_iter()
            .flatten()
            .min()
    }

    fn weighs(&self) -> bool {
        true
    }

    fn hurries(&self) -> bool {
        true
    }

    fn explain(&self, version: VersionId, now: Instant) -> Option<Explained<'_>> {
        let mind = self.minds.get(version.0)?;
        Some(Explained {
            record: &mind.record,
            forecast: expected(mind, now),
            period: mind.past.periods.strongest(now),
            callees: &mind.callees,
            rung: mind.wanted,
        })
    }

    fn counters(&self) -> Option<Counters> {
        Some(self.totals)
    }

    fn call_counters(&self) -> Option<CallCounters> {
        Some(self.call_totals)
    }
}

/// What is expected: for what something was made ready, or else what is sure, or a call.
fn expected(mind: &Mind, now: Instant) -> Option<Forecast> {
    let told = mind.expected.map(|told| told.forecast);
    let kept = mind.forecast.map(|kept| kept.forecast);
    kept.or(told.filter(|told| now <= told.until))
}

#[cfg(test)]
mod tests;
