//! Whose turn it is: which of the waiting entries is taken next, fairly between accounts first, and within an
//! account between lanes. Pure.
//!
//! A lane is what entries wait for together: a function, or the target of a delivery. Accounts take turns, and
//! within its turn each has its lanes take theirs; how much of the room each may hold is said in [`shares`]. A lane
//! that refuses what it is given rests, longer each time, and then has to prove itself with one entry at a time; the
//! entries behind it wait where they are, so that a function without room costs one attempt per rest, and not one
//! per event.

mod lane;
mod shares;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use lane::{Place, Queue};
use shares::Room;

/// What entries wait for together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Lane {
    account: Arc<str>,
    name: Arc<str>,
}

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

/// When somebody got in turn: a number that grows.
type Turn = u64;

/// All that waits and all that runs.
#[derive(Debug)]
pub(crate) struct Schedule {
    room: usize,
    rests: Rests,
    running: usize,
    lanes: HashMap<Lane, Queue>,
    /// Accounts that hold some of the room, or are in turn.
    accounts: HashMap<Arc<str>, Account>,
    /// Accounts that have lanes in turn.
    turns: BTreeMap<Turn, Arc<str>>,
    /// The turn that is handed out next.
    next_turn: Turn,
    /// Lanes that have something due later, or rest until then.
    later: BTreeSet<(u64, Lane)>,
    /// What is not gone, by when it was accepted.
    ages: BTreeMap<u64, usize>,
}

/// What an account has of the room, and wants.
#[derive(Debug, Default)]
struct Account {
    running: usize,
    /// Its lanes that have something due and may run more.
    ready: BTreeMap<Turn, Lane>,
    /// Set while there are any.
    turn: Turn,
}

impl Lane {
    /// The lane of that name of an account.
    pub(crate) fn new(account: &str, name: &str) -> Self {
        Self {
            account: account.into(),
            name: name.into(),
        }
    }

    /// Whose entries wait there.
    pub(crate) fn account(&self) -> &Arc<str> {
        &self.account
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
            accounts: HashMap::new(),
            turns: BTreeMap::new(),
            next_turn: 0,
            later: BTreeSet::new(),
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
        let lane = self.in_turn()?;
        let queue = self.lanes.get_mut(&lane)?;
        let ((due_ms, id), queued_ms) = queue.waiting.pop_first()?;
        queue.running += 1;
        self.running += 1;
        self.accounts
            .entry(lane.account.clone())
            .or_default()
            .running += 1;
        self.send_to_back(&lane, now_ms);
        Some(Entry {
            id,
            lane,
            queued_ms,
            due_ms,
        })
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
        let lane = entry.lane.clone();
        self.running -= 1;
        if let Some(queue) = self.lanes.get_mut(&lane) {
            queue.learn(end.pressure, self.rests);
            queue.running -= 1;
        }
        if let Some(account) = self.accounts.get_mut(&lane.account) {
            account.running -= 1;
        }
        match end.due_ms {
            Some(due_ms) => self.wait(Entry { due_ms, ..entry }, now_ms),
            None => self.forget(entry.queued_ms),
        }
        self.place(&lane, now_ms);
    }

    /// When the oldest that is not gone was accepted.
    pub(crate) fn oldest_ms(&self) -> Option<u64> {
        self.ages.first_key_value().map(|(queued_ms, _)| *queued_ms)
    }

    /// The lane whose turn it is. Who is passed over holds some of the room, so that few are.
    fn in_turn(&self) -> Option<Lane> {
        if self.running >= self.room {
            return None;
        }
        let room = Room {
            all: self.room,
            free: self.room - self.running,
            accounts: self.accounts.len(),
            contended: self.turns.len() > 1,
        };
        self.turns.values().find_map(|name| {
            let account = self.accounts.get(name)?;
            if !room.has_for_account(account.running) {
                return None;
            }
            let has_room = |lane: &&Lane| {
                let held = self.lanes.get(*lane).map_or(0, |queue| queue.running);
                room.has_for_lane(account.running, held)
            };
            account.ready.values().find(has_room).cloned()
        })
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

    /// A lane has had its turn, and its account has: others come first now.
    fn send_to_back(&mut self, lane: &Lane, now_ms: u64) {
        self.take_out(lane);
        if let Some(account) = self.accounts.get_mut(&lane.account)
            && self.turns.remove(&account.turn).is_some()
        {
            account.turn = self.next_turn;
            self.turns.insert(self.next_turn, lane.account.clone());
            self.next_turn += 1;
        }
        self.place(lane, now_ms);
    }

    /// Notes a lane where it belongs; forgets one that has nothing.
    fn place(&mut self, lane: &Lane, now_ms: u64) {
        let Some(queue) = self.lanes.get(lane) else {
            return;
        };
        let place = queue.belongs(now_ms, self.next_turn);
        if place != queue.place {
            self.take_out(lane);
            self.put_in(lane, place);
        }
        let idle = |queue: &Queue| queue.running == 0 && queue.waiting.is_empty();
        if self.lanes.get(lane).is_some_and(idle) {
            self.lanes.remove(lane);
        }
        let idle = |account: &Account| account.running == 0 && account.ready.is_empty();
        if self.accounts.get(&lane.account).is_some_and(idle) {
            self.accounts.remove(&lane.account);
        }
    }

    /// Removes a lane from where it is noted.
    fn take_out(&mut self, lane: &Lane) {
        let Some(queue) = self.lanes.get_mut(lane) else {
            return;
        };
        match std::mem::replace(&mut queue.place, Place::Nowhere) {
            Place::Nowhere => {}
            Place::Later(due_ms) => drop(self.later.remove(&(due_ms, lane.clone()))),
            Place::Ready(turn) => {
                if let Some(account) = self.accounts.get_mut(&lane.account) {
                    account.ready.remove(&turn);
                    if account.ready.is_empty() {
                        self.turns.remove(&account.turn);
                    }
                }
            }
        }
    }

    /// Notes a lane that is nowhere.
    fn put_in(&mut self, lane: &Lane, place: Place) {
        if let Some(queue) = self.lanes.get_mut(lane) {
            queue.place = place;
        }
        match place {
            Place::Nowhere => {}
            Place::Later(due_ms) => drop(self.later.insert((due_ms, lane.clone()))),
            Place::Ready(turn) => {
                let account = self.accounts.entry(lane.account.clone()).or_default();
                if account.ready.is_empty() {
                    account.turn = turn;
                    self.turns.insert(turn, lane.account.clone());
                }
                account.ready.insert(turn, lane.clone());
                self.next_turn = turn + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests;
