//! Requests that found no idle instance: a start at once, or by [`queueing`](crate::queueing).

use std::collections::HashMap;

use pilotlight_model::start::Instant;

use super::super::put_off::{PutOff, put_off};
use crate::action::Action;
use crate::books::{Books, State};
use crate::dense::Dense;
use crate::durations::Durations;
use crate::event::{Event, Waits};
use crate::placement::place;
use crate::ranking::Ranking;
use crate::{MOST_VERSIONS, Ticket, VersionId, later};

/// Who waits, and what is known of how long it takes. A version takes up to 400 bytes.
#[derive(Debug)]
pub(super) struct Waiting {
    /// What [`decide`](crate::queueing::decide) may exceed the shortest wait by; absent where every request gets a start at
    /// once.
    slack: Option<f64>,
    versions: Dense<Version>,
    tickets: HashMap<Ticket, Waiter>,
    /// When those that have no start yet are looked at again.
    due: Ranking<Instant, Ticket>,
}

#[derive(Debug, Default)]
struct Version {
    handler: Durations,
    start: Durations,
}

#[derive(Debug, Clone, Copy)]
struct Waiter {
    version: VersionId,
    /// What is done when it is due: a start, or another decision because all that was known has passed.
    then_start: bool,
}

impl Waiting {
    pub(super) fn new(slack: Option<f64>) -> Self {
        Self {
            slack,
            versions: Dense::new(MOST_VERSIONS),
            tickets: HashMap::new(),
            due: Ranking::default(),
        }
    }

    /// Takes the times that end with this event, before the books know of it.
    pub(super) fn learn(&mut self, now: Instant, event: &Event, books: &Books) {
        if self.slack.is_none() {
            return;
        }
        match *event {
            Event::Started(started) => {
                let at = books.instance(started.instance);
                if let Some(version) = at.and_then(|at| self.versions.entry(at.version.0)) {
                    version.start.add(started.took);
                }
            }
            Event::Idle(idle) => {
                let at = books.instance(idle.instance);
                if let Some(at) = at.filter(|at| at.state == State::Busy)
                    && let Some(version) = self.versions.entry(at.version.0)
                {
                    version.handler.add(now.since(at.since));
                }
            }
            _ => {}
        }
    }

    pub(super) fn waits(
        &mut self,
        now: Instant,
        waits: Waits,
        books: &Books,
        actions: &mut Vec<Action>,
    ) {
        let Waits { ticket, version } = waits;
        let ahead = books.version(version).waiting.saturating_sub(1);
        if self.slack.is_some() {
            let waiter = Waiter {
                version,
                then_start: false,
            };
            self.tickets.insert(ticket, waiter);
        }
        self.decide(now, waits, ahead, books, actions);
    }

    pub(super) fn left(&mut self, ticket: Ticket) {
        self.due.remove(ticket);
        self.tickets.remove(&ticket);
    }

    /// What was learned of a version is forgotten; who waits for it still does.
    pub(super) fn retired(&mut self, version: VersionId) {
        self.versions.clear(version.0);
    }

    pub(super) fn tick(&mut self, now: Instant, books: &Books, actions: &mut Vec<Action>) {
        while let Some((_, ticket)) = self.due.pop_until(now) {
            let Some(waiter) = self.tickets.get(&ticket).copied() else {
                continue;
            };
            let waits = Waits {
                ticket,
                version: waiter.version,
            };
            if waiter.then_start {
                start(waits, books, actions);
            } else {
                self.decide(now, waits, 0, books, actions);
            }
        }
    }

    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| due)
    }

    fn decide(
        &mut self,
        now: Instant,
        waits: Waits,
        ahead: u32,
        books: &Books,
        actions: &mut Vec<Action>,
    ) {
        match self.plan(now, waits.version, ahead, books) {
            Some(PutOff {
                wait, then_start, ..
            }) => {
                self.due.set(waits.ticket, later(now, wait));
                if let Some(waiter) = self.tickets.get_mut(&waits.ticket) {
                    waiter.then_start = then_start;
                }
            }
            None => start(waits, books, actions),
        }
    }

    fn plan(&self, now: Instant, version: VersionId, ahead: u32, books: &Books) -> Option<PutOff> {
        let known = self.versions.get(version.0)?;
        let takes = (&known.handler, &known.start);
        put_off(now, version, ahead, books, takes, self.slack?)
    }
}

fn start(waits: Waits, books: &Books, actions: &mut Vec<Action>) {
    actions.push(Action::Start {
        ticket: waits.ticket,
        node: place(books, waits.version),
    });
}
