//! Whether and when an asynchronous event is tried again. Pure. The rules are Lambda's: two more attempts
//! when the function fails, unless it wants fewer; what could not be run is tried again, less and less often,
//! until it is too old.

use std::time::Duration;

use super::record::Condition;
use super::schedule::Rests;
use crate::catalog::event_invoke::EventInvoke;
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
    /// The function has called itself too often, through whatever.
    Looped,
    /// The event was too old before it was tried.
    Expired,
    /// The function reserves no concurrency at all, by which it is switched off.
    Disabled,
    /// The platform cannot work with the event.
    Unworkable,
}

/// What becomes of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    PutOff { attempts: Attempts, due_ms: u64 },
    Ended { attempts: Attempts, reason: Reason },
}

/// Why an event ended: a label of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reason {
    Delivered,
    RetriesExhausted,
    EventAgeExceeded,
    FunctionGone,
    RecursiveLoop,
    ZeroReservedConcurrency,
    Unworkable,
}

impl Reason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Reason::Delivered => "delivered",
            Reason::RetriesExhausted => "retries_exhausted",
            Reason::EventAgeExceeded => "event_age_exceeded",
            Reason::FunctionGone => "function_gone",
            Reason::RecursiveLoop => "recursive_loop",
            Reason::ZeroReservedConcurrency => "zero_reserved_concurrency",
            Reason::Unworkable => "unworkable",
        }
    }

    /// What a record of the event says.
    pub(super) fn condition(self) -> Condition {
        match self {
            Reason::Delivered => Condition::Success,
            Reason::RetriesExhausted | Reason::FunctionGone | Reason::Unworkable => {
                Condition::RetriesExhausted
            }
            Reason::EventAgeExceeded => Condition::EventAgeExceeded,
            Reason::RecursiveLoop => Condition::RecursiveInvocation,
            Reason::ZeroReservedConcurrency => Condition::ZeroReservedConcurrency,
        }
    }
}

/// When an event is too old, for its function and the platform.
pub(super) fn expires_ms(queued_ms: u64, settings: &EventInvoke, retries: &Retries) -> u64 {
    let own = settings.maximum_age_s.map(Duration::from_secs);
    let age = own.map_or(retries.max_age, |own| own.min(retries.max_age));
    queued_ms.saturating_add(millis(age))
}

/// `queued_ms` is when the event was accepted, `attempts` what is behind it without this one.
pub(super) fn judge(
    queued_ms: u64,
    mut attempts: Attempts,
    settings: &EventInvoke,
    outcome: Outcome,
    now_ms: u64,
    retries: &Retries,
) -> Verdict {
    let ended = |attempts, reason| Verdict::Ended { attempts, reason };
    let wait_ms = match outcome {
        Outcome::Answered => {
            attempts.runs += 1;
            return ended(attempts, Reason::Delivered);
        }
        // One more that was begun, as AWS counts it.
        Outcome::Gone => {
            attempts.runs += 1;
            return ended(attempts, Reason::FunctionGone);
        }
        Outcome::Looped => return ended(attempts, Reason::RecursiveLoop),
        // As on AWS it is not waited for that this changes.
        Outcome::Disabled => return ended(attempts, Reason::ZeroReservedConcurrency),
        Outcome::Expired => return ended(attempts, Reason::EventAgeExceeded),
        Outcome::Unworkable => return ended(attempts, Reason::Unworkable),
        Outcome::FunctionError => {
            let most = settings.maximum_retries.unwrap_or(u32::MAX);
            let waits = retries.function_errors.get(attempts.runs as usize);
            let wait = waits.filter(|_| attempts.runs < most);
            attempts = Attempts {
                runs: attempts.runs + 1,
                refusals: 0,
            };
            let Some(wait) = wait else {
                return ended(attempts, Reason::RetriesExhausted);
            };
            millis(*wait)
        }
        Outcome::Refused => {
            attempts.refusals = attempts.refusals.saturating_add(1);
            rests(retries).after(attempts.refusals - 1)
        }
    };
    let due_ms = now_ms.saturating_add(wait_ms);
    // What would be too old by then is given up now, as AWS does.
    if due_ms > expires_ms(queued_ms, settings, retries) {
        return ended(attempts, Reason::EventAgeExceeded);
    }
    Verdict::PutOff { attempts, due_ms }
}

/// How long what refuses is left alone.
pub(super) fn rests(retries: &Retries) -> Rests {
    Rests {
        first_ms: millis(retries.refusal_first),
        longest_ms: millis(retries.refusal_longest),
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
