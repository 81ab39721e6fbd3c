//! What becomes of events, over all ways in which attempts end.

use super::*;

fn judged(attempts: Attempts, settings: &EventInvoke, outcome: Outcome, now_ms: u64) -> Verdict {
    judge(
        1_000,
        attempts,
        settings,
        outcome,
        now_ms,
        &Retries::default(),
    )
}

/// Lengths of the waits until the event is given up, in seconds, and why it was.
fn waits(settings: &EventInvoke, outcome: Outcome) -> (Vec<u64>, Condition, u32) {
    let (mut attempts, mut now_ms, mut waits) = (Attempts::default(), 1_000, Vec::new());
    loop {
        match judged(attempts, settings, outcome, now_ms) {
            Verdict::PutOff {
                attempts: next,
                due_ms,
            } => {
                waits.push((due_ms - now_ms) / 1_000);
                (attempts, now_ms) = (next, due_ms);
            }
            Verdict::Ended { attempts, reason } => {
                return (waits, reason.condition(), attempts.runs);
            }
        }
    }
}

#[test]
fn a_failing_function_is_tried_three_times_unless_it_wants_fewer() {
    for (most, expected) in [
        (None, vec![60, 120]),
        (Some(2), vec![60, 120]),
        (Some(1), vec![60]),
        (Some(0), vec![]),
    ] {
        let settings = EventInvoke {
            maximum_retries: most,
            ..EventInvoke::default()
        };
        let runs = expected.len() as u32 + 1;
        assert_eq!(
            waits(&settings, Outcome::FunctionError),
            (expected, Condition::RetriesExhausted, runs)
        );
    }
}

#[test]
fn a_refused_event_is_tried_until_it_is_six_hours_old() {
    let (waits, condition, runs) = waits(&EventInvoke::default(), Outcome::Refused);
    assert_eq!((condition, runs), (Condition::EventAgeExceeded, 0));
    assert_eq!(waits[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    let age: u64 = waits.iter().sum();
    assert!((6 * 3600 - 300..=6 * 3600).contains(&age), "{age}");
}

#[test]
fn what_would_be_too_old_for_its_next_attempt_is_given_up_at_once() {
    let settings = EventInvoke {
        maximum_age_s: Some(60),
        ..EventInvoke::default()
    };
    let late = judged(
        Attempts::default(),
        &settings,
        Outcome::FunctionError,
        1_001,
    );
    let Verdict::Ended { attempts, reason } = late else {
        panic!("{late:?}")
    };
    assert_eq!((attempts.runs, reason), (1, Reason::EventAgeExceeded));
    let (waits, condition, _) = waits(&settings, Outcome::Refused);
    assert_eq!(waits.iter().sum::<u64>(), 31);
    assert_eq!(condition, Condition::EventAgeExceeded);
}

#[test]
fn some_ends_are_at_once() {
    for (outcome, condition, reason, runs) in [
        (Outcome::Answered, Condition::Success, Reason::Delivered, 1),
        (
            Outcome::Gone,
            Condition::RetriesExhausted,
            Reason::FunctionGone,
            1,
        ),
        (
            Outcome::Looped,
            Condition::RecursiveInvocation,
            Reason::RecursiveLoop,
            0,
        ),
        (
            Outcome::Disabled,
            Condition::ZeroReservedConcurrency,
            Reason::ZeroReservedConcurrency,
            0,
        ),
        (
            Outcome::Unworkable,
            Condition::RetriesExhausted,
            Reason::Unworkable,
            0,
        ),
    ] {
        let settings = EventInvoke::default();
        assert_eq!(
            judged(Attempts::default(), &settings, outcome, 2_000),
            Verdict::Ended {
                attempts: Attempts { runs, refusals: 0 },
                reason
            }
        );
        assert_eq!(reason.condition(), condition);
    }
}

#[test]
fn refusals_between_failures_start_their_waits_anew() {
    let tired = Attempts {
        runs: 1,
        refusals: 9,
    };
    let settings = EventInvoke::default();
    let verdict = judged(tired, &settings, Outcome::FunctionError, 1_000);
    let attempts = Attempts {
        runs: 2,
        refusals: 0,
    };
    assert_eq!(
        verdict,
        Verdict::PutOff {
            attempts,
            due_ms: 121_000
        }
    );
    let many = Attempts {
        runs: 0,
        refusals: 4_000,
    };
    let verdict = judged(many, &settings, Outcome::Refused, 1_000);
    assert!(matches!(
        verdict,
        Verdict::PutOff {
            due_ms: 301_000,
            ..
        }
    ));
}
