use proptest::prelude::*;

use super::*;

fn at(minute: f64) -> Instant {
    Instant((minute * MINUTE as f64) as u64)
}

fn fed(minutes: &[f64]) -> Periods {
    let mut periods = Periods::default();
    for minute in minutes {
        periods.add(at(*minute));
    }
    periods
}

#[test]
fn state_is_small() {
    assert!(size_of::<Periods>() <= 192, "{}", size_of::<Periods>());
}

#[test]
fn three_calls_make_a_beat() {
    assert!(fed(&[10.0, 70.0]).strongest(at(70.0)).is_none());
    let periods = fed(&[10.0, 70.0, 130.0]);
    let period = periods.strongest(at(130.0)).unwrap();
    assert_eq!(period.every, Duration::from_secs(3_600));
    let next = periods.expected(at(130.0), 0).next().unwrap();
    assert_eq!(next.minutes, 60);
    assert!(next.mass > 0.8, "{next:?}");
}

#[test]
fn calls_between_beats_and_beats_without_calls() {
    let mut calls: Vec<f64> = (0..20)
        .filter(|n| n % 7 != 5)
        .map(|n| 15.0 * f64::from(n))
        .collect();
    calls.extend([22.0, 37.3, 101.0, 102.0, 163.0]);
    calls.sort_by(f64::total_cmp);
    let periods = fed(&calls);
    let period = periods.strongest(at(285.0)).unwrap();
    assert!(
        period.every.abs_diff(Duration::from_secs(900)) < Duration::from_secs(5),
        "{period:?}"
    );
    assert!(
        period.confidence > 0.6 && period.confidence < 0.98,
        "{period:?}"
    );
    // From a call out of turn, the next beat is as far as it is.
    let mut later = periods;
    later.add(at(290.0));
    assert_eq!(later.expected(at(290.0), 0).next().unwrap().minutes, 10);
}

/// As `rate(1 minute)` calls: by the second, or late by what the platform and its clock take.
#[test]
fn a_beat_of_a_minute_is_one_of_a_minute() {
    for late_ms in [0, 5, 800, 4_000u64] {
        let mut periods = Periods::default();
        let mut last = Instant(0);
        for n in 0..40u64 {
            let late = n * 7 % 5 * late_ms / 4;
            last = Instant(n * MINUTE + late * 1_000_000);
            periods.add(last);
        }
        let period = periods.strongest(last).unwrap();
        let off = period.every.abs_diff(Duration::from_secs(60));
        assert!(off < Duration::from_secs(3), "{late_ms}: {period:?}");
        assert!(period.confidence > 0.9, "{late_ms}: {period:?}");
        let next = periods.expected(last, 0).next().unwrap();
        assert!(next.minutes == 1 && next.mass > 0.9, "{late_ms}: {next:?}");
    }
}

#[test]
fn a_beat_that_stops_is_forgotten() {
    let periods = fed(&[0.0, 10.0, 20.0, 30.0]);
    assert!(periods.strongest(at(80.0)).is_some());
    assert!(periods.strongest(at(100.0)).is_none());
}

proptest! {
    /// A beat with jitter and lost calls: the next call lies where it is expected.
    #[test]
    fn the_next_call_is_expected(
        period in 5u32..700,
        phase in 0u32..1_000,
        jitter in 0.0f64..0.3,
        lost in 0usize..6,
        noise in proptest::collection::vec(-1.0f64..1.0, 12),
    ) {
        let beat = |n: usize| f64::from(phase) + f64::from(period) * n as f64 + jitter * noise[n % 12];
        let mut periods = Periods::default();
        for n in (0..30).filter(|n| *n < 6 || *n % 6 != lost || *n == 29) {
            periods.add(at(beat(n)));
        }
        let last = at(beat(29));
        let expected = periods.expected(last, 0).next().unwrap();
        prop_assert!(expected.minutes.abs_diff(period as u16) <= 1, "{expected:?}");
        prop_assert!(expected.mass > 0.5);
        let sum: f32 = periods.expected(last, 0).map(|it| it.mass).sum();
        prop_assert!(sum <= 1.0 + 1e-5);
    }

    /// Whatever comes, forecasts are probabilities, in order, and lie ahead.
    #[test]
    fn forecasts_are_probabilities(calls in proptest::collection::vec(0.0f64..3_000.0, 1..60)) {
        let mut calls = calls;
        calls.sort_by(f64::total_cmp);
        let periods = fed(&calls);
        let last = at(calls[calls.len() - 1]);
        let expected: Vec<Expected> = periods.expected(last, 0).collect();
        prop_assert!(expected.iter().all(|it| it.mass >= 0.0 && it.minutes >= 1));
        prop_assert!(expected.iter().map(|it| it.mass).sum::<f32>() <= 1.0 + 1e-5);
        prop_assert!(expected.windows(2).all(|two| two[0].minutes <= two[1].minutes));
    }
}
