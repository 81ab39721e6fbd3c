//! Time zones, dates and windows, on days when clocks change.

use super::*;

fn timing(expression: &str, zone_name: &str) -> Timing {
    Timing {
        expression: expression.parse().unwrap(),
        zone: zone(zone_name).unwrap(),
        anchor_ms: 0,
        start_ms: None,
        end_ms: None,
        window: Duration::ZERO,
        seed: 1,
    }
}

fn utc(text: &str) -> u64 {
    unix_ms(text.parse().unwrap()).unwrap()
}

/// The next due times, in UTC.
fn due(timing: &Timing, from: &str, count: usize) -> Vec<String> {
    let first = timing.first_from(utc(from));
    std::iter::successors(first, |due| timing.after(*due))
        .take(count)
        .map(|due| Timestamp::from_millisecond(due as i64).unwrap().to_string())
        .collect()
}

#[test]
fn a_local_time_that_is_left_out_is_skipped() {
    // New York goes from 02:00 to 03:00 on 8 March 2026.
    let daily = timing("cron(30 2 * * ? *)", "America/New_York");
    assert_eq!(
        due(&daily, "2026-03-07T00:00:00Z", 3),
        [
            "2026-03-07T07:30:00Z",
            "2026-03-09T06:30:00Z",
            "2026-03-10T06:30:00Z"
        ]
    );
    let once = timing("at(2026-03-08T02:30:00)", "America/New_York");
    assert_eq!(
        due(&once, "2026-03-01T00:00:00Z", 2),
        ["2026-03-08T07:30:00Z"]
    );
}

#[test]
fn a_local_time_that_comes_twice_counts_once() {
    // New York goes from 02:00 back to 01:00 on 1 November 2026.
    let daily = timing("cron(30 1 * * ? *)", "America/New_York");
    assert_eq!(
        due(&daily, "2026-10-31T00:00:00Z", 3),
        [
            "2026-10-31T05:30:00Z",
            "2026-11-01T05:30:00Z",
            "2026-11-02T06:30:00Z"
        ]
    );
    // Asked in the second of the two hours.
    assert_eq!(
        due(&daily, "2026-11-01T06:10:00Z", 1),
        ["2026-11-02T06:30:00Z"]
    );
    let half_hours = timing("cron(0/30 * * * ? *)", "America/New_York");
    assert_eq!(
        due(&half_hours, "2026-11-01T05:00:00Z", 4),
        [
            "2026-11-01T05:00:00Z",
            "2026-11-01T05:30:00Z",
            "2026-11-01T07:00:00Z",
            "2026-11-01T07:30:00Z"
        ]
    );
}

#[test]
fn a_rate_of_days_is_of_24_hours() {
    let mut daily = timing("rate(1 day)", "America/New_York");
    daily.anchor_ms = utc("2026-03-07T07:30:00Z");
    assert_eq!(
        due(&daily, "2026-03-07T00:00:00Z", 3),
        [
            "2026-03-07T07:30:00Z",
            "2026-03-08T07:30:00Z",
            "2026-03-09T07:30:00Z"
        ]
    );
}

#[test]
fn dates_bound_what_recurs_and_not_a_single_time() {
    let dates = |expression| Timing {
        start_ms: Some(utc("2026-01-01T00:00:30Z")),
        end_ms: Some(utc("2026-01-01T00:02:30Z")),
        ..timing(expression, "UTC")
    };
    assert_eq!(
        due(&dates("rate(1 minute)"), "2025-06-01T00:00:00Z", 9),
        [
            "2026-01-01T00:00:30Z",
            "2026-01-01T00:01:30Z",
            "2026-01-01T00:02:30Z"
        ]
    );
    assert_eq!(
        due(&dates("cron(* * * * ? *)"), "2025-06-01T00:00:00Z", 9),
        ["2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"]
    );
    assert_eq!(
        due(&dates("at(2027-01-01T00:00:00)"), "2025-06-01T00:00:00Z", 9),
        ["2027-01-01T00:00:00Z"]
    );
}

#[test]
fn a_single_time_may_have_just_passed() {
    let once = timing("at(2026-01-01T00:00:00)", "UTC");
    let moment = utc("2026-01-01T00:00:00Z");
    assert_eq!(once.first(moment + 60_000), Some(moment));
    assert_eq!(once.first(moment + 60_001), None);
    assert_eq!(once.after(moment), None);
}

#[test]
fn windows_spread_firings_and_keep_their_order() {
    let mut hourly = timing("cron(0 * * * ? *)", "UTC");
    hourly.window = Duration::from_secs(15 * 60);
    let first = hourly.first_from(utc("2026-01-01T00:00:00Z")).unwrap();
    let dues: Vec<u64> = std::iter::successors(Some(first), |due| hourly.after(*due))
        .take(500)
        .collect();
    let offsets: Vec<u64> = dues.iter().map(|due| hourly.fires_at(*due) - due).collect();
    assert!(offsets.iter().all(|offset| *offset < 15 * 60_000));
    // Every minute of the window is used: the chance that one of 15 is not, of 500, is 1 in 10^13.
    let mut minutes: Vec<u64> = offsets.iter().map(|offset| offset / 60_000).collect();
    minutes.sort_unstable();
    minutes.dedup();
    assert_eq!(minutes.len(), 15);
    assert_eq!(hourly.fires_at(first), hourly.fires_at(first));
    let other = Timing {
        seed: 2,
        ..hourly.clone()
    };
    assert_ne!(hourly.fires_at(first), other.fires_at(first));
    // A window that is longer than the time to the next due time ends there.
    hourly.window = Duration::from_secs(24 * 3_600);
    for pair in dues.windows(2) {
        assert!((pair[0]..pair[1]).contains(&hourly.fires_at(pair[0])));
    }
}

#[test]
fn every_zone_of_the_database_is_known() {
    let names: Vec<String> = jiff::tz::db()
        .available()
        .map(|it| it.to_string())
        .collect();
    assert!(names.len() > 400, "{}", names.len());
    for name in names {
        assert!(zone(&name).is_some(), "{name}");
    }
    for name in [
        "Europe/Kyiv",
        "Asia/Kolkata",
        "America/Argentina/Ushuaia",
        "UTC",
        "Etc/GMT+5",
    ] {
        assert!(zone(name).is_some(), "{name}");
    }
    for name in ["Europe/Nowhere", "", "../etc/passwd", "+02:00"] {
        assert!(zone(name).is_none(), "{name}");
    }
}

#[test]
fn far_dates_do_not_overflow() {
    let far = |day: &str| timing(&format!("at({day}T23:59:59)"), "Pacific/Kiritimati");
    assert!(far("9999-12-01").first_from(0).is_some());
    // Beyond what a moment can be.
    assert_eq!(far("9999-12-31").first_from(0), None);
    let mut slow = timing("rate(4294967295 days)", "UTC");
    slow.anchor_ms = u64::MAX - 5;
    assert_eq!(slow.after(u64::MAX - 5), None);
}
