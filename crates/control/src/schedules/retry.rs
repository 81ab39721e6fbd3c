//! Whether and when a firing that could not be handed on is tried again. Pure.

use std::time::Duration;

use super::settings::RetryPolicy;

/// Waits double from here on, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is tried again then, in milliseconds since 1970.
    Again(u64),
    /// It is given up, with AWS's name of what was exhausted.
    GivenUp(&'static str),
}

/// `attempts` have failed, the last of them now.
pub(crate) fn judge(policy: RetryPolicy, fired_ms: u64, attempts: u32, now_ms: u64) -> Verdict {
    if attempts > policy.maximum_retry_attempts {
        return Verdict::GivenUp("MaximumRetryAttempts");
    }
    let doubled = 1_u32
        .checked_shl(attempts.saturating_sub(1))
        .unwrap_or(u32::MAX);
    let wait = FIRST_WAIT.saturating_mul(doubled).min(LONGEST_WAIT);
    let retry_ms = now_ms.saturating_add(wait.as_millis() as u64);
    let until_ms = fired_ms.saturating_add(policy.longest().as_millis() as u64);
    match retry_ms <= until_ms {
        true => Verdict::Again(retry_ms),
        false => Verdict::GivenUp("MaximumEventAgeInSeconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits in seconds until it is given up, and why it is.
    fn waits(age: u32, retries: u32) -> (Vec<u64>, &'static str) {
        let policy = RetryPolicy {
            maximum_event_age_in_seconds: age,
            maximum_retry_attempts: retries,
        };
        let (mut now_ms, mut waits) = (5_000, Vec::new());
        for attempts in 1.. {
            match judge(policy, 5_000, attempts, now_ms) {
                Verdict::Again(retry_ms) => {
                    waits.push((retry_ms - now_ms) / 1_000);
                    now_ms = retry_ms;
                }
                Verdict::GivenUp(why) => return (waits, why),
            }
        }
        unreachable!("it is given up")
    }

    #[test]
    fn retries_and_age_are_both_bounds() {
        assert_eq!(waits(86_400, 0), (vec![], "MaximumRetryAttempts"));
        assert_eq!(waits(86_400, 3), (vec![1, 2, 4], "MaximumRetryAttempts"));
        assert_eq!(
            waits(60, 185),
            (vec![1, 2, 4, 8, 16], "MaximumEventAgeInSeconds")
        );
        let (waits, why) = waits(86_400, 185);
        assert_eq!(
            (waits.len(), waits[184], why),
            (185, 300, "MaximumRetryAttempts")
        );
    }
}
