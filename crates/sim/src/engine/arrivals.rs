//! When in their minute requests come, and how long their handlers run.

use crate::draw::{Draw, Stream};
use crate::engine::MINUTE;
use crate::options::Arrivals;
use crate::trace::{Caller, Cell, Durations};

/// A request to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrival {
    /// In nanoseconds since the beginning of the first day.
    pub(crate) at: u64,
    pub(crate) version: u32,
    /// In nanoseconds.
    pub(crate) runs: u64,
    pub(crate) caller: Option<Caller>,
}

/// Gives the requests of a function in the minute that begins then their times.
pub(crate) fn spread(
    draw: Draw,
    how: Arrivals,
    durations: &Durations,
    cell: Cell,
    begin: u64,
    arrivals: &mut Vec<Arrival>,
) {
    let version = u64::from(cell.function);
    let step = MINUTE as f64 / f64::from(cell.requests);
    let phase = draw.unit(Stream::Arrival, version, begin);
    for number in 0..cell.requests {
        // Minutes begin at multiples of many nanoseconds, so that sums of the two tell requests apart.
        let key = begin + u64::from(number);
        let offset = match how {
            Arrivals::Uniform => (f64::from(number) + phase) * step,
            Arrivals::Poisson => draw.unit(Stream::Arrival, version, key) * MINUTE as f64,
            Arrivals::Once => 0.0,
        };
        let share = draw.unit(Stream::Duration, version, key);
        arrivals.push(Arrival {
            at: begin + (offset as u64).min(MINUTE - 1),
            version: cell.function,
            runs: (durations.at(share) * 1e6) as u64,
            caller: None,
        });
    }
}
