//! The bins that times between requests fall into: whole minutes at first, then two for each doubling.

use std::time::Duration;

/// How many there are.
pub const BINS: usize = 26;
/// Nanoseconds of a minute, the unit of all predictions by time.
pub const MINUTE: u64 = 60_000_000_000;
/// Longest time that is told from longer ones, in minutes: 8.5 days.
pub const LONGEST: u16 = 12_287;

/// First minute of each bin; the last entry is the end of the last bin. Minute `m` stands for the times
/// from `m - 0.5` to `m + 0.5` minutes. What is shorter than half a minute is no gap.
const EDGES: [u16; BINS + 1] = [
    1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048,
    3072, 4096, 6144, 8192, 12_288,
];

/// A time in whole minutes, rounded; at most [`LONGEST`].
pub fn minutes(time: Duration) -> u16 {
    let minutes = (time.as_nanos() + u128::from(MINUTE / 2)) / u128::from(MINUTE);
    u16::try_from(minutes).unwrap_or(LONGEST).min(LONGEST)
}

/// The same where minutes begin so many nanoseconds later. What is a gap is at least one, and what is none is none.
pub fn minutes_from(time: Duration, shift: i64) -> u16 {
    let moved = if shift < 0 {
        time.saturating_add(Duration::from_nanos(shift.unsigned_abs()))
    } else {
        time.saturating_sub(Duration::from_nanos(shift.unsigned_abs()))
    };
    match minutes(time) {
        0 => 0,
        _ => minutes(moved).max(1),
    }
}

/// The bin of a minute. Minute 0 counts as 1.
pub fn bin(minute: u16) -> usize {
    EDGES[1..BINS].partition_point(|edge| *edge <= minute)
}

/// First minute of a bin, and first minute after it.
pub fn range(bin: usize) -> (u16, u16) {
    (EDGES[bin], EDGES[bin + 1])
}

/// Minutes of a bin.
pub fn width(bin: usize) -> f32 {
    f32::from(EDGES[bin + 1] - EDGES[bin])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_minute_is_in_the_bin_that_says_so() {
        for minute in 1..=LONGEST {
            let (from, until) = range(bin(minute));
            assert!(from <= minute && minute < until, "{minute}");
        }
        assert_eq!(bin(0), 0);
        assert_eq!(minutes(Duration::from_secs(29)), 0);
        assert_eq!(minutes(Duration::from_secs(30)), 1);
        assert_eq!(minutes(Duration::from_secs(u64::MAX)), LONGEST);
    }

    #[test]
    fn minutes_may_begin_later_or_earlier() {
        let (at, later) = (Duration::from_secs, 25_000_000_000);
        let around = |gap: u64, shift| minutes_from(at(gap), shift);
        assert_eq!(
            [around(754, 0), around(754, -later), around(754, later)],
            [13, 13, 12]
        );
        assert_eq!([around(724, -later), around(784, -later)], [12, 13]);
        assert_eq!(
            [around(29, -later), around(40, later)],
            [0, 1],
            "what is a gap is one"
        );
        assert_eq!(minutes_from(at(u64::MAX), -later), LONGEST);
    }
}
