//! When a schedule is due: its expression in its time zone, within its dates. Pure.
//!
//! A local time that a change of the clocks leaves out is skipped, and one that comes twice counts once,
//! the first time ("Daylight saving time", EventBridge Scheduler user guide). A single `at(…)` that is
//! left out is due when the clocks have changed. Days of a rate are 24 hours.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::expression::Expression;

/// How far back `at(…)` may lie when the schedule is made: AWS's precision is a minute.
const PRECISION_MS: u64 = 60_000;

/// What decides when a schedule is due and when it fires. Times are milliseconds since 1970.
#[derive(Debug, Clone)]
pub(crate) struct Timing {
    pub(crate) expression: Expression,
    pub(crate) zone: TimeZone,
    /// A rate counts from here where there is no start date.
    pub(crate) anchor_ms: u64,
    pub(crate) start_ms: Option<u64>,
    pub(crate) end_ms: Option<u64>,
    /// Length of the flexible window; zero where there is none.
    pub(crate) window: Duration,
    /// Spreads firings over their windows, differently for each schedule and always alike.
    pub(crate) seed: u64,
}

impl Timing {
    /// The first due time of a schedule that is made or changed now.
    pub(crate) fn first(&self, now_ms: u64) -> Option<u64> {
        match self.expression {
            Expression::At(_) => self.first_from(now_ms.saturating_sub(PRECISION_MS)),
            _ => self.first_from(now_ms),
        }
    }

    /// The due time after that one.
    pub(crate) fn after(&self, due_ms: u64) -> Option<u64> {
        self.first_from(due_ms + 1)
    }

    /// The first due time that is not before `from_ms`.
    pub(crate) fn first_from(&self, from_ms: u64) -> Option<u64> {
        if let Expression::At(time) = self.expression {
            // Dates do not apply to a single time.
            return self.single(time).filter(|due| *due >= from_ms);
        }
        let from_ms = from_ms.max(self.start_ms.unwrap_or(0));
        let due_ms = match &self.expression {
            Expression::Rate(every) => {
                let anchor = self.start_ms.unwrap_or(self.anchor_ms);
                let every = u64::try_from(every.as_millis()).ok()?;
                let passed = from_ms.saturating_sub(anchor).div_ceil(every);
                anchor.checked_add(passed.checked_mul(every)?)
            }
            _ => self.first_matching(from_ms),
        }?;
        (self.end_ms.is_none_or(|end| due_ms <= end)).then_some(due_ms)
    }

    /// When what is due then fires: somewhere in its window, before the next is due.
    pub(crate) fn fires_at(&self, due_ms: u64) -> u64 {
        let mut window = self.window.as_millis() as u64;
        if window == 0 {
            return due_ms;
        }
        if let Some(next) = self.after(due_ms) {
            window = window.min(next - due_ms);
        }
        due_ms + scramble(self.seed ^ due_ms) % window.max(1)
    }

    fn first_matching(&self, from_ms: u64) -> Option<u64> {
        let Expression::Cron(cron) = &self.expression else {
            return None;
        };
        let from = Timestamp::from_millisecond(i64::try_from(from_ms).ok()?).ok()?;
        let mut local = from.to_zoned(self.zone.clone()).datetime();
        loop {
            local = cron.first_from(local)?;
            if let Some(due_ms) = self.once(local)
                // Of a local time that comes twice the first one may be over.
                && due_ms >= from_ms
            {
                return Some(due_ms);
            }
            local = local.checked_add(jiff::Span::new().minutes(1)).ok()?;
        }
    }

    /// The moment of a local time; none if the clocks skip it, the first if they show it twice.
    fn once(&self, local: DateTime) -> Option<u64> {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        let offset = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Fold { before, .. } => before,
            AmbiguousOffset::Gap { .. } => return None,
        };
        unix_ms(offset.to_timestamp(local).ok()?)
    }

    fn single(&self, local: DateTime) -> Option<u64> {
        let moment = self.zone.to_ambiguous_timestamp(local).compatible().ok()?;
        unix_ms(moment)
    }
}

/// The time zone of that name in the IANA database.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

fn unix_ms(moment: Timestamp) -> Option<u64> {
    u64::try_from(moment.as_millisecond()).ok()
}

/// Mixes the bits of a number (the finalizer of SplitMix64; Steele, Lea, Flood 2014).
fn scramble(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests;
