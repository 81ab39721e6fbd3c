//! `cron(minutes hours day-of-month month day-of-week year)`: which local times it matches. Exactly one of
//! the two fields for days is `?`.

mod days;
mod values;

use jiff::civil::{Date, DateTime, Time};

use super::Invalid;
use days::{DayOfMonth, DayOfWeek};
use values::{Field, Values};

const MINUTE: Field = Field::numbers(0, 59);
const HOUR: Field = Field::numbers(0, 23);
const MONTH: Field = Field {
    first: 1,
    last: 12,
    names: &[
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ],
};
/// AWS's bounds.
const YEAR: Field = Field::numbers(1970, 2199);

/// A parsed cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cron {
    minutes: Values,
    hours: Values,
    days: Days,
    months: Values,
    years: Values,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    OfMonth(DayOfMonth),
    OfWeek(DayOfWeek),
}

impl std::str::FromStr for Cron {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, of_month, months, of_week, years] = fields[..] else {
            return Err(Invalid);
        };
        Ok(Self {
            minutes: MINUTE.parse(minutes)?,
            hours: HOUR.parse(hours)?,
            days: match (of_month, of_week) {
                ("?", "?") => return Err(Invalid),
                (of_month, "?") => Days::OfMonth(of_month.parse()?),
                ("?", of_week) => Days::OfWeek(of_week.parse()?),
                _ => return Err(Invalid),
            },
            months: MONTH.parse(months)?,
            years: YEAR.parse(years)?,
        })
    }
}

impl Cron {
    /// The first matching local time that is not before `from`.
    pub(crate) fn first_from(&self, from: DateTime) -> Option<DateTime> {
        // Times are whole minutes: one that has begun is over.
        let from = match from.time().second() == 0 && from.time().subsec_nanosecond() == 0 {
            true => from,
            false => {
                let minute = jiff::Span::new().seconds(60 - i64::from(from.time().second()));
                from.checked_add(minute).ok()?
            }
        };
        if let Some(time) = self.first_time(from.time())
            && self.matches_day(from.date())
        {
            return Some(from.date().to_datetime(time));
        }
        let day = self.first_day_after(from.date())?;
        Some(day.to_datetime(self.first_time(Time::midnight())?))
    }

    /// The first matching time of a day that is not before `from`, to the minute.
    fn first_time(&self, from: Time) -> Option<Time> {
        let at = |hour: u16, minute: u16| Time::new(hour as i8, minute as i8, 0, 0).ok();
        let (hour, minute) = (from.hour() as u16, from.minute() as u16);
        if self.hours.contains(hour)
            && let Some(minute) = self.minutes.first_from(minute)
        {
            return at(hour, minute);
        }
        at(
            self.hours.first_from(hour + 1)?,
            self.minutes.first_from(0)?,
        )
    }

    fn first_day_after(&self, day: Date) -> Option<Date> {
        let mut day = day.tomorrow().ok()?;
        loop {
            let year = self.years.first_from(day.year() as u16)?;
            if year != day.year() as u16 {
                day = Date::new(year as i16, 1, 1).ok()?;
            }
            let Some(month) = self.months.first_from(day.month() as u16) else {
                day = Date::new(day.year() + 1, 1, 1).ok()?;
                continue;
            };
            if month != day.month() as u16 {
                day = Date::new(day.year(), month as i8, 1).ok()?;
            }
            // The month's days from this one on.
            while day.month() as u16 == month {
                if self.matches_day_of_month(day) {
                    return Some(day);
                }
                day = day.tomorrow().ok()?;
            }
        }
    }

    fn matches_day(&self, day: Date) -> bool {
        self.years.contains(day.year() as u16)
            && self.months.contains(day.month() as u16)
            && self.matches_day_of_month(day)
    }

    fn matches_day_of_month(&self, day: Date) -> bool {
        match &self.days {
            Days::OfMonth(days) => days.matches(day),
            Days::OfWeek(days) => days.matches(day),
        }
    }
}
