//! What AWS accepts and refuses, and cron against a reference that looks at every minute.

use jiff::ToSpan;
use jiff::civil::date;
use proptest::prelude::*;

use super::*;

fn cron(text: &str) -> Cron {
    text.parse()
        .unwrap_or_else(|Invalid| panic!("'{text}' does not parse"))
}

#[test]
fn what_aws_has_been_seen_to_refuse_is_refused() {
    for text in [
        "cron(0 1 * * * *)",
        "cron(7 20 * * NOT *)",
        "cron(INVALID)",
        "cron(0 dummy ? * MON-FRI *)",
        "cron(71 8 1 * ? *)",
        "cron()",
        "rate(10 seconds)",
        "rate(10 years)",
        "rate()",
        "rate(10)",
        "rate(10 minutess)",
        "rate(foo minutes)",
        "rate(-10 minutes)",
        "rate( 10 minutes )",
        " rate(10 minutes)",
        "at(2021-12-31T23:59:59Z)",
        "at(2021-12-31)",
    ] {
        assert_eq!(text.parse::<Expression>(), Err(Invalid), "{text}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for text in [
        "rate(0 minutes)",
        "rate(+1 minutes)",
        "rate(99999999999 minutes)",
        "at(2026-02-30T00:00:00)",
        "at(2026-01-01t00:00:00)",
        "cron(0 0 ? * ? *)",
        "cron(0 0 1 * 1 *)",
        "cron(0 0 0 * ? *)",
        "cron(0 0 32 * ? *)",
        "cron(0 24 * * ? *)",
        "cron(60 0 * * ? *)",
        "cron(*/0 0 * * ? *)",
        "cron(*/60 0 * * ? *)",
        "cron(1,,2 0 * * ? *)",
        "cron(1- 0 * * ? *)",
        "cron(0 0 * 13 ? *)",
        "cron(0 0 ? * 8 *)",
        "cron(0 0 ? * 2#6 *)",
        "cron(0 0 ? * 2#0 *)",
        "cron(0 0 0W * ? *)",
        "cron(0 0 L,1 * ? *)",
        "cron(0 0 * * ? 1969)",
        "cron(0 0 * * ? 2200)",
        "cron(0 0 * * ?)",
        "cron(? 0 * * ? *)",
        "every(1 minute)",
        "",
    ] {
        assert_eq!(text.parse::<Expression>(), Err(Invalid), "{text}");
    }
}

#[test]
fn rates_and_times_are_read() {
    let rate = |seconds| Ok(Expression::Rate(Duration::from_secs(seconds)));
    assert_eq!("rate(1 minute)".parse(), rate(60));
    assert_eq!("rate(2 minute)".parse(), rate(120));
    assert_eq!("rate(1 hours)".parse(), rate(3_600));
    assert_eq!("rate(365 days)".parse(), rate(365 * 86_400));
    let at = date(2026, 7, 27).at(1, 2, 3, 0);
    assert_eq!("at(2026-07-27T01:02:03)".parse(), Ok(Expression::At(at)));
}

/// Days of a month on which `fields` matches, from the first minute of it.
fn days(fields: &str, year: i16, month: i8) -> Vec<i8> {
    let cron = cron(fields);
    let mut from = date(year, month, 1).at(0, 0, 0, 0);
    let mut days = Vec::new();
    while let Some(found) = cron.first_from(from).filter(|it| it.month() == month) {
        days.push(found.day());
        from = found.date().tomorrow().unwrap().at(0, 0, 0, 0);
        if from.month() != month {
            break;
        }
    }
    days
}

#[test]
fn days_are_found_by_their_place_in_the_month() {
    // August 2026 begins on a Saturday and ends on a Monday.
    assert_eq!(days("0 10 L * ? *", 2026, 8), [31]);
    assert_eq!(days("0 10 L-3 * ? *", 2026, 8), [28]);
    assert_eq!(days("0 10 LW * ? *", 2026, 8), [31]);
    assert_eq!(days("0 10 1W * ? *", 2026, 8), [3]);
    assert_eq!(days("0 10 15W * ? *", 2026, 8), [14]);
    assert_eq!(days("0 10 16W * ? *", 2026, 8), [17]);
    // May 2026 ends on a Sunday.
    assert_eq!(days("0 10 31W * ? *", 2026, 5), [29]);
    assert_eq!(days("0 10 LW * ? *", 2026, 5), [29]);
    assert_eq!(days("0 10 31W * ? *", 2026, 6), Vec::<i8>::new());
    assert_eq!(days("0 10 ? * 6L *", 2026, 8), [28]);
    assert_eq!(days("0 10 ? * FRIL *", 2026, 8), [28]);
    assert_eq!(days("0 10 ? * L *", 2026, 8), [1, 8, 15, 22, 29]);
    assert_eq!(days("0 10 ? * 3#2 *", 2026, 8), [11]);
    assert_eq!(days("0 10 ? * TUE#2 *", 2026, 8), [11]);
    assert_eq!(days("0 10 ? * SAT#5 *", 2026, 8), [29]);
    assert_eq!(days("0 10 ? * THU#5 *", 2026, 8), Vec::<i8>::new());
    assert_eq!(days("0 10 ? * FRI-MON *", 2026, 8)[..5], [1, 2, 3, 7, 8]);
    assert_eq!(days("0 10 29 feb ? *", 2028, 2), [29]);
    assert_eq!(days("0 10 1/10 * ? *", 2026, 8), [1, 11, 21, 31]);
    assert_eq!(days("0 10 10-20/5,30 * ? *", 2026, 8), [10, 15, 20, 30]);
}

#[test]
fn what_never_comes_is_not_waited_for() {
    let from = date(2026, 1, 1).at(0, 0, 0, 0);
    assert_eq!(cron("0 0 30 2 ? *").first_from(from), None);
    assert_eq!(cron("0 0 1 1 ? 2025").first_from(from), None);
    assert_eq!(
        cron("0 0 29 2 ? *").first_from(from),
        Some(date(2028, 2, 29).at(0, 0, 0, 0))
    );
    let end = date(2199, 12, 31).at(23, 59, 0, 0);
    assert_eq!(cron("* * * * ? *").first_from(end), Some(end));
    assert_eq!(cron("* * * * ? *").first_from(end + 1.minute()), None);
}

/// A field of a reference: the text, and whether a number matches it.
#[derive(Debug, Clone)]
struct Part {
    text: String,
    values: Vec<u16>,
}

fn part(first: u16, last: u16) -> impl Strategy<Value = Part> {
    let item = (first..=last, first..=last, 1..=last.min(9)).prop_flat_map(move |(a, b, step)| {
        let (low, high) = (a.min(b), a.max(b));
        let listed = |text: String, values: Vec<u16>| Just(Part { text, values });
        prop_oneof![
            listed("*".into(), (first..=last).collect()),
            listed(a.to_string(), vec![a]),
            listed(format!("{low}-{high}"), (low..=high).collect()),
            listed(
                format!("*/{step}"),
                (first..=last).step_by(step.into()).collect()
            ),
            listed(
                format!("{a}/{step}"),
                (a..=last).step_by(step.into()).collect()
            ),
            listed(
                format!("{low}-{high}/{step}"),
                (low..=high).step_by(step.into()).collect()
            ),
        ]
    });
    prop::collection::vec(item, 1..3).prop_map(|items| Part {
        text: items
            .iter()
            .map(|it| it.text.as_str())
            .collect::<Vec<_>>()
            .join(","),
        values: items.into_iter().flat_map(|it| it.values).collect(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// The next time is the one that a walk from minute to minute finds.
    #[test]
    fn the_next_time_is_the_first_that_matches(
        minutes in part(0, 59), hours in part(0, 23), months in part(1, 12),
        days in part(1, 31), weekdays in part(1, 7), by_week in any::<bool>(),
        start in 0_i64..40_000_000,
    ) {
        let (of_month, of_week) = match by_week {
            true => ("?", weekdays.text.as_str()),
            false => (days.text.as_str(), "?"),
        };
        let text = format!("{} {} {of_month} {} {of_week} *", minutes.text, hours.text, months.text);
        let from = date(2026, 1, 1).at(0, 0, 0, 0) + start.seconds();
        let found = cron(&text).first_from(from);
        let mut time = from;
        if time.second() != 0 {
            time = time + (60 - i64::from(time.second())).seconds();
        }
        let end = time + 40.days();
        while time < end {
            let day = match by_week {
                true => weekdays.values.contains(&(time.weekday().to_sunday_one_offset() as u16)),
                false => days.values.contains(&(time.day() as u16)),
            };
            if !day || !months.values.contains(&(time.month() as u16)) {
                time = time.date().tomorrow().unwrap().at(0, 0, 0, 0);
                continue;
            }
            let (hour, minute) = (time.hour() as u16, time.minute() as u16);
            if hours.values.contains(&hour) && minutes.values.contains(&minute) {
                break;
            }
            time += 1.minute();
        }
        match time < end {
            true => prop_assert_eq!(found, Some(time), "{}", text),
            false => prop_assert!(found.is_none_or(|it| it >= end), "{}: {:?}", text, found),
        }
    }

    #[test]
    fn garbage_is_survived(text in "(at|rate|cron)?\\(?[0-9A-Za-z*/#?,LW: -]{0,40}\\)?") {
        if let Ok(Expression::Cron(cron)) = text.parse() {
            let _ = cron.first_from(date(2026, 1, 1).at(0, 0, 0, 0));
        }
    }
}
