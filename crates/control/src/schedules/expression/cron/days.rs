//! The two fields for days, and what only they know: `L`, `W` and `#`. Each of these stands alone.

use jiff::civil::{Date, Weekday};

use super::super::Invalid;
use super::values::{Field, Values, number};

const DAY_OF_MONTH: Field = Field::numbers(1, 31);
/// Counted from Sunday, as AWS counts.
const DAY_OF_WEEK: Field = Field {
    first: 1,
    last: 7,
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
};

/// The field day-of-month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DayOfMonth {
    Listed(Values),
    /// `L`: the last day of the month; `L-n`: n days before it.
    Last(u16),
    /// `LW`: the last day from Monday to Friday.
    LastWeekday,
    /// `nW`: the day from Monday to Friday that is nearest to the n-th, within the month.
    NearestWeekday(u16),
}

/// The field day-of-week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DayOfWeek {
    Listed(Values),
    /// `nL`: the last such day of the month.
    Last(u16),
    /// `n#k`: the k-th such day of the month.
    Nth(u16, u16),
}

impl std::str::FromStr for DayOfMonth {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.eq_ignore_ascii_case("L") {
            return Ok(Self::Last(0));
        }
        if text.eq_ignore_ascii_case("LW") {
            return Ok(Self::LastWeekday);
        }
        if let Some(before) = text.strip_prefix("L-") {
            return match number(before)? {
                before @ 0..=30 => Ok(Self::Last(before)),
                _ => Err(Invalid),
            };
        }
        if let Some(day) = text.strip_suffix(['W', 'w']) {
            return DAY_OF_MONTH.value(day).map(Self::NearestWeekday);
        }
        DAY_OF_MONTH.parse(text).map(Self::Listed)
    }
}

impl std::str::FromStr for DayOfWeek {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        // The week's last day is Saturday.
        if text.eq_ignore_ascii_case("L") {
            return DAY_OF_WEEK.parse("7").map(Self::Listed);
        }
        if let Some((day, nth)) = text.split_once('#') {
            return match number(nth)? {
                nth @ 1..=5 => Ok(Self::Nth(DAY_OF_WEEK.value(day)?, nth)),
                _ => Err(Invalid),
            };
        }
        if let Some(day) = text.strip_suffix(['L', 'l']) {
            return DAY_OF_WEEK.value(day).map(Self::Last);
        }
        DAY_OF_WEEK.parse(text).map(Self::Listed)
    }
}

impl DayOfMonth {
    pub(super) fn matches(&self, day: Date) -> bool {
        let (this, last) = (day.day() as u16, day.days_in_month() as u16);
        match self {
            Self::Listed(days) => days.contains(this),
            Self::Last(before) => this + before == last,
            Self::LastWeekday => this == nearest_weekday(day, last),
            Self::NearestWeekday(wanted) => {
                *wanted <= last && this == nearest_weekday(day, *wanted)
            }
        }
    }
}

impl DayOfWeek {
    pub(super) fn matches(&self, day: Date) -> bool {
        let this = number_of(day.weekday());
        match self {
            Self::Listed(days) => days.contains(this),
            Self::Last(wanted) => this == *wanted && day.day() + 7 > day.days_in_month(),
            Self::Nth(wanted, nth) => this == *wanted && (day.day() as u16 - 1) / 7 + 1 == *nth,
        }
    }
}

fn number_of(day: Weekday) -> u16 {
    day.to_sunday_one_offset() as u16
}

/// The day from Monday to Friday that is nearest to day `wanted` of the month, without leaving the month.
fn nearest_weekday(month: Date, wanted: u16) -> u16 {
    let last = month.days_in_month() as u16;
    let first_of_month = number_of(month.first_of_month().weekday());
    // Sunday is 1, Saturday is 7.
    match (first_of_month + wanted - 2) % 7 + 1 {
        7 if wanted == 1 => 3,
        7 => wanted - 1,
        1 if wanted == last => wanted - 2,
        1 => wanted + 1,
        _ => wanted,
    }
}
