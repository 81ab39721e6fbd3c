//! Whether and when an asynchronous event is tried again. Pure. The rules are Lambda's: two more attempts
//! when the function fails; what could not be run is tried again, less and less often, until it is too old.

use std::time::Duration;

use crate::catalog::events::Attempts;
use crate::config::Retries;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The function answered.
    Answered,
    /// The function ran and failed.
    FunctionError,
    /// The function was not run: no room, not ready, a fault of the platform.
    Refused,
    /// There is no such function.
    Gone,
}

/// What becomes of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Delivered,
    PutOff {
        attempts: Attempts,
        due_ms: u64,
    },
    /// With the reason why.
    Dropped(&'static str),
}

/// `queued_ms` is when the event was accepted, `attempts` what is behind it without this one.
pub(super) fn judge(
    queued_ms: u64,
    mut attempts: Attempts,
    outcome: Outcome,
    now_ms: u64,
    retries: &Retries,
) -> Verdict {
    let wait = match outcome {
        Outcome::Answered => return Verdict::Delivered,
        Outcome::Gone => return Verdict::Dropped("the function does not exist"),
        Outcome::FunctionError => {
            let Some(wait) = retries
                .function_errors
                .get(attempts.errors as usize)
                .copied()
            else {
                return Verdict::Dropped("retries exhausted");
            };
            attempts = Attempts {
                errors: attempts.errors + 1,
                refusals: 0,
            };
            wait
        }
        Outcome::Refused => {
            let doubled = 1_u32.checked_shl(attempts.refusals).unwrap_or(u32::MAX);
            attempts.refusals += 1;
            retries
                .refusal_first
                .saturating_mul(doubled)
                .min(retries.refusal_longest)
        }
    };
    let millis = |length: Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    let due_ms = now_ms.saturating_add(millis(wait));
    if due_ms > queued_ms.saturating_add(millis(retries.max_age)) {
        return Verdict::Dropped("event age exceeded");
    }
    Verdict::PutOff { attempts, due_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths of the waits until the event is dropped, in seconds, and why it was.
    fn waits(outcome: Outcome) -> (Vec<u64>, &'static str) {
        let (mut attempts, mut now_ms, mut waits) = (Attempts::default(), 1_000, Vec::new());
        loop {
            match judge(1_000, attempts, outcome, now_ms, &Retries::default()) {
                Verdict::PutOff {
                    attempts: next,
                    due_ms,
                } => {
                    waits.push((due_ms - now_ms) / 1_000);
                    (attempts, now_ms) = (next, due_ms);
                }
                Verdict::Dropped(reason) => return (waits, reason),
                Verdict::Delivered => panic!("delivered"),
            }
        }
    }

    #[test]
    fn a_failing_function_is_tried_three_times() {
        assert_eq!(
            waits(Outcome::FunctionError),
            (vec![60, 120], "retries exhausted")
        );
    }

    #[test]
    fn a_refused_event_is_tried_until_it_is_six_hours_old() {
        let (waits, reason) = waits(Outcome::Refused);
        assert_eq!(reason, "event age exceeded");
        assert_eq!(waits[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        let age: u64 = waits.iter().sum();
        assert!((6 * 3600 - 300..=6 * 3600).contains(&age), "{age}");
    }

    #[test]
    fn an_answer_ends_it_and_a_missing_function_too() {
        let judge = |outcome| {
            judge(
                1_000,
                Attempts::default(),
                outcome,
                2_000,
                &Retries::default(),
            )
        };
        assert_eq!(judge(Outcome::Answered), Verdict::Delivered);
        assert_eq!(
            judge(Outcome::Gone),
            Verdict::Dropped("the function does not exist")
        );
    }

    #[test]
    fn refusals_between_failures_start_their_waits_anew() {
        let tired = Attempts {
            errors: 1,
            refusals: 9,
        };
        let verdict = judge(0, tired, Outcome::FunctionError, 0, &Retries::default());
        let attempts = Attempts {
            errors: 2,
            refusals: 0,
        };
        assert_eq!(
            verdict,
            Verdict::PutOff {
                attempts,
                due_ms: 120_000
            }
        );
        let many = Attempts {
            errors: 0,
            refusals: 4_000,
        };
        let verdict = judge(0, many, Outcome::Refused, 0, &Retries::default());
        assert!(matches!(
            verdict,
            Verdict::PutOff {
                due_ms: 300_000,
                ..
            }
        ));
    }
}
