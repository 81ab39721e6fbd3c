//! Minutes with many requests of one function: followed as the number of instances that they need, so that
//! a minute costs what changes of that number, and not what it has of requests.
//!
//! With r requests in a minute that run d seconds on average, ρ = r d / 60 are in service on average. By the
//! insensitivity of M/G/∞ the number in service is Poisson with that mean, whatever the distribution of d;
//! the crew is its mean and [`margin`] standard deviations. Who is in the crew is busy for the whole minute;
//! of its memory-time, what ρ instances would have taken counts as run, the rest as wasted.

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::{Instant, StartKind};
use pilotlight_policy::VersionId;

use super::waiting::Runs;
use super::{MINUTE, Timer, World};
use crate::options::Arrivals;

/// Instances of a crew at most.
const LARGEST: u32 = 100_000;

/// Crews of all functions.
#[derive(Debug)]
pub(super) struct Crews {
    crews: Vec<Crew>,
}

#[derive(Debug, Default, Clone)]
struct Crew {
    members: Vec<InstanceId>,
    /// Members that are being made.
    awaited: u32,
    until: u64,
}

impl Crews {
    pub(super) fn new(functions: usize) -> Self {
        Self {
            crews: vec![Crew::default(); functions],
        }
    }

    /// An instance is busy for as long as it is needed.
    pub(super) fn join(&mut self, version: VersionId, instance: InstanceId) {
        let crew = &mut self.crews[version.0 as usize];
        crew.awaited = crew.awaited.saturating_sub(1);
        crew.members.push(instance);
    }
}

/// Standard deviations above the mean: the 99th percentile where requests come by chance, less where they
/// come at equal distances and only their durations differ.
fn margin(arrivals: Arrivals) -> f64 {
    match arrivals {
        Arrivals::Uniform => 1.0,
        Arrivals::Poisson | Arrivals::Once => 2.33,
    }
}

impl World<'_> {
    /// A minute of a function with so many requests.
    pub(super) fn crew(&mut self, version: VersionId, requests: u32) {
        let fact = *self.facts.of(version);
        let in_service = f64::from(requests) * fact.durations.mean() / 60e3;
        let wanted = (in_service + margin(self.options.arrivals) * in_service.sqrt())
            .ceil()
            .max(1.0);
        let wanted = wanted.min(f64::from(requests.min(LARGEST))) as u32;
        self.arrival(version, requests, None);
        // Each of those that wait has a start of its own; all others find an instance that is idle by then.
        let mut waited = 0;
        while self.crew_size(version) < wanted {
            let crew = &mut self.crews.crews[version.0 as usize];
            crew.awaited += 1;
            match self.find_idle(version) {
                Some(id) => self.occupy(id, Runs::Crew, None),
                None => {
                    self.wait(version, Runs::Crew);
                }
            }
            waited += 1;
        }
        while self.crew_size(version) > wanted {
            let Some(id) = self.crews.crews[version.0 as usize].members.pop() else {
                break;
            };
            self.done(id);
        }
        let others = requests.saturating_sub(waited);
        self.outcome.served(version, others, StartKind::Warm);
        self.outcome
            .latency
            .warm(fact.class, fact.weight * f64::from(others));
        let idle = (f64::from(wanted) - in_service).max(0.0) / f64::from(wanted);
        self.crews.crews[version.0 as usize].until = self.now.0 + MINUTE;
        self.seats.idle_share(version, idle, self.now, self.facts);
        // Just after the next minute begins, so that who goes on working is not idle in between.
        self.after(Instant(self.now.0 + MINUTE + 1), Timer::Dismiss(version));
    }

    fn crew_size(&self, version: VersionId) -> u32 {
        let crew = &self.crews.crews[version.0 as usize];
        crew.members.len() as u32 + crew.awaited
    }

    /// The minute is over, and no other one like it has begun.
    pub(super) fn dismiss(&mut self, version: VersionId) {
        let crew = &self.crews.crews[version.0 as usize];
        if crew.members.is_empty() || crew.until > self.now.0 {
            return;
        }
        self.seats.idle_share(version, 0.0, self.now, self.facts);
        while let Some(id) = self.crews.crews[version.0 as usize].members.pop() {
            self.done(id);
        }
    }
}
