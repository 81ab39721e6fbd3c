use proptest::prelude::*;

use super::*;

#[test]
fn probability_delay_and_fan_out_are_learned() {
    let mut callees = Callees::default();
    for request in 0..400u64 {
        callees.request();
        if request % 2 == 0 {
            let after = Duration::from_millis(200 + request * 37 % 100);
            callees.called(VersionId(7), request, after);
            callees.called(VersionId(7), request, after);
        }
    }
    let expected = callees.expected().next().unwrap();
    assert!((expected.probability - 0.5).abs() < 0.02, "{expected:?}");
    assert!((expected.fan_out - 2.0).abs() < 0.01);
    assert!(
        expected.from > Duration::from_millis(150) && expected.from < Duration::from_millis(230)
    );
    assert!(
        expected.until > Duration::from_millis(330) && expected.until < Duration::from_millis(600)
    );
    assert_eq!(callees.edges()[0].record.calls, 200);
    let [median, late] = callees.edges()[0].delay().map(|it| it.as_millis());
    assert!((225..=275).contains(&median), "{median}");
    assert!((265..=300).contains(&late), "{late}");
}

#[test]
fn calls_half_or_twice_as_long_after_as_the_first_are_foreseen() {
    let ms = Duration::from_millis;
    let mut callees = Callees::default();
    callees.request();
    callees.called(VersionId(1), 0, ms(1_000));
    let first = callees.expected().next().unwrap();
    assert!(
        first.from <= ms(500) && first.until >= ms(2_000),
        "{first:?}"
    );
    assert_eq!(callees.edges()[0].delay()[0], ms(1_000));
    for request in 1..100 {
        callees.request();
        callees.called(VersionId(1), request, ms(1_000));
    }
    let steady = callees.expected().next().unwrap();
    assert!(
        steady.from > ms(800) && steady.until < ms(1_600),
        "they are all the same: {steady:?}"
    );
}

#[test]
fn a_declared_call_is_expected_before_it_was_seen() {
    let mut callees = Callees::default();
    callees.declared(VersionId(1), 1.0, Some(Duration::from_secs(2)));
    let expected = callees.expected().next().unwrap();
    assert!(expected.probability > 0.8 && expected.from < Duration::from_secs(2));
    for _ in 0..1_000 {
        callees.request();
    }
    assert!(
        callees.expected().next().unwrap().probability < 0.01,
        "it never came"
    );
}

#[test]
fn a_declaration_may_be_repeated_and_taken_back() {
    let mut callees = Callees::default();
    callees.declared(VersionId(1), 1.0, None);
    let once = callees.clone();
    callees.declared(VersionId(1), 1.0, None);
    assert_eq!(callees, once);
    let expected = callees.expected().next().unwrap();
    assert!(
        expected.from < Duration::from_millis(1),
        "it may come at once"
    );
    assert!(
        expected.until > Duration::from_secs(30),
        "or after long work"
    );
    callees.declared(VersionId(2), 0.5, None);
    callees.called(VersionId(2), 7, Duration::from_secs(1));
    let seen = callees
        .expected()
        .find(|it| it.callee == VersionId(2))
        .unwrap();
    assert!(seen.from > Duration::from_millis(400) && seen.until < Duration::from_secs(3));
    for callee in [1, 2] {
        callees.declared_no_more(VersionId(callee));
    }
    let left: Vec<_> = callees.edges().iter().map(|edge| edge.callee).collect();
    assert_eq!(left, [VersionId(2)], "what was seen stays");
    assert!(!callees.edges()[0].is_declared());
}

#[test]
fn calls_that_change_are_known_after_a_few() {
    let mut callees = Callees::default();
    let likely = |callees: &Callees, callee| {
        let call = callees.expected().find(|it| it.callee == VersionId(callee));
        call.map_or(0.0, |it| it.probability)
    };
    for request in 0..100u64 {
        callees.request();
        // One always, another by every second request.
        callees.called(VersionId(3), request, Duration::from_secs(1));
        if request % 2 == 0 {
            callees.called(VersionId(4), request, Duration::from_secs(1));
        }
        let callee = if request < 50 { 1 } else { 2 };
        callees.called(VersionId(callee), request, Duration::from_secs(1));
    }
    assert!(likely(&callees, 3) > 0.95);
    assert!((0.3..0.7).contains(&likely(&callees, 4)));
    assert!(likely(&callees, 1) < 0.1 && likely(&callees, 2) > 0.85);
}

#[test]
fn of_many_that_are_called_equally_often_some_stay() {
    let mut callees = Callees::default();
    let mut foreseen = 0;
    for request in 0..20u64 {
        callees.request();
        let likely = |it: &Expected| it.probability > 0.5;
        foreseen += callees.expected().filter(likely).count();
        // In another order each time.
        for call in 0..50u64 {
            let callee = VersionId(((call * 7 + request * 13) % 50) as u32);
            callees.called(callee, request, Duration::from_secs(1));
        }
    }
    assert!(foreseen >= 17 * CALLEES, "{foreseen}");
}

#[test]
fn one_that_is_called_more_often_takes_the_place_of_the_weakest() {
    let mut callees = Callees::default();
    let frequent = VersionId(99);
    for request in 0..150u64 {
        callees.request();
        // Those before it come once in ten requests, others once.
        let after = Duration::from_secs(1);
        callees.called(VersionId((request % 10) as u32), request, after);
        callees.called(VersionId(1_000 + request as u32), request, after);
        if request >= 50 {
            callees.called(frequent, request, after);
            callees.called(frequent, request, after);
        }
    }
    let expected = callees.expected().find(|it| it.callee == frequent).unwrap();
    assert!(expected.probability > 0.4, "{expected:?}");
    assert!((1.0..=2.0).contains(&expected.fan_out), "{expected:?}");
    assert_eq!(callees.edges().len(), CALLEES);
}

proptest! {
    #[test]
    fn the_strongest_are_kept(calls in proptest::collection::vec((0u32..30, 0u64..50, 1u64..5_000), 0..300)) {
        let mut callees = Callees::default();
        for (callee, request, after) in calls {
            callees.request();
            callees.called(VersionId(0), request, Duration::from_millis(1));
            callees.called(VersionId(callee), request, Duration::from_millis(after));
            prop_assert!(callees.edges().len() <= CALLEES);
            prop_assert!(callees.expected().all(|it| (0.0..=1.0).contains(&it.probability) && it.from <= it.until));
            prop_assert!(callees.expected().any(|it| it.callee == VersionId(0)));
        }
    }
}
