//! One policy beside others at equal memory-time: whether what it keeps saves more than what they keep.

use super::{Report, Summary};

/// A p99 is known to one part in a hundred, and p99 of two policies to as much each.
const RESOLUTION: f64 = 1.021;
/// Means that differ by less than so much of themselves are the same: draws of starts differ by more.
const SAME: f64 = 1.005;

/// Another policy, and ours with no more memory-time.
#[derive(Debug, Clone, Copy)]
pub struct Beside<'a> {
    /// The other.
    pub other: &'a Summary,
    /// Of our runs with no more memory-time one that is no worse, where there is any; else the one with the most;
    /// none where even the least is more.
    pub ours: Option<&'a Summary>,
}

impl Beside<'_> {
    /// Whether ours has no more cold starts: neither as a mean over functions, nor of all requests.
    pub fn is_as_rarely_cold(&self) -> bool {
        self.ours.is_some_and(|ours| {
            ours.cold_by_function.mean <= self.other.cold_by_function.mean + 1e-12
                && ours.cold_by_request <= self.other.cold_by_request + 1e-12
        })
    }

    /// Whether requests wait no longer under ours: neither on average, nor one in a hundred.
    pub fn is_as_fast(&self) -> bool {
        self.ours.is_some_and(|ours| {
            let (ours, other) = (&ours.latency_ms, &self.other.latency_ms);
            ours.mean <= other.mean * SAME && ours.p99 <= other.p99 * RESOLUTION
        })
    }
}

/// All others beside `ours`, which is a name of a policy without parameters.
pub fn beside<'a>(report: &'a Report, ours: &str) -> Vec<Beside<'a>> {
    let is_ours = |it: &&Summary| it.policy.split(':').next() == Some(ours);
    let (ours, others): (Vec<_>, Vec<_>) = report.policies.iter().partition(is_ours);
    let beside = |other: &'a Summary| {
        let affordable = ours.iter().filter(|it| it.wasted_mb_s <= other.wasted_mb_s);
        let beside = affordable.map(|ours| Beside {
            other,
            ours: Some(*ours),
        });
        let rank = |it: &Beside<'_>| {
            let memory = it.ours.map_or(0.0, |ours| ours.wasted_mb_s);
            (it.is_as_rarely_cold() && it.is_as_fast(), memory)
        };
        beside
            .max_by(|a, b| {
                let ((a, least), (b, most)) = (rank(a), rank(b));
                a.cmp(&b).then(least.total_cmp(&most))
            })
            .unwrap_or(Beside { other, ours: None })
    };
    others.into_iter().map(beside).collect()
}
