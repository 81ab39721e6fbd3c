//! Which request caused which. Of what comes through an inner door, and of what the asynchronous queue passes on,
//! it is known ([`Called`]). Else the trace header tells, which AWS SDKs pass on with what a function calls while it
//! runs.
//!
//! By its trace, the caller of a request is taken to be what came last in it. Where a function makes calls side by side,
//! or one after the other, that is the call before: it, too, tells that this one comes.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use pilotlight_model::function::VersionKey;
use pilotlight_model::node;
use pilotlight_model::start::Instant;
use pilotlight_policy::VersionId;
use pilotlight_policy::event::Cause;

use super::numbers::Numbers;

/// Traces that are remembered, the latest. About 100 bytes each.
const MOST: usize = 1 << 13;
/// How long a trace is: no function runs longer.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// A request, as made by another one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Called<'a> {
    by: &'a VersionKey,
    request: u64,
    after: Duration,
}

impl<'a> Called<'a> {
    /// One that comes now, at that time by the wall clock.
    pub(super) fn now(cause: &'a node::Cause, now_ms: u64) -> Self {
        // Half of a random id tells requests of one version apart.
        let (_, request) = cause.request_id.0.as_u64_pair();
        Self {
            by: &cause.version,
            request,
            after: Duration::from_millis(now_ms.saturating_sub(cause.at_ms)),
        }
    }

    /// The same as the policy hears of it: nothing, where it does not know the caller, or it is too long ago for the
    /// one to tell anything of the other.
    pub(super) fn cause(self, numbers: &Numbers) -> Option<Cause> {
        let version = numbers.of(self.by)?;
        (self.after <= LONGEST).then_some(Cause {
            version,
            request: self.request,
            after: self.after,
        })
    }
}

/// What came last in each trace.
#[derive(Default)]
pub(super) struct Traces {
    last: HashMap<u128, Last>,
    /// As requests came, the oldest first.
    order: VecDeque<(u128, u64)>,
    count: u64,
}

struct Last {
    version: VersionId,
    request: u64,
    at: Instant,
}

impl Traces {
    /// A request for that version has come, with that trace header. Returns what caused it, as far as that can be
    /// told. What comes again for the same version is an attempt that is made again.
    pub(super) fn arrived(
        &mut self,
        now: Instant,
        header: &str,
        version: VersionId,
    ) -> Option<Cause> {
        let trace = root(header)?;
        self.count += 1;
        let last = Last {
            version,
            request: self.count,
            at: now,
        };
        self.order.push_back((trace, self.count));
        let before = self.last.insert(trace, last);
        while self.order.len() > MOST {
            self.forget_oldest();
        }
        let before = before.filter(|it| it.version != version)?;
        let after = now.since(before.at);
        (after <= LONGEST).then_some(Cause {
            version: before.version,
            request: before.request,
            after,
        })
    }

    fn forget_oldest(&mut self) {
        if let Some((trace, request)) = self.order.pop_front()
            && self
                .last
                .get(&trace)
                .is_some_and(|it| it.request == request)
        {
            self.last.remove(&trace);
        }
    }

    /// A version is no more, and its number is given to another.
    pub(super) fn forget(&mut self, version: VersionId) {
        self.last.retain(|_, last| last.version != version);
    }
}

/// The trace that `X-Amzn-Trace-Id` names: `Root=1-` with 8 and 24 hexadecimal digits.
fn root(header: &str) -> Option<u128> {
    let mut parts = header.split(';');
    let root = parts.find_map(|part| part.trim().strip_prefix("Root=1-"))?;
    let (seconds, unique) = root.split_once('-')?;
    if seconds.len() != 8 || unique.len() != 24 {
        return None;
    }
    let seconds = u128::from_str_radix(seconds, 16).ok()?;
    Some(seconds << 96 | u128::from_str_radix(unique, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const TRACE: &str =
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    #[test]
    fn what_comes_last_in_a_trace_causes_what_comes_next() {
        let mut traces = Traces::default();
        let (a, b, c) = (VersionId(0), VersionId(1), VersionId(2));
        assert_eq!(traces.arrived(Instant(SECOND), TRACE, a), None);
        let cause = traces.arrived(Instant(2 * SECOND), TRACE, b).unwrap();
        assert_eq!((cause.version, cause.after), (a, Duration::from_secs(1)));
        let again = traces.arrived(Instant(3 * SECOND), TRACE, b);
        assert_eq!(again, None, "another attempt");
        let cause = traces.arrived(Instant(5 * SECOND), TRACE, c).unwrap();
        assert_eq!((cause.version, cause.after), (b, Duration::from_secs(2)));
        let other = TRACE.replace("bd8", "bd9");
        assert_eq!(traces.arrived(Instant(6 * SECOND), &other, b), None);
        let late = Instant(10_000 * SECOND);
        assert_eq!(traces.arrived(late, TRACE, a), None);
    }

    #[test]
    fn a_known_cause_is_told_while_it_tells_something() {
        let mut numbers = Numbers::new();
        let spec = std::sync::Arc::new(crate::tests::spec());
        let cause = node::Cause {
            version: spec.key.clone(),
            request_id: pilotlight_model::RequestId::new(),
            at_ms: 10_000,
        };
        let called = Called::now(&cause, 10_250);
        assert_eq!(called.cause(&numbers), None, "a caller that is not known");
        let number = numbers.give(&spec).unwrap();
        let told = called.cause(&numbers).unwrap();
        assert_eq!(
            (told.version, told.after),
            (number, Duration::from_millis(250))
        );
        assert_eq!(
            Called::now(&cause, 10_000).cause(&numbers).unwrap().request,
            told.request
        );
        let behind = Called::now(&cause, 9_000).cause(&numbers).unwrap();
        assert_eq!(behind.after, Duration::ZERO, "the clock was set back");
        let late = Called::now(&cause, 10_000 + 3_600_000);
        assert_eq!(late.cause(&numbers), None);
    }

    #[test]
    fn versions_that_are_gone_cause_nothing_and_traces_are_bounded() {
        let mut traces = Traces::default();
        traces.arrived(Instant(0), TRACE, VersionId(0));
        traces.forget(VersionId(0));
        assert_eq!(traces.arrived(Instant(1), TRACE, VersionId(1)), None);
        for number in 0..2 * MOST {
            let header = format!("Root=1-00000000-{number:024x}");
            traces.arrived(Instant(2), &header, VersionId(2));
        }
        assert_eq!((traces.last.len(), traces.order.len()), (MOST, MOST));
    }

    #[test]
    fn other_headers_name_no_trace() {
        for header in [
            "",
            "Root=1-2-3",
            "Root=2-5759e988-bd862e3fe1be46a994272793",
            "Self=1",
        ] {
            assert_eq!(root(header), None, "{header}");
        }
        assert!(root("Self=1-2; Root=1-5759e988-bd862e3fe1be46a994272793").is_some());
    }
}
