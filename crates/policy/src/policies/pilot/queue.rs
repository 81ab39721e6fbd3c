//! Whether a request that found all instances busy waits for one of them or has a start made.
//!
//! With a template or a spare a start takes about a millisecond, and one is made at once. A version without them
//! pays the runtime's start and its own: there [`put_off`] decides from what its handlers and starts have taken,
//! so that on average the request waits no longer than if a start were made at once, but for [`SLACK`].
//!
//! That alone would lose to a start in the long run: the instance would have been there for the requests after
//! it. So the waits of those that were put off are rent, counted as soon as they are expected, and once they have come
//! to [`RENT`] of what a start takes, one is made: of a version's requests all together have waited longer than with
//! starts at once by no more than that part of a start for each instance.

use std::collections::BTreeMap;

use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Instant, StartKind};

use super::super::put_off::{PutOff, put_off};
use super::Pilot;
use crate::action::Action;
use crate::books::State;
use crate::dense::Dense;
use crate::durations::Durations;
use crate::event::{Event, Waits};
use crate::placement::place;
use crate::ranking::Ranking;
use crate::{MOST_VERSIONS, NodeId, Ticket, VersionId, later};

/// What an expected wait may exceed that of starting at once and taking what is ready first, as a part of it.
const SLACK: f64 = 0.02;
/// A start is made once requests have waited for such a part of what it takes: the instance would have been there for
/// some of them.
const RENT: f64 = 0.1;

/// Who waits for an instance that is busy, and what is known of how long that takes: 40 bytes for each version,
/// and 376 for one without a template.
#[derive(Debug)]
pub(super) struct Queue {
    versions: Dense<Known>,
    waiting: BTreeMap<Ticket, Waiter>,
    /// When they are decided on again.
    due: Ranking<Instant, Ticket>,
    /// [`RENT`]; with none, nothing is put off.
    pub(super) rent: f64,
}

#[derive(Debug, Default)]
struct Known {
    handler: Durations,
    /// Starts that paid user init.
    start: Durations,
    /// Seconds that requests have waited, or are expected to, since a start was last made for one.
    rent: f64,
}

#[derive(Debug, Clone, Copy)]
struct Waiter {
    version: VersionId,
    since: Instant,
    /// How long it is expected to wait from then on, in seconds: so much is rent already.
    expected: f64,
    then_start: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            versions: Dense::new(MOST_VERSIONS),
            waiting: BTreeMap::new(),
            due: Ranking::default(),
            rent: RENT,
        }
    }
}

impl Queue {
    /// When somebody who waits is decided on next.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| due)
    }

    /// What was learned of a version is forgotten; who waits for it still does.
    pub(super) fn retired(&mut self, version: VersionId) {
        self.versions.clear(version.0);
    }
}

impl Pilot {
    /// Takes the times that end with this event, before the books know of it.
    pub(super) fn learn_times(&mut self, now: Instant, event: &Event) {
        let instance = match event {
            Event::Started(started) => started.instance,
            Event::Idle(idle) => idle.instance,
            _ => return,
        };
        let Some(at) = self.books.instance(instance) else {
            return;
        };
        if self.starts_soon(at.version) {
            return;
        }
        let (state, since) = (at.state, at.since);
        let Some(known) = self.queue.versions.entry(at.version.0) else {
            return;
        };
        match event {
            Event::Started(started)
                if matches!(started.kind, StartKind::Zygote | StartKind::Booted) =>
            {
                known.start.add(started.took);
            }
            Event::Idle(_) if state == State::Busy => known.handler.add(now.since(since)),
            _ => {}
        }
    }

    /// Whether the version has what makes a start take a millisecond.
    fn starts_soon(&self, version: VersionId) -> bool {
        let mind = self.minds.get(version.0);
        mind.is_some_and(|mind| mind.template.is_some() || mind.spare.is_some())
    }

    pub(super) fn waits(&mut self, now: Instant, waits: Waits, actions: &mut Vec<Action>) {
        let ahead = self.books.version(waits.version).waiting.saturating_sub(1);
        self.decide(now, waits, now, ahead, actions);
    }

    fn decide(
        &mut self,
        now: Instant,
        waits: Waits,
        since: Instant,
        ahead: u32,
        actions: &mut Vec<Action>,
    ) {
        let Waits { ticket, version } = waits;
        let Some(PutOff {
            wait,
            expected,
            then_start,
        }) = self.put_off(now, version, ahead)
        else {
            return self.start(waits, actions);
        };
        let waiter = Waiter {
            version,
            since,
            expected: now.since(since).as_secs_f64() + expected,
            then_start,
        };
        let before = self.queue.waiting.insert(ticket, waiter);
        if let Some(known) = self.queue.versions.entry(version.0) {
            known.rent += waiter.expected - before.map_or(0.0, |it| it.expected);
        }
        self.queue.due.set(ticket, later(now, wait));
    }

    fn put_off(&self, now: Instant, version: VersionId, ahead: u32) -> Option<PutOff> {
        let node = self.place(version);
        if self.starts_soon(version) || self.books.version(version).rung(node) >= Rung::Template {
            return None;
        }
        let known = self.queue.versions.get(version.0)?;
        let takes = (&known.handler, &known.start);
        let put_off = put_off(now, version, ahead, &self.books, takes, SLACK)?;
        let start = known.start.distribution()?.mean();
        (known.rent < start * self.queue.rent).then_some(put_off)
    }

    /// A request waits no more.
    pub(super) fn left(&mut self, now: Instant, ticket: Ticket) {
        self.queue.due.remove(ticket);
        if let Some(waiter) = self.queue.waiting.remove(&ticket)
            && let Some(known) = self.queue.versions.entry(waiter.version.0)
        {
            let waited = now.since(waiter.since).as_secs_f64();
            known.rent = (known.rent + waited - waiter.expected).max(0.0);
        }
    }

    /// Decides again on those whose time has come.
    pub(super) fn decide_again(&mut self, now: Instant, actions: &mut Vec<Action>) {
        while let Some((_, ticket)) = self.queue.due.pop_until(now) {
            let Some(waiter) = self.queue.waiting.get(&ticket).copied() else {
                continue;
            };
            let waits = Waits {
                ticket,
                version: waiter.version,
            };
            if waiter.then_start {
                self.start(waits, actions);
            } else {
                self.decide(now, waits, waiter.since, 0, actions);
            }
        }
    }

    /// There is a template now: whoever waits has a start made.
    pub(super) fn put_off_no_more(&mut self, version: VersionId, actions: &mut Vec<Action>) {
        let waiting = self.queue.waiting.iter();
        let all: Vec<Ticket> = waiting
            .filter(|(_, waiter)| waiter.version == version)
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in all {
            self.start(Waits { ticket, version }, actions);
        }
    }

    /// A request is to have a start. Whose is made first is the node's business.
    fn start(&mut self, waits: Waits, actions: &mut Vec<Action>) {
        self.queue.due.remove(waits.ticket);
        self.queue.waiting.remove(&waits.ticket);
        if let Some(known) = self.queue.versions.entry(waits.version.0) {
            known.rent = 0.0;
        }
        actions.push(Action::Start {
            ticket: waits.ticket,
            node: self.place(waits.version),
        });
    }

    /// The node for a start of a version: the one with its template, where what is idle makes room if need be, before
    /// any where it would pay for an init.
    fn place(&self, version: VersionId) -> NodeId {
        let usual = place(&self.books, version);
        let home = self.minds.get(version.0).filter(|mind| {
            mind.template.is_some()
                && mind.home != usual
                && self.makes_room(mind.home, mind.fork_room())
        });
        home.map_or(usual, |mind| mind.home)
    }
}
