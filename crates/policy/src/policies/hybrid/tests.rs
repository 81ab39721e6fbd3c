//! Hand-computed traces: each number follows from the paper's rule as the module states it. And random ones,
//! beside the rule worked out from a list of all idle times.

use std::time::Duration;

use proptest::prelude::*;

use super::super::trial::{S, Served, Trial};

use super::forecast::{MOST, forecast};

const MINUTE: u64 = 60;

/// A request of no length at each of these minutes.
fn at_minutes(trial: &mut Trial, minutes: impl IntoIterator<Item = u64>) {
    for minute in minutes {
        trial.request(minute * MINUTE, 0, 0);
    }
}

fn minutes(seconds: Vec<f64>) -> Vec<f64> {
    seconds.into_iter().map(|second| second / 60.0).collect()
}

/// Every 30 minutes: after three idle times of 30 minutes the head is bin 30, less 10 % 27 minutes, the tail
/// the end of bin 30, plus 10 % 34.1 minutes.
#[test]
fn loads_before_the_head_and_unloads_after_the_tail() {
    let mut trial = Trial::named("hybrid:4h,least=3");
    at_minutes(&mut trial, [0, 30, 60, 90, 120]);
    trial.until(10_000);
    use Served::{Cold, Warm};
    assert_eq!(trial.served, [Cold, Warm, Warm, Warm, Warm]);
    assert_eq!(minutes(trial.made_ahead()), [117.0, 147.0]);
    assert_eq!(minutes(trial.ended()), [90.0, 120.0, 154.1]);
}

/// The same where a start takes ten seconds: it begins that much before, and is over at minute 27.
#[test]
fn a_start_is_over_when_the_load_is_due() {
    let mut trial = Trial::named("hybrid:4h,least=3").starts_take(Duration::from_secs(10));
    at_minutes(&mut trial, [0, 30, 60, 90]);
    trial.until(10_000);
    // The first request waited for its start, so that the first idle time is ten seconds shorter: bin 29.
    let last = 90.0 * 60.0;
    let load = 29.0 * 60.0 * 0.9;
    assert_eq!(trial.made_ahead(), [last + load - 10.0]);
    let unload = 31.0 * 60.0 * 1.1;
    assert_eq!(trial.ended(), [last, last + unload]);
}

/// Too few idle times: kept over the whole range, four hours.
#[test]
fn few_idle_times_say_nothing() {
    let mut trial = Trial::named("hybrid:4h,least=3");
    at_minutes(&mut trial, [0, 30, 60]);
    trial.until(100_000);
    assert!(trial.made_ahead().is_empty());
    assert_eq!(minutes(trial.ended()), [300.0]);
}

/// A head in the first bin: never unloaded before the tail, which is bin 0's end here, plus 10 %.
#[test]
fn is_not_unloaded_where_the_head_is_zero() {
    let mut trial = Trial::named("hybrid:4h,least=3");
    for number in 0..10 {
        trial.request(number * 30, 0, 1);
    }
    trial.until(1_000);
    assert!(trial.made_ahead().is_empty());
    assert_eq!(trial.ended(), [271.0 + 66.0]);
}

/// One idle time in each bin: the counts do not vary, so the whole range again.
#[test]
fn an_even_histogram_says_nothing() {
    let mut trial = Trial::named("hybrid:10m,least=3");
    let mut now = 0;
    trial.request(now, 0, 0);
    for bin in 0..10 {
        now += bin * MINUTE + 30;
        trial.request(now, 0, 0);
    }
    trial.until(now + 10_000);
    assert_eq!(*trial.ended().last().unwrap(), (now + 600) as f64);
}

/// Idle times of 20 minutes and a range of ten: the forecast is 20, so from 17 to 23.
#[test]
fn idle_times_out_of_bounds_are_forecast() {
    let mut trial = Trial::named("hybrid:10m,least=3");
    at_minutes(&mut trial, [0, 20, 40, 60, 80]);
    trial.until(10_000);
    use Served::{Cold, Warm};
    assert_eq!(trial.served, [Cold, Cold, Cold, Cold, Warm]);
    assert_eq!(minutes(trial.made_ahead()), [77.0, 97.0]);
    assert_eq!(
        minutes(trial.ended()),
        [10.0, 30.0, 50.0, 60.0, 80.0, 103.0]
    );
}

/// A request that comes while another runs ends no idle time, and what ends while another runs begins none.
#[test]
fn idle_is_when_nothing_of_the_version_runs() {
    let mut trial = Trial::named("hybrid:4h,least=2");
    for hour in 0..4 {
        trial.request(hour * 3_600, 0, 600);
        trial.request(hour * 3_600 + 60, 0, 60);
    }
    trial.until(15_000);
    // Fifty minutes from 600 s to 3,600 s: loaded after 45.
    let last = (3 * 3_600 + 600) as f64;
    assert_eq!(
        *trial.made_ahead().last().unwrap_or(&0.0),
        last + 45.0 * 60.0
    );
}

/// Unloaded right after each execution, but not while a request waits: the second one is served by the first
/// one's instance, although that is over its time.
#[test]
fn what_a_request_waits_for_is_not_unloaded() {
    let mut trial = Trial::named("hybrid:4h,least=3").starts_take(Duration::from_secs(100));
    at_minutes(&mut trial, [0, 30, 60, 90]);
    let minute = 119;
    trial.request(minute * MINUTE, 0, 10);
    trial.request(minute * MINUTE + 1, 0, 10);
    trial.until(minute * MINUTE + 60);
    assert_eq!(trial.served[4..], [Served::Warm, Served::Late]);
}

#[test]
fn a_request_while_it_is_unloaded_takes_the_load_back() {
    let mut trial = Trial::named("hybrid:4h,least=3");
    at_minutes(&mut trial, [0, 30, 60, 90]);
    trial.request(100 * MINUTE, 0, 20 * MINUTE);
    trial.until(100 * MINUTE + 60);
    assert_eq!(trial.served[4], Served::Cold);
    trial.until(118 * MINUTE);
    assert!(trial.made_ahead().is_empty(), "it was due at 117");
}

const RANGE: u64 = 60;
const LEAST: usize = 3;

/// When to load and to unload, in nanoseconds, after idle times of so many minutes.
fn windows(idle_times: &[u64]) -> (u64, u64) {
    let standard = (0, RANGE * MINUTE * S);
    let mut inside: Vec<u64> = idle_times
        .iter()
        .copied()
        .filter(|time| *time < RANGE)
        .collect();
    inside.sort_unstable();
    let outside = idle_times.len() - inside.len();
    if idle_times.len() < LEAST {
        return standard;
    }
    if outside * 2 > idle_times.len() {
        let recent = &idle_times[idle_times.len().saturating_sub(MOST)..];
        let recent: Vec<f64> = recent.iter().map(|time| *time as f64).collect();
        let next = forecast(&recent).unwrap() * 60e9;
        return ((next * 0.85).round() as u64, (next * 1.15).round() as u64);
    }
    let mean = inside.len() as f64 / RANGE as f64;
    let count = |bin: u64| inside.iter().filter(|time| **time == bin).count() as f64;
    let variance = (0..RANGE)
        .map(|bin| (count(bin) - mean).powi(2))
        .sum::<f64>()
        / RANGE as f64;
    // At two, sums are exact in the policy, and all but exact here.
    if variance.sqrt() / mean < 2.0 - 1e-9 {
        return standard;
    }
    let percentile = |percent: usize| inside[(inside.len() * percent).div_ceil(100).max(1) - 1];
    (
        percentile(5) * MINUTE * S * 9 / 10,
        (percentile(99) + 1) * MINUTE * S * 11 / 10,
    )
}

/// The single-instance model: which arrivals find the version loaded.
fn plainly(gaps: &[u64]) -> Vec<Served> {
    let mut served = vec![Served::Cold];
    for (number, gap) in gaps.iter().enumerate() {
        let (load, unload) = windows(&gaps[..number]);
        let gap = gap * MINUTE * S;
        // Starts take no time here, so that one begins when it is due: an arrival at that moment comes first.
        let warm = (load == 0 || gap > load) && gap <= unload;
        served.push(if warm { Served::Warm } else { Served::Cold });
    }
    served
}

fn gaps() -> impl Strategy<Value = Vec<u64>> {
    let around = |gap: u64| (gap.saturating_sub(2)..gap + 3).prop_map(|gap| gap.max(1));
    prop_oneof![
        proptest::collection::vec(1..90u64, 0..60),
        (3..100u64).prop_flat_map(move |gap| proptest::collection::vec(around(gap), 0..60)),
        (3..58u64).prop_flat_map(move |gap| {
            let mostly = prop_oneof![8 => around(gap), 1 => 1..400u64];
            proptest::collection::vec(mostly, 0..120)
        }),
    ]
}

proptest! {
    #[test]
    fn serves_as_the_rule_says(gaps in gaps()) {
        let mut trial = Trial::named("hybrid:60m,least=3");
        let mut minute = 0;
        at_minutes(&mut trial, [0]);
        for gap in &gaps {
            minute += gap;
            at_minutes(&mut trial, [minute]);
        }
        prop_assert_eq!(&trial.served, &plainly(&gaps));
    }
}
