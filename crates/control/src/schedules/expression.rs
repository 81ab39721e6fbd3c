//! Schedule expressions: `at(…)`, `rate(…)` and `cron(…)` as EventBridge Scheduler reads them ("Schedule
//! types in EventBridge Scheduler", user guide). Pure.

mod cron;

use std::time::Duration;

use jiff::civil::DateTime;

pub(super) use cron::Cron;

/// When a schedule is due, before time zone and dates are applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression {
    /// Once, at that local time.
    At(DateTime),
    /// Again and again after that time.
    Rate(Duration),
    /// At every local time that matches.
    Cron(Box<Cron>),
}

/// The text is no schedule expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invalid;

impl std::str::FromStr for Expression {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let inner = |kind: &str| {
            text.strip_prefix(kind)?
                .strip_prefix('(')?
                .strip_suffix(')')
        };
        if let Some(time) = inner("at") {
            at(time).map(Expression::At)
        } else if let Some(rate) = inner("rate") {
            every(rate).map(Expression::Rate)
        } else if let Some(fields) = inner("cron") {
            fields.parse().map(Box::new).map(Expression::Cron)
        } else {
            Err(Invalid)
        }
    }
}

/// `yyyy-mm-ddThh:mm:ss`, to the letter.
fn at(text: &str) -> Result<DateTime, Invalid> {
    let shape = "0000-00-00T00:00:00";
    let same = |(given, wanted): (u8, u8)| match wanted {
        b'0' => given.is_ascii_digit(),
        _ => given == wanted,
    };
    if text.len() != shape.len() || !text.bytes().zip(shape.bytes()).all(same) {
        return Err(Invalid);
    }
    text.parse().map_err(|_| Invalid)
}

/// `value unit`: a positive number and minutes, hours or days, singular or plural.
fn every(text: &str) -> Result<Duration, Invalid> {
    let (value, unit) = text.split_once(' ').ok_or(Invalid)?;
    let unit_s = match unit {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3_600,
        "day" | "days" => 86_400,
        _ => return Err(Invalid),
    };
    if !value.bytes().all(|it| it.is_ascii_digit()) {
        return Err(Invalid);
    }
    let value: u32 = value.parse().map_err(|_| Invalid)?;
    match value {
        0 => Err(Invalid),
        _ => Ok(Duration::from_secs(u64::from(value) * unit_s)),
    }
}

#[cfg(test)]
mod tests;
