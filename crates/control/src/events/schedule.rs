//! Whose turn it is: which of the waiting entries is taken next, fairly between lanes. Pure.
//!
//! A lane is what entries wait for together: a function, or the target of a delivery. Lanes take turns. No
//! lane holds more of the room than is still free, so that however many slow ones there are, one that comes
//! anew finds room ("dynamic thresholds", Choudhury and Hahne, 1998). A lane that refuses what it is given
//! rests, longer each time, and then has to prove itself with one entry at a time; the entries behind it
//! wait where they are, so that a function without room costs one attempt per rest, and not one per event.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// What entries wait for together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Lane(Arc<str>);

/// One entry of a table of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: i64,
    pub(crate) lane: Lane,
    /// When it was accepted, in milliseconds since 1970.
    pub(crate) queued_ms: u64,
    /// When it is tried next.
    pub(crate) due_ms: u64,
}

/// What became of an entry that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// When it is due again; nothing when it is gone.
    pub(crate) due_ms: Option<u64>,
    pub(crate) pressure: Pressure,
}

/// What an attempt says about its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pressure {
    /// It took the entry.
    Taken,
    /// It had no room for it.
    Refused {
        /// When it said so: its rest is counted from here, as the entry's own is. Counted from when the loop
        /// hears of it, it would hold back an entry that is due.
        at_ms: u64,
    },
    /// Nothing: the lane was not asked.
    Unknown,
}

/// How long lanes rest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rests {
    pub(crate) first_ms: u64,
    pub(crate) longest_ms: u64,
}

/// All that waits and all that runs.
#[derive(Debug)]
pub(crate) struct Schedule {
    room: usize,
    rests: Rests,
    running: usize,
    lanes: HashMap<Lane, Queue>,
    /// Lanes that have something due, in turn; each at most once.
    ready: VecDeque<Lane>,
    /// Lanes that have something due later, or rest until then.
    later: BTreeSet<(u64, Lane)>,
    /// Lanes that have something due and hold their share of the room.
    held: BTreeSet<Lane>,
    /// What is not gone, by when it was accepted.
    ages: BTreeMap<u64, usize>,
}

#[derive(Debug)]
struct Queue {
    /// By when they are due; with when each was accepted.
    waiting: BTreeMap<(u64, i64), u64>,
    running: usize,
    /// Most that may run of it.
    most: usize,
    rests_until_ms: u64,
    /// Rests since it last took something.
    rests: u32,
    place: Place,
}

/// Where a lane is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Ready,
    Later(u64),
    Held,
}

impl Lane {
    pub(crate) fn new(name: &str) -> Self {
        Self(name.into())
    }
}

impl Rests {
    /// The rest after so many others in a row.
    pub(crate) fn after(&self, others: u32) -> u64 {
        let doubled = 1_u64.checked_shl(others).unwrap_or(u64::MAX);
        self.first_ms.saturating_mul(doubled).min(self.longest_ms)
    }
}

impl Schedule {
    /// Takes at most `room` entries at a time.
    pub(crate) fn new(room: usize, rests: Rests) -> Self {
        Self {
            room: room.max(1),
            rests,
            running: 0,
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            later: BTreeSet::new(),
            held: BTreeSet::new(),
            ages: BTreeMap::new(),
        }
    }

    /// Adds an entry that waits.
    pub(crate) fn add(&mut self, entry: Entry, now_ms: u64) {
        *self.ages.entry(entry.queued_ms).or_default() += 1;
        self.wait(entry, now_ms);
    }

    /// The entry whose turn it is, which runs from now on.
    pub(crate) fn next(&mut self, now_ms: u64) -> Option<Entry> {
        while let Some((due_ms, lane)) = self.later.first().cloned() {
            if due_ms > now_ms {
                break;
            }
            self.place(&lane, now_ms);
        }
        while self.running < self.room {
            let lane = self.ready.pop_front()?;
            let free = self.room - self.running;
            let queue = self.lanes.get_mut(&lane)?;
            queue.place = Place::Nowhere;
            if !queue.may_run(free) {
                self.place(&lane, now_ms);
                continue;
            }
            let ((due_ms, id), queued_ms) = queue.waiting.pop_first()?;
            queue.running += 1;
            self.running += 1;
            self.place(&lane, now_ms);
            return Some(Entry {
                id,
                lane,
                queued_ms,
                due_ms,
            });
        }
        None
    }

    /// When [`Schedule::next`] has something that it does not have now, unless something changes before.
    pub(crate) fn wake_ms(&self) -> u64 {
        match self.running < self.room {
            true => self.later.first().map_or(u64::MAX, |(due_ms, _)| *due_ms),
            false => u64::MAX,
        }
    }

    /// Takes back an entry that ran.
    pub(crate) fn ended(&mut self, entry: Entry, end: End, now_ms: u64) {
        self.running -= 1;
        let rests = self.rests;
        if let Some(queue) = self.lanes.get_mut(&entry.lane) {
            queue.learn(end.pressure, rests);
            queue.running -= 1;
        }
        let lane = entry.lane.clone();
        match end.due_ms {
            Some(due_ms) => self.wait(Entry { due_ms, ..entry }, now_ms),
            None => self.forget(entry.queued_ms),
        }
        self.place(&lane, now_ms);
        // There is more room now than when these were refused it.
        for lane in std::mem::take(&mut self.held) {
            if let Some(queue) = self.lanes.get_mut(&lane) {
                queue.place = Place::Nowhere;
            }
            self.place(&lane, now_ms);
        }
    }

    /// When the oldest that is not gone was accepted.
    pub(crate) fn oldest_ms(&self) -> Option<u64> {
        self.ages.first_key_value().map(|(queued_ms, _)| *queued_ms)
    }

    /// Entries that wait.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.lanes.values().map(|queue| queue.waiting.len()).sum()
    }

    fn wait(&mut self, entry: Entry, now_ms: u64) {
        let room = self.room;
        let queue = self
            .lanes
            .entry(entry.lane.clone())
            .or_insert_with(|| Queue::new(room));
        queue
            .waiting
            .insert((entry.due_ms, entry.id), entry.queued_ms);
        self.place(&entry.lane, now_ms);
    }

    fn forget(&mut self, queued_ms: u64) {
        if let Some(count) = self.ages.get_mut(&queued_ms) {
            *count -= 1;
            if *count == 0 {
                self.ages.remove(&queued_ms);
            }
        }
    }

    /// Notes a lane where it belongs; forgets one that has nothing.
    fn place(&mut self, lane: &Lane, now_ms: u64) {
        let free = self.room - self.running;
        let Some(queue) = self.lanes.get_mut(lane) else {
            return;
        };
        let place = queue.belongs(free, now_ms);
        let before = std::mem::replace(&mut queue.place, place);
        if place == Place::Nowhere && queue.running == 0 {
            self.lanes.remove(lane);
        }
        if place == before {
            return;
        }
        match before {
            Place::Nowhere => {}
            Place::Ready => self.ready.retain(|other| other != lane),
            Place::Later(due_ms) => drop(self.later.remove(&(due_ms, lane.clone()))),
            Place::Held => drop(self.held.remove(lane)),
        }
        match place {
            Place::Nowhere => {}
            Place::Ready => self.ready.push_back(lane.clone()),
            Place::Later(due_ms) => drop(self.later.insert((due_ms, lane.clone()))),
            Place::Held => drop(self.held.insert(lane.clone())),
        }
    }
}

impl Queue {
    fn new(room: usize) -> Self {
        Self {
            waiting: BTreeMap::new(),
            running: 0,
            most: room,
            rests_until_ms: 0,
            rests: 0,
            place: Place::Nowhere,
        }
    }

    fn may_run(&self, free: usize) -> bool {
        self.running < self.most && self.running < free.max(1)
    }

    fn belongs(&self, free: usize, now_ms: u64) -> Place {
        let Some(((due_ms, _), _)) = self.waiting.first_key_value() else {
            return Place::Nowhere;
        };
        let due_ms = (*due_ms).max(self.rests_until_ms);
        match due_ms > now_ms {
            true => Place::Later(due_ms),
            false if self.may_run(free) => Place::Ready,
            false => Place::Held,
        }
    }

    fn learn(&mut self, pressure: Pressure, rests: Rests) {
        match pressure {
            Pressure::Unknown => {}
            Pressure::Taken => {
                self.rests = 0;
                self.most = self.most.saturating_add(1);
            }
            // Those that ran beside the first that was refused say nothing new.
            Pressure::Refused { at_ms } if self.rests_until_ms > at_ms => {}
            Pressure::Refused { at_ms } => {
                self.rests_until_ms = at_ms.saturating_add(rests.after(self.rests));
                self.rests = self.rests.saturating_add(1);
                self.most = 1;
            }
        }
    }
}

#[cfg(test)]
mod tests;
