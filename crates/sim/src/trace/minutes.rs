//! Requests by the minute, kept small: two or three bytes for each minute with a request, and read in the
//! order of time over all functions.

/// A function's requests: minutes with their counts, in the order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// For each minute the minutes since the one before, then the requests, both as LEB128.
    bytes: Vec<u8>,
    /// The minute that was added last.
    last: Option<u32>,
    total: u64,
}

/// Requests of one function in one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// The function's place in the trace.
    pub function: u32,
    /// How many requests; never none.
    pub requests: u32,
}

impl Counts {
    /// Adds a minute. A minute without requests is left out. False where the minute does not come after
    /// all that are there.
    #[must_use]
    pub fn push(&mut self, minute: u32, requests: u32) -> bool {
        if self.last.is_some_and(|last| minute <= last) {
            return false;
        }
        if requests == 0 {
            return true;
        }
        let since = minute - self.last.unwrap_or(0);
        put(&mut self.bytes, since);
        put(&mut self.bytes, requests);
        self.last = Some(minute);
        self.total += u64::from(requests);
        true
    }

    /// Requests of all minutes.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Gives back what it has reserved beyond that.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// The minutes with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        let (mut at, mut minute) = (0, 0);
        std::iter::from_fn(move || {
            let (since, requests);
            (since, at) = take(&self.bytes, at)?;
            (requests, at) = take(&self.bytes, at)?;
            minute += since;
            Some((minute, requests))
        })
    }
}

/// All functions' requests, minute after minute. A function waits in the list of the minute of its next one, so
/// that a minute costs what it has of requests.
#[derive(Debug)]
pub struct Minutes<'a> {
    counts: &'a [Counts],
    /// The minute of `first[0]`.
    begin: u32,
    /// For each minute the first function that has it next.
    first: Vec<u32>,
    /// The next one in the same list.
    next: Vec<u32>,
    /// Where each function's unread bytes begin.
    at: Vec<u32>,
    /// Requests of the minute that each function waits for.
    requests: Vec<u32>,
}

/// The end of a list.
const NONE: u32 = u32::MAX;

impl<'a> Minutes<'a> {
    /// From `begin` up to `end`.
    pub fn new(counts: &'a [Counts], begin: u32, end: u32) -> Self {
        let mut minutes = Self {
            counts,
            begin,
            first: vec![NONE; end.saturating_sub(begin) as usize],
            next: vec![NONE; counts.len()],
            at: vec![0; counts.len()],
            requests: vec![0; counts.len()],
        };
        // Backwards, so that each list begins with the lowest number.
        for function in (0..counts.len() as u32).rev() {
            minutes.advance(function, 0);
        }
        minutes
    }

    /// Cells of that minute, in the order of functions: one that follows from earlier minutes, such as that of the
    /// list, would be good or bad for policies that give up what was used longest ago. Minutes are asked for one
    /// after the other.
    pub fn take(&mut self, minute: u32, cells: &mut Vec<Cell>) {
        cells.clear();
        let Some(first) = self.first.get_mut((minute - self.begin) as usize) else {
            return;
        };
        let mut function = std::mem::replace(first, NONE);
        while function != NONE {
            let following = self.next[function as usize];
            cells.push(Cell {
                function,
                requests: self.requests[function as usize],
            });
            self.advance(function, minute);
            function = following;
        }
        cells.sort_unstable_by_key(|cell| cell.function);
    }

    /// Puts a function into the list of its next minute.
    fn advance(&mut self, function: u32, mut minute: u32) {
        let index = function as usize;
        loop {
            let bytes = &self.counts[index].bytes;
            let Some((since, at)) = take(bytes, self.at[index] as usize) else {
                return;
            };
            let Some((requests, at)) = take(bytes, at) else {
                return;
            };
            self.at[index] = at as u32;
            minute += since;
            if minute < self.begin {
                continue;
            }
            if let Some(first) = self.first.get_mut((minute - self.begin) as usize) {
                self.requests[index] = requests;
                self.next[index] = std::mem::replace(first, function);
            }
            return;
        }
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &[u8], mut at: usize) -> Option<(u32, usize)> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        number |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((number, at));
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn minutes_only_go_forward() {
        let mut counts = Counts::default();
        assert!(counts.push(0, 3));
        assert!(counts.push(1, 0));
        assert!(!counts.push(0, 1));
        assert!(counts.push(1, 1));
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(0, 3), (1, 1)]);
        assert_eq!(counts.total(), 4);
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_by_the_minute(
            rows in prop::collection::vec(prop::collection::btree_map(0u32..200, 1u32.., 0..20), 0..20),
            begin in 0u32..100,
        ) {
            let mut all = Vec::new();
            for row in &rows {
                let mut counts = Counts::default();
                for (minute, requests) in row {
                    prop_assert!(counts.push(*minute, *requests));
                }
                prop_assert!(counts.iter().eq(row.iter().map(|(m, r)| (*m, *r))));
                all.push(counts);
            }
            let mut minutes = Minutes::new(&all, begin, 150);
            let mut cells = Vec::new();
            for minute in begin..150 {
                minutes.take(minute, &mut cells);
                cells.sort_by_key(|cell| cell.function);
                let expected = rows.iter().enumerate().filter_map(|(index, row)| {
                    Some(Cell { function: index as u32, requests: *row.get(&minute)? })
                });
                prop_assert!(cells.iter().copied().eq(expected));
            }
        }
    }
}
