//! What the pool remembers of a version's last starts, and of why none of its instances was idle.

use std::collections::VecDeque;
use std::time::Duration;

use pilotlight_model::node::{WhyReason, WhyStart};
use pilotlight_model::start::{Instant, StartKind};
use pilotlight_policy::action::Because;

/// Starts that are remembered of each version. About 70 bytes each.
const MOST: usize = 8;

/// A version's last starts.
#[derive(Debug, Default)]
pub(super) struct History {
    starts: VecDeque<Start>,
    /// Requests since the last of them that found an idle instance.
    warm: u64,
    /// How the last instance that has ended did, and when.
    ended: Option<(Instant, End)>,
}

#[derive(Debug)]
struct Start {
    at: Instant,
    kind: StartKind,
    waited: Duration,
    warm_before: u64,
    absence: Absence,
}

/// How an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The policy has ended it, for that reason.
    Reclaimed(&'static str),
    /// The version has changed.
    Changed,
    /// By itself.
    Itself,
}

/// Why a request found no idle instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    Asked,
    First,
    Burst { busy: u32, starting: u32 },
    After(Instant, End),
}

impl End {
    /// The policy has ended an instance because of that; without a reason, to keep less of it.
    pub(super) fn reclaimed(because: Option<Because>) -> Self {
        Self::Reclaimed(match because {
            Some(Because::Expired) => "expired",
            Some(Because::Pressure) => "pressure",
            Some(Because::Worth) | None => "worth",
            Some(Because::Forecast(_)) => "forecast",
        })
    }
}

impl History {
    /// Why a request finds no idle instance now, when so many others are there.
    pub(super) fn absence(&self, asked: bool, busy: u32, starting: u32) -> Absence {
        match self.ended {
            _ if asked => Absence::Asked,
            _ if busy + starting > 0 => Absence::Burst { busy, starting },
            Some((at, end)) => Absence::After(at, end),
            None => Absence::First,
        }
    }

    /// A request has found an idle instance.
    pub(super) fn warm(&mut self) {
        self.warm += 1;
    }

    /// A request that came then and found none got one of that kind now.
    pub(super) fn start(&mut self, at: Instant, now: Instant, kind: StartKind, absence: Absence) {
        if self.starts.len() >= MOST {
            self.starts.pop_front();
        }
        self.starts.push_back(Start {
            at,
            kind,
            waited: now.since(at),
            warm_before: std::mem::take(&mut self.warm),
            absence,
        });
    }

    /// An instance has ended.
    pub(super) fn ended(&mut self, now: Instant, end: End) {
        self.ended = Some((now, end));
    }

    /// Warm requests since the last start, and the last starts, newest first. `now` is `now_ms` in milliseconds
    /// since 1970.
    pub(super) fn told(&self, now: Instant, now_ms: u64) -> (u64, Vec<WhyStart>) {
        let told = |start: &Start| WhyStart {
            at_ms: now_ms.saturating_sub(ms(now.since(start.at))),
            kind: start.kind,
            waited_us: u64::try_from(start.waited.as_micros()).unwrap_or(u64::MAX),
            warm_before: start.warm_before,
            reason: start.absence.told(start.at),
        };
        (self.warm, self.starts.iter().rev().map(told).collect())
    }
}

impl Absence {
    /// For people, of a request that came then.
    fn told(self, request: Instant) -> WhyReason {
        match self {
            Self::Asked => WhyReason::Asked,
            Self::First => WhyReason::First,
            Self::Burst { busy, starting } => WhyReason::Burst { busy, starting },
            Self::After(at, end) => {
                let before_ms = ms(request.since(at));
                match end {
                    End::Reclaimed(because) => WhyReason::Reclaimed {
                        before_ms,
                        because: because.to_owned(),
                    },
                    End::Changed => WhyReason::Changed { before_ms },
                    End::Itself => WhyReason::Ended { before_ms },
                }
            }
        }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_last_starts_are_told_newest_first_with_what_was_warm_between() {
        let mut history = History::default();
        let first = history.absence(false, 0, 0);
        history.start(
            Instant(SECOND),
            Instant(2 * SECOND),
            StartKind::Booted,
            first,
        );
        history.warm();
        history.warm();
        history.ended(Instant(4 * SECOND), End::reclaimed(Some(Because::Expired)));
        let second = history.absence(false, 0, 0);
        history.start(
            Instant(6 * SECOND),
            Instant(6 * SECOND),
            StartKind::Spare,
            second,
        );
        history.warm();
        let (warm, starts) = history.told(Instant(10 * SECOND), 100_000);
        assert_eq!((warm, starts.len()), (1, 2));
        let reason = WhyReason::Reclaimed {
            before_ms: 2_000,
            because: "expired".to_owned(),
        };
        assert_eq!((starts[0].at_ms, &starts[0].reason), (96_000, &reason));
        assert_eq!(
            (starts[0].kind, starts[0].warm_before),
            (StartKind::Spare, 2)
        );
        assert_eq!(
            (starts[1].waited_us, &starts[1].reason),
            (1_000_000, &WhyReason::First)
        );
    }

    #[test]
    fn what_was_in_use_comes_before_what_has_ended_and_what_was_asked_for_before_all() {
        let mut history = History::default();
        history.ended(Instant(0), End::Itself);
        let burst = Absence::Burst {
            busy: 2,
            starting: 1,
        };
        assert_eq!(history.absence(false, 2, 1), burst);
        assert_eq!(history.absence(true, 2, 1), Absence::Asked);
        let after = Absence::After(Instant(0), End::Itself);
        assert_eq!(history.absence(false, 0, 0), after);
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let mut history = History::default();
        for second in 0..100 {
            let at = Instant(second * SECOND);
            history.start(at, at, StartKind::Forked, Absence::First);
        }
        let (_, starts) = history.told(Instant(99 * SECOND), 99_000);
        assert_eq!((starts.len(), starts[0].at_ms), (MOST, 99_000));
    }
}
