//! What waits in one lane, and what its attempts have shown. Pure.

use std::collections::BTreeMap;

use super::{Pressure, Rests, Turn};

/// What waits and runs of a lane.
#[derive(Debug)]
pub(super) struct Queue {
    /// By when they are due; with when each was accepted.
    pub(super) waiting: BTreeMap<(u64, i64), u64>,
    pub(super) running: usize,
    /// Most that may run of it, as far as its attempts tell.
    most: usize,
    rests_until_ms: u64,
    /// Rests since it last took something.
    rests: u32,
    pub(super) place: Place,
}

/// Where a lane is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It has nothing that waits, or waits for what runs of it.
    Nowhere,
    /// It has something due, and is in turn.
    Ready(Turn),
    /// It has something due later, or rests until then.
    Later(u64),
}

impl Queue {
    pub(super) fn new(room: usize) -> Self {
        Self {
            waiting: BTreeMap::new(),
            running: 0,
            most: room,
            rests_until_ms: 0,
            rests: 0,
            place: Place::Nowhere,
        }
    }

    /// Where it belongs now; `turn` is what it gets if it is not in turn yet.
    pub(super) fn belongs(&self, now_ms: u64, turn: Turn) -> Place {
        let Some(((due_ms, _), _)) = self.waiting.first_key_value() else {
            return Place::Nowhere;
        };
        let due_ms = (*due_ms).max(self.rests_until_ms);
        match (due_ms > now_ms, self.place) {
            (true, _) => Place::Later(due_ms),
            (false, _) if self.running >= self.most => Place::Nowhere,
            (false, Place::Ready(turn)) => Place::Ready(turn),
            (false, _) => Place::Ready(turn),
        }
    }

    /// Takes note of what an attempt says about it.
    pub(super) fn learn(&mut self, pressure: Pressure, rests: Rests) {
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
