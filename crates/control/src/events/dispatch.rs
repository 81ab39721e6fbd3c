//! The loop that takes what is due, as much at a time as there is room for, until it is stopped; then it lets
//! what runs end. What it takes and what is done with it is its user's.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use super::schedule::{End, Entry, Pressure, Rests, Schedule};
use crate::clock::Clock;

/// What waits, and a bell. The lock is held for a look or a change, never across an await.
pub(crate) struct Desk {
    schedule: Mutex<Schedule>,
    changed: Notify,
    clock: Arc<dyn Clock>,
}

/// What is done with what is due.
pub(crate) trait Work: Send + Sync + 'static {
    /// One attempt at an entry, written down before it ends.
    fn attempt(self: Arc<Self>, entry: Entry) -> impl Future<Output = End> + Send;

    /// An attempt at this entry panicked: it must not be made again.
    fn give_up(self: Arc<Self>, entry: Entry) -> impl Future<Output = End> + Send;
}

impl Desk {
    /// A desk with what the catalog holds.
    pub(crate) fn new(
        room: usize,
        rests: Rests,
        entries: Vec<Entry>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let mut schedule = Schedule::new(room, rests);
        let now_ms = clock.unix_ms();
        for entry in entries {
            schedule.add(entry, now_ms);
        }
        Self {
            schedule: Mutex::new(schedule),
            changed: Notify::new(),
            clock: Arc::clone(clock),
        }
    }

    /// Adds what has been written down.
    pub(crate) fn add(&self, entries: impl IntoIterator<Item = Entry>) {
        let now_ms = self.clock.unix_ms();
        let mut schedule = self.schedule.lock();
        for entry in entries {
            schedule.add(entry, now_ms);
        }
        drop(schedule);
        self.changed.notify_one();
    }

    /// When the oldest that is not gone was accepted, in milliseconds since 1970.
    pub(crate) fn oldest_ms(&self) -> Option<u64> {
        self.schedule.lock().oldest_ms()
    }

    /// Takes what is due until stopped.
    pub(crate) async fn run<W: Work>(&self, work: Arc<W>, stop: CancellationToken) {
        let mut running: JoinSet<End> = JoinSet::new();
        let mut taken: HashMap<Id, (Entry, bool)> = HashMap::new();
        while !stop.is_cancelled() {
            while let Some(entry) = self.take() {
                let attempt = Arc::clone(&work).attempt(entry.clone());
                taken.insert(running.spawn(attempt).id(), (entry, false));
            }
            let wake_ms = self.schedule.lock().wake_ms();
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.changed.notified() => {}
                () = self.clock.sleep_until(wake_ms) => {}
                Some(ended) = running.join_next_with_id() => {
                    let (id, end) = match ended {
                        Ok((id, end)) => (id, Some(end)),
                        Err(panic) => (panic.id(), None),
                    };
                    let Some((entry, given_up)) = taken.remove(&id) else {
                        continue;
                    };
                    if end.is_none() && !given_up {
                        tracing::error!(entry = entry.id, "an attempt panicked: it is not made again");
                        let last = Arc::clone(&work).give_up(entry.clone());
                        taken.insert(running.spawn(last).id(), (entry, true));
                        continue;
                    }
                    // What cannot even be given up stays on disk, and is left alone until the next start.
                    let left = End { due_ms: None, pressure: Pressure::Unknown };
                    let now_ms = self.clock.unix_ms();
                    self.schedule.lock().ended(entry, end.unwrap_or(left), now_ms);
                }
            }
        }
        while running.join_next().await.is_some() {}
    }

    fn take(&self) -> Option<Entry> {
        let now_ms = self.clock.unix_ms();
        self.schedule.lock().next(now_ms)
    }
}
