//! A trace: functions, and when their requests came.

mod minutes;

use std::time::Duration;

use pilotlight_model::start::Instant;
use pilotlight_policy::{Bytes, Event};

use crate::options::Ladder;
use crate::profile::ClassName;

pub use minutes::{Cell, Counts, Minutes};

/// Functions of one trace at most.
pub const MAX_FUNCTIONS: usize = 1_000_000;
/// Bytes of a function's name at most.
pub const MAX_NAME: usize = 256;
/// Requests by their own times of one trace at most: 1.3 GiB of them.
pub const MAX_REQUESTS: usize = 1 << 25;
/// Hints of one trace at most.
pub const MAX_HINTS: usize = 1 << 20;
/// Days of one trace at most.
pub const MAX_DAYS: u32 = 366;
/// Minutes of a day.
pub const MINUTES_PER_DAY: u32 = 1_440;

/// Functions with their arrivals over a window of time.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// What the requests are for. A function's place here is its version's number in the simulation.
    pub functions: Vec<Function>,
    /// Requests by the minute; as long as `functions`.
    pub counts: Vec<Counts>,
    /// The same requests by their own times and in the order of these, where they are known.
    pub requests: Vec<Request>,
    /// What policies are told besides, in the order of time: calls that are declared, shifts between versions,
    /// announcements, functions that are deleted and that are deployed again. Times are nanoseconds since the beginning of the first day, and versions are functions.
    pub hints: Vec<(Instant, Event)>,
    /// First minute of the window, counted from the beginning of the first day.
    pub begin: u32,
    /// First minute after the window.
    pub end: u32,
}

/// What is known of a function.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Function {
    /// Its name in the trace.
    pub name: String,
    /// How many functions of the population it stands for, in any unit.
    pub weight: f64,
    /// Memory of an instance.
    pub memory: Option<Bytes>,
    /// How long its handler runs.
    pub durations: Option<Durations>,
    /// What it runs on.
    pub class: Option<ClassName>,
    /// How long its owner wants idle instances kept.
    pub keep_alive: Option<Duration>,
    /// What its node made of the ladder for it without being told to.
    pub ladder: Option<Ladder>,
}

/// One request that is known by its own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// When it came, in milliseconds since the beginning of the first day.
    pub at_ms: u64,
    /// Place of its function in the trace.
    pub function: u32,
    /// How long its handler ran, in milliseconds.
    pub took_ms: u32,
    /// The request that caused it, where that is known.
    pub caller: Option<Caller>,
}

/// A request as the cause of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    /// Place of its function in the trace.
    pub function: u32,
    /// Tells its function's requests apart.
    pub request: u64,
    /// From its arrival to that of the request that it caused, in milliseconds.
    pub after_ms: u32,
}

/// A distribution of run times, in milliseconds, by its percentiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Durations {
    /// Values at [`Durations::RANKS`], none lower than the one before.
    at: [f32; 7],
}

impl Durations {
    /// The shares for which a value is kept: those of the Azure data set.
    pub const RANKS: [f64; 7] = [0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0];

    /// The longest that a handler is let run, in milliseconds: a month.
    const LONGEST_MS: f32 = 30.0 * 86_400e3;

    /// The distribution with these values. What is negative or no number counts as zero, and what is lower
    /// than a percentile before it as equal to that one.
    pub fn new(mut at: [f32; 7]) -> Self {
        let mut least = 0.0;
        for value in &mut at {
            let known = if value.is_finite() { *value } else { least };
            *value = known.clamp(least, Self::LONGEST_MS);
            least = *value;
        }
        Self { at }
    }

    /// One value alone.
    pub fn constant(ms: f32) -> Self {
        Self::new([ms; 7])
    }

    /// The value at a share from 0 to 1: linear between the percentiles that are known.
    pub fn at(&self, share: f64) -> f64 {
        let share = share.clamp(0.0, 1.0);
        let above = Self::RANKS
            .iter()
            .position(|rank| share <= *rank)
            .unwrap_or(6);
        let Some(below) = above.checked_sub(1) else {
            return f64::from(self.at[0]);
        };
        let part = (share - Self::RANKS[below]) / (Self::RANKS[above] - Self::RANKS[below]);
        let (low, high) = (f64::from(self.at[below]), f64::from(self.at[above]));
        low + part * (high - low)
    }

    /// The mean of what [`Durations::at`] gives.
    pub fn mean(&self) -> f64 {
        let pieces = Self::RANKS.windows(2).zip(self.at.windows(2));
        pieces
            .map(|(rank, at)| (rank[1] - rank[0]) * f64::from(at[0] + at[1]) / 2.0)
            .sum()
    }
}

impl Trace {
    /// Requests of all functions.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(Counts::total).sum()
    }

    /// Puts requests that are known by their own time in order, and counts them by the minute.
    pub fn count_requests(&mut self) {
        self.requests.sort_unstable();
        let mut cells: Vec<Option<(u32, u32)>> = vec![None; self.counts.len()];
        for request in &self.requests {
            let minute = (request.at_ms / 60_000) as u32;
            let cell = &mut cells[request.function as usize];
            match cell {
                Some((same, requests)) if *same == minute => *requests += 1,
                _ => {
                    let before = cell.replace((minute, 1));
                    add(&mut self.counts[request.function as usize], before);
                }
            }
        }
        for (counts, cell) in self.counts.iter_mut().zip(cells) {
            add(counts, cell);
        }
    }

    /// Requests that one function of the population of these weights has, times the number of functions:
    /// weights are scaled so that their mean is one.
    pub fn scale(&self) -> f64 {
        let sum: f64 = self.functions.iter().map(|it| it.weight).sum();
        if sum > 0.0 {
            self.functions.len() as f64 / sum
        } else {
            1.0
        }
    }
}

fn add(counts: &mut Counts, cell: Option<(u32, u32)>) {
    if let Some((minute, requests)) = cell {
        let added = counts.push(minute, requests);
        assert!(added, "requests are in the order of time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_between_their_percentiles() {
        let durations = Durations::new([10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 100.0]);
        assert_eq!(durations.at(0.0), 10.0);
        assert_eq!(durations.at(0.5), 40.0);
        assert!((durations.at(0.375) - 35.0).abs() < 1e-9);
        assert_eq!(durations.at(1.0), 100.0);
        let mean = (1..=100_000)
            .map(|n| durations.at(f64::from(n) / 1e5))
            .sum::<f64>()
            / 1e5;
        assert!((durations.mean() - mean).abs() < 0.01, "{mean}");
        let odd = Durations::new([f32::NAN, -1.0, 5.0, 3.0, 8.0, f32::INFINITY, 9.0]);
        assert_eq!(
            [odd.at(0.0), odd.at(0.5), odd.at(0.99), odd.at(1.0)],
            [0.0, 5.0, 8.0, 9.0]
        );
    }
}
