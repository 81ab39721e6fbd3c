//! Hybrid histogram: keep-alive and starts ahead of time from the distribution of each version's idle times.
//!
//! Mohammad Shahrad et al., "Serverless in the Wild: Characterizing and Optimizing the Serverless Workload at
//! a Large Cloud Provider", USENIX ATC 2020, section 4. An idle time is the time from the end of a version's
//! last execution to its next arrival. After each execution the policy names two times, counted from its end:
//! when to load the version again (the pre-warming window ends) and when to unload it (the keep-alive window
//! ends). Where the first is above zero, it is unloaded at once.
//!
//! Departures, and what the paper leaves open:
//!
//! - The unit is a version; in the paper it is an application, whose functions are loaded together.
//! - Several instances: idle times are those of the version as a whole, from the moment when its last busy
//!   instance ends to the next arrival; an arrival while another request runs makes none. Each instance is
//!   kept or unloaded by the same windows from its own end. One instance is loaded ahead, if there is none.
//! - Loading begins before the pre-warming window ends, by what the version's last start took, so that it is
//!   over then. An instance that has served nothing is kept for as long as the keep-alive window is.
//! - "Too few" idle times are fewer than [`Parameters::least`]; the paper gives no number.
//! - Many idle times out of bounds are more than [`Parameters::out_of_bounds`] percent; the paper says
//!   "most", and forecasts by ARIMA. The forecast here is by [`forecast`].
//! - Counts are 16 bits wide and halved when one would not fit (the paper's have 32).
//! - When a node needs room, the longest idle go first; the paper does not speak of it.

pub mod forecast;
mod idle_times;
mod parameters;

pub use parameters::Parameters;

use std::time::Duration;

use pilotlight_model::start::Instant;

use super::Entry;
use super::time_to_live::{Rule, TimeToLive};
use crate::action::{Action, Because, Forecast, Source};
use crate::books::{Books, Instance, Seen, State};
use crate::dense::Dense;
use crate::event::{Event, Started};
use crate::placement::place;
use crate::ranking::Ranking;
use crate::{MOST_VERSIONS, Policy, VersionId, later};
use idle_times::{IdleTimes, Windows};

pub(super) const ENTRY: Entry = Entry {
    name: "hybrid",
    usage: "hybrid[:RANGE][,least=N][,cv=X][,head=P][,tail=P][,margin=P][,oob=P][,forecast-margin=P]",
    summary: "hybrid histogram (Serverless in the Wild), over idle times up to 4h",
    on_node: None,
    make: |parameters| Ok(Box::new(hybrid(Parameters::take(parameters)?))),
};

/// The policy. What it remembers of a version takes two bytes for each bin, 480 over the paper's range, and
/// 128 for the forecast; nothing before its second request.
pub fn hybrid(parameters: Parameters) -> impl Policy {
    TimeToLive::new(Hybrid {
        parameters,
        versions: Dense::new(MOST_VERSIONS),
        loads: Ranking::default(),
    })
}

#[derive(Debug)]
struct Hybrid {
    parameters: Parameters,
    versions: Dense<Version>,
    /// When to begin to load versions again that were unloaded.
    loads: Ranking<Instant, VersionId>,
}

#[derive(Debug, Default)]
struct Version {
    idle_times: IdleTimes,
    /// When its last execution ended; absent while it runs and before it ever did.
    ended: Option<Instant>,
    /// What its last start took.
    start: Duration,
}

impl Hybrid {
    fn arrived(&mut self, now: Instant, id: VersionId) {
        self.loads.remove(id);
        let Some(version) = self.versions.entry(id.0) else {
            return;
        };
        if let Some(ended) = version.ended.take() {
            let idle_time = now.since(ended);
            version.idle_times.add(&self.parameters, idle_time);
        }
    }

    /// The version's last execution is over.
    fn ended(&mut self, now: Instant, id: VersionId) {
        let Some(version) = self.versions.entry(id.0) else {
            return;
        };
        version.ended = Some(now);
        let windows = version.idle_times.windows(&self.parameters);
        if !windows.load.is_zero() {
            let begin = windows.load.saturating_sub(version.start);
            self.loads.set(id, later(now, begin));
        }
    }

    /// A request runs. One that waited until now came before this idle time began, so that it is none.
    fn runs(&mut self, id: VersionId) {
        self.loads.remove(id);
        if let Some(version) = self.versions.entry(id.0) {
            version.ended = None;
        }
    }

    fn started(&mut self, started: &Started, books: &Books) {
        let at = books.instance(started.instance);
        if let Some(version) = at.and_then(|at| self.versions.entry(at.version.0)) {
            version.start = started.took;
        }
    }

    fn load(&mut self, now: Instant, books: &Books, actions: &mut Vec<Action>) {
        while let Some((begun, id)) = self.loads.pop_until(now) {
            let known = books.version(id);
            if known.instances() > 0 || known.is_retired() {
                continue;
            }
            let windows = self.windows(id);
            let start = self
                .versions
                .get(id.0)
                .map_or(Duration::ZERO, |version| version.start);
            let due = later(begun, start.min(windows.load));
            actions.push(Action::PreStart {
                version: id,
                node: place(books, id),
                instances: 1,
                by: due,
                because: Because::Forecast(Forecast {
                    by: Source::Gaps,
                    confidence: windows.confidence,
                    from: due,
                    until: later(due, windows.loaded()),
                }),
            });
        }
    }

    fn windows(&mut self, id: VersionId) -> Windows {
        match self.versions.entry(id.0) {
            Some(version) => version.idle_times.windows(&self.parameters),
            None => Windows::standard(&self.parameters),
        }
    }
}

impl Rule for Hybrid {
    fn observe(
        &mut self,
        now: Instant,
        event: &Event,
        seen: &Seen,
        books: &Books,
        actions: &mut Vec<Action>,
    ) {
        let runs = |at: Instance| books.version(at.version).busy > 0;
        match *seen {
            Seen::Busy(_, at) => self.runs(at.version),
            Seen::Idle {
                at, served: true, ..
            } if !runs(at) => self.ended(now, at.version),
            // An execution that ends with its instance is over too.
            Seen::Gone(_, at) if at.state == State::Busy && !runs(at) => {
                self.ended(now, at.version);
            }
            _ => {}
        }
        match *event {
            Event::Arrived(arrived) => self.arrived(now, arrived.version),
            Event::Started(started) => self.started(&started, books),
            Event::Retired(id) => {
                self.loads.remove(id);
                self.versions.clear(id.0);
            }
            Event::Tick => self.load(now, books, actions),
            _ => {}
        }
    }

    fn keep_until(&mut self, now: Instant, at: &Instance, served: bool, _: &Books) -> Instant {
        let windows = self.windows(at.version);
        if !served {
            later(now, windows.loaded())
        } else if windows.load.is_zero() {
            later(now, windows.unload)
        } else {
            now
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        self.loads.first().map(|(due, _)| due)
    }
}

#[cfg(test)]
mod tests;
