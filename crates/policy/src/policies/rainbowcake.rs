//! RainbowCake: instances are taken down layer by layer, each layer after a time of its own, and started
//! ahead of the next request.
//!
//! Hanfei Yu et al., "RainbowCake: Mitigating Cold-starts in Serverless with Layer-wise Container Caching and
//! Sharing", ASPLOS 2024, with what its artifact (IntelliSys-Lab/RainbowCake-ASPLOS24) shows of the details.
//! A container has three layers: Bare (an empty sandbox, shared by all functions), Lang (a runtime, shared by
//! the functions of that language) and User (a function's own). An idle one is kept as User, then as Lang, then
//! as Bare, then ended.
//!
//! - The time for which a layer is kept is the quantile of an exponential distribution of the times between
//!   arrivals, `-ln(1 - quantile) × mean`, over what shares the layer: the function for User, all
//!   functions of the language for Lang. The mean is that of the last six arrivals, and of the time since.
//! - It is at most `α t / ((1 - α) m)`, where keeping the layer has cost as much as making it: t is what its
//!   start takes in seconds, m what it takes in MiB, α how much a second of waiting is worth beside a second
//!   of a MiB. It is at least [`Parameters::least`], as in the artifact, and no more than [`Parameters::most`]
//!   while t or m is unknown.
//! - After an arrival and the same quantile of time, a User instance is started ahead if none is idle.
//!
//! On the ladder, User is an idle instance; Lang is the runtime's zygote ([`Rung::Zygote`]), which every
//! version of the runtime can be started from; Bare is an empty slot of the node's pool, which is kept
//! anyway: [`Rung::Cached`].
//!
//! Departures: a zygote is forked any number of times, so that one does the work of many Lang containers, and
//! using it does not use it up; the time of a version's Lang layer so ends with the version's next start. Arrivals at the same
//! moment are one. The artifact starts ahead where an instance is idle, which must be an oversight; the paper's
//! text is followed. Of starts ahead that are due, a version has as many as arrivals are remembered; a further
//! one is left out. Before the second arrival nothing is started ahead (the artifact does after a second). When a
//! node needs room, the longest idle go first.

mod arrivals;
mod parameters;

pub use parameters::Parameters;

use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Instant, StartKind};

use super::Entry;
use super::time_to_live::{Rule, TimeToLive};
use crate::action::{Action, Because, Forecast, Source};
use crate::books::{Books, Instance, Seen};
use crate::dense::Dense;
use crate::event::{Event, Held, Runtime, Started};
use crate::placement::place;
use crate::ranking::Ranking;
use crate::{Bytes, MOST_VERSIONS, NodeId, Policy, VersionId, later};
use arrivals::Arrivals;
use parameters::Mean;

pub(super) const ENTRY: Entry = Entry {
    name: "rainbowcake",
    usage: "rainbowcake[:quantile=Q][,waiting=A][,least=T][,most=T]",
    summary: "takes instances down layer by layer, and starts ahead (RainbowCake)",
    on_node: None,
    make: |parameters| Ok(Box::new(rainbowcake(Parameters::take(parameters)?))),
};

/// The policy. It remembers 200 bytes of each version.
pub fn rainbowcake(parameters: Parameters) -> impl Policy {
    TimeToLive::new(RainbowCake {
        parameters,
        versions: Dense::new(MOST_VERSIONS),
        runtimes: Default::default(),
        ahead: Ranking::default(),
        zygotes: Ranking::default(),
    })
}

#[derive(Debug)]
struct RainbowCake {
    parameters: Parameters,
    versions: Dense<Version>,
    runtimes: [Lang; 4],
    /// When versions have a start ahead due, the next one.
    ahead: Ranking<Instant, VersionId>,
    /// Until when versions have a zygote kept for them.
    zygotes: Ranking<Instant, (VersionId, NodeId)>,
}

#[derive(Debug, Default)]
struct Version {
    arrivals: Arrivals,
    /// When an instance is to be started ahead, for each of the last arrivals that are not past yet.
    due: Vec<Instant>,
    start: Mean,
}

/// A language, over all its functions.
#[derive(Debug, Default)]
struct Lang {
    arrivals: Arrivals,
    start: Mean,
    memory: Option<Bytes>,
}

impl RainbowCake {
    fn arrived(&mut self, now: Instant, id: VersionId, books: &Books) {
        let quantile = self.parameters.quantile;
        let lang = lang(books.version(id).runtime);
        self.runtimes[lang].arrivals.add(now);
        let Some(version) = self.versions.entry(id.0) else {
            return;
        };
        version.arrivals.add(now);
        let next = version.arrivals.next_within(now, quantile);
        if let Some(next) = next
            && version.due.len() < arrivals::REMEMBERED
        {
            version.due.push(later(now, next));
            self.schedule(id);
        }
    }

    fn schedule(&mut self, id: VersionId) {
        let due = self
            .versions
            .get(id.0)
            .and_then(|version| version.due.iter().min());
        match due {
            Some(due) => self.ahead.set(id, *due),
            None => {
                self.ahead.remove(id);
            }
        }
    }

    fn start_ahead(&mut self, now: Instant, books: &Books, actions: &mut Vec<Action>) {
        while let Some((_, id)) = self.ahead.pop_until(now) {
            if let Some(version) = self.versions.entry(id.0) {
                version.due.retain(|due| *due > now);
            }
            self.schedule(id);
            let known = books.version(id);
            if known.idle > 0 || known.starting > 0 || known.is_retired() {
                continue;
            }
            let until = self.time_to_live(now, id, Some(known.instance_memory()));
            actions.push(Action::PreStart {
                version: id,
                node: place(books, id),
                instances: 1,
                by: now,
                because: Because::Forecast(Forecast {
                    by: Source::Gaps,
                    confidence: self.parameters.quantile as f32,
                    from: now,
                    until: later(now, until),
                }),
            });
        }
    }

    /// For how long a version's instance is kept.
    fn time_to_live(&self, now: Instant, id: VersionId, memory: Option<Bytes>) -> Duration {
        let Some(version) = self.versions.get(id.0) else {
            return self.parameters.least;
        };
        let next = version.arrivals.next_within(now, self.parameters.quantile);
        self.parameters.time_to_live(next, version.start, memory)
    }

    /// Lets go of zygotes whose time is over.
    fn bare(&mut self, now: Instant, actions: &mut Vec<Action>) {
        while let Some((_, (version, node))) = self.zygotes.pop_until(now) {
            actions.push(Action::Hold {
                version,
                node,
                rung: Rung::Cached,
                because: Because::Expired,
            });
        }
    }

    /// What it takes to go from Lang to User is what a start from the zygote takes.
    fn started(&mut self, started: &Started, books: &Books) {
        let at = books.instance(started.instance);
        let version = at.and_then(|at| self.versions.entry(at.version.0));
        if let (StartKind::Zygote | StartKind::Booted, Some(version)) = (started.kind, version) {
            version.start.add(started.took);
        }
    }

    fn held(&mut self, held: &Held, books: &Books) {
        if held.rung == Rung::Zygote {
            let lang = &mut self.runtimes[lang(books.version(held.version).runtime)];
            lang.start.add(held.took);
            lang.memory = Some(held.memory);
        }
    }

    fn retired(&mut self, id: VersionId, books: &Books, actions: &mut Vec<Action>) {
        self.versions.clear(id.0);
        self.ahead.remove(id);
        for node in books.nodes() {
            if self.zygotes.remove((id, node)).is_some() {
                actions.push(Action::Hold {
                    version: id,
                    node,
                    rung: Rung::Cached,
                    because: Because::Expired,
                });
            }
        }
    }
}

fn lang(runtime: Runtime) -> usize {
    match runtime {
        Runtime::Python => 0,
        Runtime::Node => 1,
        Runtime::Java => 2,
        Runtime::Native => 3,
    }
}

impl Rule for RainbowCake {
    fn observe(
        &mut self,
        now: Instant,
        event: &Event,
        seen: &Seen,
        books: &Books,
        actions: &mut Vec<Action>,
    ) {
        if let Seen::Starting(_, at) = *seen {
            self.zygotes.remove((at.version, at.node));
        }
        match event {
            Event::Arrived(arrived) => self.arrived(now, arrived.version, books),
            Event::Started(started) => self.started(started, books),
            Event::Held(held) => self.held(held, books),
            Event::Retired(id) => self.retired(*id, books, actions),
            Event::Tick => {
                self.start_ahead(now, books, actions);
                self.bare(now, actions);
            }
            _ => {}
        }
    }

    fn keep_until(&mut self, now: Instant, at: &Instance, _: bool, _: &Books) -> Instant {
        later(now, self.time_to_live(now, at.version, Some(at.memory)))
    }

    fn expired(
        &mut self,
        now: Instant,
        instance: InstanceId,
        at: &Instance,
        books: &Books,
    ) -> Action {
        let lang = &self.runtimes[lang(books.version(at.version).runtime)];
        let next = lang.arrivals.next_within(now, self.parameters.quantile);
        let kept = self.parameters.time_to_live(next, lang.start, lang.memory);
        if !books.version(at.version).is_retired() {
            self.zygotes.set((at.version, at.node), later(now, kept));
        }
        Action::Strip {
            instance,
            rung: Rung::Zygote,
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        let ahead = self.ahead.first().map(|(due, _)| due);
        let zygotes = self.zygotes.first().map(|(until, _)| until);
        [ahead, zygotes].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests;
