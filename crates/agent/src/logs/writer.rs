//! The thread that writes the journals.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use super::accounts::{Accounts, GROUP_BYTES};
use super::journal::Journal;
use super::retention::Told;
use super::{Batch, Command, LogGroup, LogLimits, groups};
use crate::clock;

/// Journals held open; beyond it the one used longest ago is closed.
const OPEN_JOURNALS: usize = 128;
/// Commands taken at once.
const COMMANDS: usize = 1024;
/// Pause between two rounds, so that a busy node wakes this thread a hundred times a second and not
/// for every line.
const PAUSE: Duration = Duration::from_millis(10);

/// State of the writing thread.
pub(super) struct Writer {
    folder: PathBuf,
    group_bytes: u64,
    accounts: Accounts,
    told: Arc<Told>,
    dropped: Arc<AtomicU64>,
    open: HashMap<Arc<LogGroup>, Open>,
    /// How long lines are kept, for the groups where that is said.
    retained: HashMap<LogGroup, Duration>,
    round: u64,
    /// Whether the last write failed: the first failure is told, the ones behind it are counted.
    failing: bool,
}

struct Open {
    journal: Journal,
    used: u64,
}

impl Writer {
    pub(super) fn new(
        folder: PathBuf,
        limits: LogLimits,
        told: Arc<Told>,
        dropped: Arc<AtomicU64>,
    ) -> Self {
        Self {
            accounts: Accounts::new(folder.clone(), limits.account),
            folder,
            group_bytes: limits.group,
            told,
            dropped,
            open: HashMap::new(),
            retained: HashMap::new(),
            round: 0,
            failing: false,
        }
    }

    /// Writes until every sender is gone.
    pub(super) fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut taken = Vec::new();
        while commands.blocking_recv_many(&mut taken, COMMANDS) > 0 {
            self.round += 1;
            let mut awaited = false;
            for command in taken.drain(..) {
                match command {
                    Command::Append(batch, _room) => self.append(&batch),
                    Command::Store(batch, _room, done) => {
                        awaited = true;
                        let _ = done.send(self.store(&batch));
                    }
                    Command::DeleteStream(group, stream, done) => {
                        let _ = done.send(self.delete_stream(&group, &stream));
                    }
                    Command::DeleteGroup(group, done) => {
                        let _ = done.send(self.delete(&group));
                    }
                    Command::Retain => self.heed(),
                    Command::Barrier(done) => {
                        awaited = true;
                        let _ = done.send(());
                    }
                }
            }
            if !awaited && !commands.is_closed() {
                std::thread::sleep(PAUSE);
            }
        }
    }

    fn append(&mut self, batch: &Batch) {
        match self.write(batch) {
            Ok(()) => self.failing = false,
            Err(error) => {
                self.open.remove(&batch.group);
                let lines = batch.lines.len() as u64;
                let total = self.dropped.fetch_add(lines, Ordering::Relaxed) + lines;
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(
                        group = %batch.group.name, %error, dropped = total,
                        "log lines cannot be written and are dropped"
                    );
                }
            }
        }
    }

    /// Appends for somebody who waits until it is on stable storage, and hears of a failure.
    fn store(&mut self, batch: &Batch) -> io::Result<()> {
        let stored = self
            .write(batch)
            .and_then(|()| self.journal(&batch.group)?.sync());
        if stored.is_err() {
            self.open.remove(&batch.group);
        }
        stored
    }

    fn delete_stream(&mut self, group: &Arc<LogGroup>, stream: &str) -> io::Result<()> {
        let written = self
            .journal(group)?
            .delete_stream(stream, clock::unix_ms())?;
        self.weigh(group, written);
        Ok(())
    }

    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        let made = !self.open.contains_key(&batch.group)
            && !groups::folder_of(&self.folder, &batch.group).exists();
        let written = self.journal(&batch.group)?.append(batch)?;
        self.weigh(&batch.group, written + u64::from(made) * GROUP_BYTES);
        Ok(())
    }

    /// Counts what has been written for its account, and lets go of the oldest that it has where that is too much.
    fn weigh(&mut self, group: &LogGroup, bytes: u64) {
        if !self.accounts.wrote(&group.account, bytes) {
            return;
        }
        self.open.retain(|other, _| other.account != group.account);
        if let Err(error) = self.accounts.shed(&group.account) {
            tracing::warn!(account = %group.account, %error, "old log lines stay");
        }
    }

    fn delete(&mut self, group: &LogGroup) -> io::Result<()> {
        self.open.remove(group);
        self.retained.remove(group);
        let folder = groups::folder_of(&self.folder, group);
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn heed(&mut self) {
        let news = self.told.take();
        for (group, time) in news.groups {
            self.retain(group, time);
        }
        if news.expire {
            self.expire();
        }
    }

    fn retain(&mut self, group: LogGroup, time: Option<Duration>) {
        match time {
            Some(time) => {
                self.expire_group(&Arc::new(group.clone()), time);
                self.retained.insert(group, time);
            }
            None => {
                self.retained.remove(&group);
            }
        }
    }

    fn expire(&mut self) {
        let retained: Vec<_> = self.retained.iter().map(|(k, v)| (k.clone(), *v)).collect();
        for (group, time) in retained {
            self.expire_group(&Arc::new(group), time);
        }
    }

    fn expire_group(&mut self, group: &Arc<LogGroup>, time: Duration) {
        // One that has not been written to has nothing to let go of.
        if !groups::folder_of(&self.folder, group).exists() {
            return;
        }
        let journal = self.journal(group);
        if let Err(error) = journal.and_then(|it| it.expire(time, SystemTime::now())) {
            tracing::warn!(group = %group.name, %error, "old log lines stay");
        }
    }

    fn journal(&mut self, group: &Arc<LogGroup>) -> io::Result<&mut Journal> {
        if !self.open.contains_key(group) {
            self.make_room();
            let folder = groups::folder_of(&self.folder, group);
            let journal = Journal::open(&folder, self.group_bytes)?;
            groups::describe(&folder, group, clock::unix_ms())?;
            self.open.insert(
                Arc::clone(group),
                Open {
                    journal,
                    used: self.round,
                },
            );
        }
        let open = self.open.get_mut(group).expect("inserted above");
        open.used = self.round;
        Ok(&mut open.journal)
    }

    fn make_room(&mut self) {
        while self.open.len() >= OPEN_JOURNALS {
            let oldest = self.open.iter().min_by_key(|(_, open)| open.used);
            let Some(group) = oldest.map(|(group, _)| Arc::clone(group)) else {
                return;
            };
            self.open.remove(&group);
        }
    }
}
