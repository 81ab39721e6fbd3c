//! What is delivered when a schedule is looked at, and when it is looked at next. Pure.
//!
//! Mostly its time has just come. When the platform was down, or its clock was set forward, due times may
//! have passed: of those the last one is delivered, once, and only if it is not older than a firing may
//! be (`MaximumEventAgeInSeconds`); the ones before it are not made up for.

use std::time::Duration;

use super::timing::Timing;

/// What follows for a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The last due time that has passed.
    pub(crate) last: u64,
    /// Whether that is delivered now; it is too old otherwise.
    pub(crate) deliver: bool,
    /// Whether others before it had passed too, and are left out.
    pub(crate) left_out: bool,
    /// When it is due next.
    pub(crate) next: Option<u64>,
}

/// `due_ms` is what the schedule waited for, whose time to fire has come by `now_ms`.
pub(crate) fn plan(timing: &Timing, due_ms: u64, now_ms: u64, longest: Duration) -> Plan {
    let has_fired = |due: &u64| timing.fires_at(*due) <= now_ms;
    let last = match timing.after(due_ms).filter(has_fired) {
        Some(second) => last_fired(timing, second, now_ms),
        None => due_ms,
    };
    let age_ms = u128::from(now_ms.saturating_sub(timing.fires_at(last)));
    Plan {
        last,
        deliver: age_ms <= longest.as_millis(),
        left_out: last != due_ms,
        next: timing.after(last),
    }
}

/// The last due time from `from_ms` on, itself one that has fired, that has.
fn last_fired(timing: &Timing, from_ms: u64, now_ms: u64) -> u64 {
    let has_fired = |due: &u64| timing.fires_at(*due) <= now_ms;
    // Looked for in ever longer times up to now: there may be any number since `from_ms`.
    let mut back_ms = 60_000;
    let mut last = loop {
        let begin = now_ms.saturating_sub(back_ms).max(from_ms);
        if begin == from_ms {
            break from_ms;
        }
        if let Some(due) = timing.first_from(begin).filter(has_fired) {
            break due;
        }
        back_ms *= 2;
    };
    while let Some(next) = timing.after(last).filter(has_fired) {
        last = next;
    }
    last
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schedules::timing::zone;

    const HOUR_MS: u64 = 3_600_000;
    const DAY: Duration = Duration::from_secs(86_400);

    fn timing(expression: &str, window_minutes: u64) -> Timing {
        Timing {
            expression: expression.parse().unwrap(),
            zone: zone("UTC").unwrap(),
            anchor_ms: 0,
            start_ms: None,
            end_ms: None,
            window: Duration::from_secs(60 * window_minutes),
            seed: 7,
        }
    }

    #[test]
    fn on_time_is_delivered_and_the_next_is_waited_for() {
        let hourly = timing("rate(1 hour)", 0);
        assert_eq!(
            plan(&hourly, HOUR_MS, HOUR_MS + 5, DAY),
            Plan {
                last: HOUR_MS,
                deliver: true,
                left_out: false,
                next: Some(2 * HOUR_MS)
            }
        );
    }

    #[test]
    fn after_an_absence_the_last_is_delivered_once() {
        let hourly = timing("rate(1 hour)", 0);
        let plan = plan(&hourly, HOUR_MS, 100 * HOUR_MS + 5, DAY);
        assert_eq!((plan.deliver, plan.left_out), (true, true));
        assert_eq!(plan.last, 100 * HOUR_MS);
        assert_eq!(plan.next, Some(101 * HOUR_MS));
    }

    #[test]
    fn what_is_too_old_is_not_delivered() {
        let minute = Duration::from_secs(60);
        let once = timing("at(1970-01-02T00:00:00)", 0);
        let late = |ms| plan(&once, 24 * HOUR_MS, 24 * HOUR_MS + ms, minute);
        assert!(late(60_000).deliver);
        assert!(!late(60_001).deliver);
        assert_eq!(late(60_001).next, None);
        let daily = timing("cron(0 0 * * ? *)", 0);
        let plan = plan(&daily, 24 * HOUR_MS, 80 * HOUR_MS, minute);
        assert_eq!((plan.deliver, plan.last), (false, 72 * HOUR_MS));
        assert_eq!(plan.next, Some(96 * HOUR_MS));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The last that has fired is what a walk over all of them finds, and what comes next has not.
        #[test]
        fn the_last_is_the_last(minutes in 1_u64..4_000, window in 0_u64..90, which in 0_usize..3) {
            let expression = ["rate(7 minutes)", "cron(*/5 0-11 * * ? *)", "cron(3 4 ? * * *)"][which];
            let timing = timing(expression, window);
            let first = timing.first_from(1).unwrap();
            let now = timing.fires_at(first) + minutes * 60_000;
            let walked = std::iter::successors(Some(first), |due| timing.after(*due))
                .take_while(|due| timing.fires_at(*due) <= now)
                .last()
                .unwrap();
            let plan = plan(&timing, first, now, DAY * 365);
            prop_assert_eq!((plan.deliver, plan.last), (true, walked));
            prop_assert_eq!(plan.left_out, walked != first);
            prop_assert!(timing.fires_at(plan.next.unwrap()) > now);
        }
    }
}
