//! What the policy expects of a function, and what its forecasts were worth, in words.

use std::fmt::Write;

use pilotlight_model::node::{Expected, ToldRequest, WhyForecasts};

use crate::output;

/// Lines of text, each with its end.
pub(super) fn words(forecasts: &WhyForecasts) -> String {
    let counters = &forecasts.counters;
    let mut text = format!(
        "\nthe policy keeps it on the rung {}\nforecasts: {}, of which {} came true and {} did not; {:.1} MB·s kept in vain\n",
        forecasts.rung.as_str(),
        counters.forecasts,
        counters.hits,
        counters.misses,
        counters.wasted_mb_s,
    );
    if let Some(it) = &forecasts.expected {
        let _ = writeln!(text, "expected now: {}", expected(it));
    }
    if let Some(period) = &forecasts.period {
        let _ = writeln!(
            text,
            "period: {}, give or take {}, {:.0} % of them with a request",
            output::duration(period.every_ms.saturating_mul(1_000)),
            output::duration(period.jitter_ms.saturating_mul(1_000)),
            period.confidence * 100.0,
        );
    }
    for calls in &forecasts.calls {
        let _ = writeln!(
            text,
            "calls {}{}: {:.0} % of requests do, after {} to {}; {} seen; of {} forecasts {} came true (precision \
             {:.0} %, recall {:.0} %), {} ahead; {:.1} MB·s in vain",
            calls.function,
            if calls.declared { ", declared" } else { "" },
            calls.probability * 100.0,
            output::duration(calls.from_ms.saturating_mul(1_000)),
            output::duration(calls.until_ms.saturating_mul(1_000)),
            calls.calls,
            calls.forecasts,
            calls.hits,
            calls.precision * 100.0,
            calls.recall * 100.0,
            output::duration(calls.lead_ms.saturating_mul(1_000)),
            calls.wasted_mb_s,
        );
    }
    for told in &forecasts.told {
        let _ = writeln!(text, "{}", request(told));
    }
    text
}

fn request(told: &ToldRequest) -> String {
    let kind = told.kind.map_or("starting", |kind| kind.as_str());
    let why = told.why.replace('_', " ");
    let forecast = told.forecast.as_ref();
    let forecast = forecast.map_or_else(String::new, |it| format!(", forecast {}", expected(it)));
    format!("{}  {kind}: {why}{forecast}", output::time(told.at_ms))
}

fn expected(expected: &Expected) -> String {
    format!(
        "by {}, {:.0} % sure, from {} to {}",
        expected.by,
        expected.confidence * 100.0,
        output::time(expected.from_ms),
        output::time(expected.until_ms),
    )
}

#[cfg(test)]
mod tests {
    use pilotlight_model::StartKind;
    use pilotlight_model::ladder::Rung;
    use pilotlight_model::node::{Calls, ForecastCounters, Period};

    use super::*;

    #[test]
    fn what_is_expected_is_said_with_its_confidence() {
        let expected = Expected {
            by: "period".to_owned(),
            confidence: 0.83,
            from_ms: 0,
            until_ms: 1_000,
        };
        let text = words(&WhyForecasts {
            rung: Rung::Template,
            expected: Some(expected.clone()),
            period: Some(Period {
                every_ms: 60_000,
                jitter_ms: 1_500,
                confidence: 0.9,
            }),
            calls: vec![Calls {
                function: "arn:g".to_owned(),
                declared: true,
                probability: 0.75,
                fan_out: 1.0,
                from_ms: 90,
                until_ms: 1_500,
                p50_ms: 200,
                p90_ms: 900,
                calls: 9,
                forecasts: 8,
                hits: 7,
                precision: 0.875,
                recall: 0.78,
                lead_ms: 20,
                wasted_mb_s: 0.5,
            }],
            told: vec![ToldRequest {
                at_ms: 500,
                kind: Some(StartKind::Forked),
                why: "never_seen".to_owned(),
                forecast: Some(expected),
            }],
            counters: ForecastCounters {
                forecasts: 4,
                hits: 3,
                misses: 1,
                wasted_mb_s: 2.25,
            },
        });
        for said in [
            "rung template",
            "forecasts: 4, of which 3 came true and 1 did not; 2.2 MB·s kept in vain",
            "expected now: by period, 83 % sure, from 1970-01-01T00:00:00.000Z",
            "period: 60.00 s, give or take 1.50 s, 90 % of them",
            "calls arn:g, declared: 75 % of requests do, after 90.0 ms to 1.50 s; 9 seen; of 8 forecasts 7 came true \
             (precision 88 %, recall 78 %), 20.0 ms ahead; 0.5 MB·s in vain",
            "1970-01-01T00:00:00.500Z  forked: never seen, forecast by period",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
    }
}
