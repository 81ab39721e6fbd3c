//! What a policy tells of a version, in the words of the platform: wall-clock times, and names of versions.

use pilotlight_model::function::VersionKey;
use pilotlight_model::node::{
    Calls, Expected, ForecastCounters, Period, ToldRequest, WhyForecasts,
};
use pilotlight_model::start::Instant;
use pilotlight_policy::action::{Forecast, Source};
use pilotlight_policy::explain::{Told, Why};
use pilotlight_policy::predict::calls::{Callees, Edge};
use pilotlight_policy::{Counters, Explained};

use crate::pool::numbers::Numbers;

/// This moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) at: Instant,
    pub(super) ms: u64,
}

impl Now {
    /// A time in milliseconds since 1970.
    fn ms(self, at: Instant) -> u64 {
        let ahead = u64::try_from(at.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let ago = u64::try_from(self.at.since(at).as_millis()).unwrap_or(u64::MAX);
        self.ms.saturating_add(ahead).saturating_sub(ago)
    }
}

pub(super) fn told(explained: &Explained<'_>, numbers: &Numbers, now: Now) -> WhyForecasts {
    let callees = explained.callees;
    let known = callees.edges().iter().filter_map(|edge| {
        let callee = &numbers.at(edge.callee)?.spec.key;
        Some(calls(callees, edge, callee))
    });
    WhyForecasts {
        rung: explained.rung,
        expected: explained.forecast.map(|forecast| expected(forecast, now)),
        period: explained.period.map(|period| Period {
            every_ms: ms(period.every),
            jitter_ms: ms(period.jitter),
            confidence: period.confidence,
        }),
        calls: known.collect(),
        told: explained
            .record
            .told()
            .iter()
            .rev()
            .map(|it| request(it, now))
            .collect(),
        counters: counters(explained.record.counters),
    }
}

/// What is known of calls over one edge.
pub(super) fn calls(callees: &Callees, edge: &Edge, callee: &VersionKey) -> Calls {
    let (record, expected) = (&edge.record, callees.over(edge));
    let [p50_ms, p90_ms] = edge.delay().map(ms);
    Calls {
        function: callee.to_string(),
        declared: edge.is_declared(),
        probability: expected.probability,
        fan_out: expected.fan_out,
        from_ms: ms(expected.from),
        until_ms: ms(expected.until),
        p50_ms,
        p90_ms,
        calls: record.calls,
        forecasts: record.forecasts,
        hits: record.hits,
        precision: record.precision(),
        recall: record.recall(),
        lead_ms: ms(record.lead()),
        wasted_mb_s: record.wasted_mb_s,
    }
}

pub(super) fn counters(counters: Counters) -> ForecastCounters {
    ForecastCounters {
        forecasts: counters.forecasts.into(),
        hits: counters.hits.into(),
        misses: counters.misses.into(),
        wasted_mb_s: counters.wasted_mb_s,
    }
}

fn request(told: &Told, now: Now) -> ToldRequest {
    let (why, forecast) = match told.why {
        Why::NeverSeen => ("never_seen", None),
        Why::Kept => ("kept", None),
        Why::Foreseen(forecast) => ("foreseen", Some(forecast)),
        Why::Expired { forecast, .. } => ("expired", forecast),
        Why::Pressure { .. } => ("pressure", None),
        Why::Burst { .. } => ("burst", None),
    };
    ToldRequest {
        at_ms: now.ms(told.at),
        kind: told.kind,
        why: why.to_owned(),
        forecast: forecast.map(|forecast| expected(forecast, now)),
    }
}

fn expected(forecast: Forecast, now: Now) -> Expected {
    let by = match forecast.by {
        Source::Gaps => "gaps",
        Source::Period => "period",
        Source::Call(_) => "call",
        Source::Shift(_) => "shift",
        Source::Announced => "announced",
    };
    Expected {
        by: by.to_owned(),
        confidence: forecast.confidence,
        from_ms: now.ms(forecast.from),
        until_ms: now.ms(forecast.until),
    }
}

fn ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
