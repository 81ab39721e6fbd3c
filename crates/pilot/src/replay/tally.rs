//! What requests found, live or simulated, in the same figures.

use pilotlight_model::StartKind;
use pilotlight_sim::Outcome;
use pilotlight_sim::outcome::is_cold;
use serde::Serialize;

use super::drive::Called;

/// Requests by what they found.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    /// Of each function, by kind of start in the order of [`StartKind::ALL`].
    functions: Vec<[u64; 5]>,
    /// Requests without an answer.
    pub(super) failed: u64,
    /// What the start took until the handler ran; not known of a simulation.
    pub(super) start_ms: Option<Times>,
    /// What a request took beyond its handler.
    pub(super) beyond_ms: Times,
}

/// A distribution of times, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Times {
    pub(super) mean: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
}

/// The part of requests that were such, by request and as the mean over functions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Shares {
    pub(super) by_request: f64,
    pub(super) by_function: f64,
}

impl Tally {
    /// Of a replay.
    pub(super) fn live(functions: usize, called: &[Called]) -> Self {
        let mut kinds = vec![[0; 5]; functions];
        let mut failed = 0;
        for call in called {
            match call.kind {
                Some(kind) => kinds[call.place][kind as usize] += 1,
                None => failed += 1,
            }
        }
        let served = || called.iter().filter(|it| it.kind.is_some());
        Self {
            functions: kinds,
            failed,
            start_ms: Some(Times::of(served().map(|it| it.start_us))),
            beyond_ms: Times::of(served().map(|it| it.beyond_us)),
        }
    }

    /// Of a simulation.
    pub(super) fn simulated(outcome: &Outcome) -> Self {
        let latency = &outcome.latency;
        Self {
            functions: outcome.functions.iter().map(|it| it.kinds).collect(),
            failed: outcome.tally.unserved,
            start_ms: None,
            beyond_ms: Times {
                mean: latency.mean_ms(),
                p50: latency.at(0.5),
                p99: latency.at(0.99),
                p999: latency.at(0.999),
            },
        }
    }

    /// Requests by kind.
    pub(super) fn kinds(&self) -> [u64; 5] {
        let mut sum = [0; 5];
        for kinds in &self.functions {
            for (sum, number) in sum.iter_mut().zip(kinds) {
                *sum += number;
            }
        }
        sum
    }

    /// Requests that found no idle instance.
    pub(super) fn started(&self) -> Shares {
        self.share(|kind| kind != StartKind::Warm)
    }

    /// Requests that paid user init.
    pub(super) fn cold(&self) -> Shares {
        self.share(is_cold)
    }

    fn share(&self, such: impl Fn(StartKind) -> bool) -> Shares {
        let count = |kinds: &[u64; 5]| {
            let of = StartKind::ALL.into_iter().zip(kinds);
            let such: u64 = of.filter(|(kind, _)| such(*kind)).map(|(_, it)| *it).sum();
            (such as f64, kinds.iter().sum::<u64>() as f64)
        };
        let part = |(such, all): (f64, f64)| such / all;
        let shares: Vec<f64> = self
            .functions
            .iter()
            .map(count)
            .filter(|(_, all)| *all > 0.0)
            .map(part)
            .collect();
        Shares {
            by_request: finite(part(count(&self.kinds()))),
            by_function: finite(shares.iter().sum::<f64>() / shares.len() as f64),
        }
    }
}

impl Times {
    fn of(microseconds: impl Iterator<Item = u64>) -> Self {
        let mut all: Vec<u64> = microseconds.collect();
        all.sort_unstable();
        let at = |share: f64| {
            let rank = (share * all.len() as f64).ceil() as usize;
            let us = all.get(rank.max(1) - 1).copied().unwrap_or_default();
            us as f64 / 1e3
        };
        Self {
            mean: finite(all.iter().sum::<u64>() as f64 / 1e3 / all.len() as f64),
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
        }
    }
}

/// Nothing of nothing is nothing.
fn finite(number: f64) -> f64 {
    if number.is_finite() { number } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(place: usize, kind: Option<StartKind>, start_us: u64) -> Called {
        Called {
            place,
            function: String::new(),
            at_ms: 0,
            kind,
            start_us,
            beyond_us: 2 * start_us,
            phases: Vec::new(),
        }
    }

    #[test]
    fn shares_are_of_requests_and_of_functions() {
        let mut all: Vec<_> = (1..=99)
            .map(|us| called(0, Some(StartKind::Warm), us * 1_000))
            .collect();
        all.push(called(0, Some(StartKind::Forked), 100_000));
        all.push(called(1, Some(StartKind::Zygote), 100_000));
        all.push(called(1, None, 0));
        let tally = Tally::live(3, &all);
        assert_eq!((tally.failed, tally.kinds()), (1, [99, 0, 1, 1, 0]));
        let started = tally.started();
        assert!((started.by_request - 2.0 / 101.0).abs() < 1e-9);
        // The function that nobody called has no share.
        assert!((started.by_function - (0.01 + 1.0) / 2.0).abs() < 1e-9);
        assert!((tally.cold().by_function - 0.5).abs() < 1e-9);
        let start = tally.start_ms.expect("it is live");
        assert_eq!((start.p50, start.p99), (51.0, 100.0));
        assert_eq!(tally.beyond_ms.p50, 102.0);
        let nothing = Tally::live(0, &[]);
        assert_eq!(nothing.cold().by_request, 0.0);
        assert_eq!(nothing.beyond_ms.p99, 0.0);
    }
}
