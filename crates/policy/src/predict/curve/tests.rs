use proptest::prelude::*;

use super::*;
use crate::predict::bins::MINUTE;

fn lived(gaps: &[u16]) -> (Past, Instant, Population, Beliefs) {
    let (mut past, mut at) = (Past::default(), Instant(0));
    let (mut all, mut beliefs) = (Population::default(), Beliefs::default());
    past.periods.add(at);
    for gap in gaps {
        let next = Instant(at.0 + u64::from(*gap) * MINUTE);
        past.add(at, next, *gap, &mut all, &mut beliefs, 1.0);
        at = next;
    }
    (past, at, all, beliefs)
}

#[test]
fn an_hourly_version_is_expected_on_the_hour() {
    let (past, last, all, beliefs) = lived(&[60; 8]);
    let curve = past.curve(last, &all, &beliefs);
    let window = curve.window(1, 0.02).unwrap();
    assert!(window.from >= 58 && window.until <= 64, "{window:?}");
    assert!(window.confidence > 0.9, "{window:?}");
    // Once it did not come, the next hour is what is left.
    let later = curve.window(64, 0.02).unwrap();
    assert!(later.from >= 115 && later.from <= 121, "{later:?}");
}

#[test]
fn two_calls_already_say_something() {
    let (past, last, all, beliefs) = lived(&[30]);
    let curve = past.curve(last, &all, &beliefs);
    let at_30 = curve.pieces().find(|piece| piece.from == 30).unwrap();
    let at_20 = curve
        .pieces()
        .find(|piece| piece.from <= 22 && piece.until > 22)
        .unwrap();
    assert!(at_30.hazard > 10.0 * at_20.hazard, "{at_30:?} {at_20:?}");
}

#[test]
fn gaps_of_one_minute_are_bridged() {
    let (past, last, all, beliefs) = lived(&[7, 9, 7, 9, 7, 9, 7, 9]);
    let window = past.curve(last, &all, &beliefs).window(1, 0.05).unwrap();
    assert!(window.from <= 7 && window.until >= 10, "{window:?}");
}

proptest! {
    /// Pieces cover all minutes once, and their masses are a distribution.
    #[test]
    fn pieces_are_a_distribution(gaps in proptest::collection::vec(1u16..3_000, 0..60)) {
        let (past, last, all, beliefs) = lived(&gaps);
        let curve = past.curve(last, &all, &beliefs);
        let (mut at, mut sum) = (1, 0.0);
        for piece in curve.pieces() {
            prop_assert_eq!(piece.from, at);
            prop_assert!(piece.until > at && piece.mass >= 0.0);
            prop_assert!((0.0..=1.0).contains(&piece.hazard));
            at = piece.until;
            sum += piece.mass;
        }
        prop_assert_eq!(at, bins::LONGEST + 1);
        prop_assert!(sum <= 1.001, "{sum}");
        // The mixture that is learned from says of each minute what the curve does.
        let shares = past.mixture.shares(&beliefs, past.likeness().class());
        let hazards = all.hazards(past.likeness());
        for minute in [1, 2, 5, 9, 30, 60, 61, 240] {
            let mixed = shares[SMOOTH] * past.smooth_density(&all, &hazards, minute)
                + shares[REPEATS] * past.gaps.value_density(minute)
                + shares[BEATS] * past.periods.density(last, 0, minute);
            let drawn = curve.left(minute) - curve.left(minute + 1);
            prop_assert!((mixed - drawn).abs() < 2e-3, "{minute}: {mixed} and {drawn}");
        }
    }

    /// A window is where every piece but those of one minute reaches the hazard, and nothing before it does.
    #[test]
    fn windows_are_the_first(
        gaps in proptest::collection::vec(1u16..300, 1..40),
        minute in 1u16..400,
        least in 0.0005f32..0.2,
    ) {
        let (past, last, all, beliefs) = lived(&gaps);
        let curve = past.curve(last, &all, &beliefs);
        let good: Vec<bool> = curve
            .pieces()
            .flat_map(|piece| (piece.from..piece.until).map(move |_| piece.hazard >= least))
            .collect();
        let good = |minute: u16| good.get(usize::from(minute) - 1).copied().unwrap_or(false);
        let first = (minute..=bins::LONGEST).find(|minute| good(*minute));
        let window = curve.window(minute, least);
        prop_assert_eq!(window.map(|window| window.from), first);
        if let Some(window) = window {
            prop_assert!((window.from..window.until).all(|at| good(at) || good(at + 1)));
            prop_assert!(!good(window.until));
            prop_assert!((0.0..=1.0).contains(&window.confidence));
        }
    }
}
