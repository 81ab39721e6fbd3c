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
}
