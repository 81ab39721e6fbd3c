//! The event log of a node: what its policy was told and what it ordered, in the form of
//! `pilotlight_policy::eventlog`, which `pilot simulate` replays and reads as a trace.
//!
//! Who decides hands it over and never waits: a thread of its own writes. What finds no room in its queue is
//! dropped and counted, and the log goes on in a new file, so that none has a gap.

mod file;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use pilotlight_model::start::Instant;
use pilotlight_policy::{Action, Event, VersionId};
use tokio::sync::oneshot;

use file::LogFile;

/// Entries that wait to be written: some milliseconds of a busy node. About 150 bytes each.
const QUEUE: usize = 1 << 14;
/// How long the thread rests when it has written all there was, so that who decides seldom has to wake it.
const REST: Duration = Duration::from_millis(10);

/// Where a node writes its event log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLogConfig {
    /// The file. When it is full it becomes `FILE.1`, in place of the one before, and a new one is begun.
    pub path: PathBuf,
    /// Bytes of both together, unless the names of versions alone take more than a quarter of that.
    pub bytes: u64,
}

/// What an event log is handed.
pub(super) enum Entry {
    /// What a version is called.
    Name(VersionId, String),
    /// What the policy was told then, and what it ordered. Before it something may have been dropped.
    Told {
        at: Instant,
        event: Event,
        actions: Vec<Action>,
        after_gap: bool,
    },
    /// Someone waits until all before it is in the file.
    Written(oneshot::Sender<()>),
}

/// The end of an event log that belongs to who decides.
pub(crate) struct EventLog {
    queue: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
    /// Something has been dropped since the last entry.
    gap: bool,
}

/// The end of an event log that belongs to who looks after the node.
#[derive(Clone)]
pub(crate) struct EventLogWriter {
    queue: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

/// Begins the log of a node with that policy.
pub(crate) fn begin(
    config: &EventLogConfig,
    policy: &str,
) -> io::Result<(EventLog, EventLogWriter)> {
    let mut file = LogFile::create(config, policy)?;
    let (queue, entries) = sync_channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    let unwritten = Arc::clone(&dropped);
    thread::Builder::new()
        .name("event-log".to_owned())
        .spawn(move || write(&mut file, &entries, &unwritten))?;
    let log = EventLog {
        queue: queue.clone(),
        dropped: Arc::clone(&dropped),
        gap: false,
    };
    Ok((log, EventLogWriter { queue, dropped }))
}

impl EventLog {
    /// From now on that is the number of that version.
    pub(crate) fn name(&mut self, version: VersionId, name: String) {
        self.hand_over(Entry::Name(version, name));
    }

    /// The policy was told that and ordered this.
    pub(crate) fn told(&mut self, at: Instant, event: Event, actions: &[Action]) {
        let told = Entry::Told {
            at,
            event,
            actions: actions.to_vec(),
            after_gap: self.gap,
        };
        if self.hand_over(told) {
            self.gap = false;
        }
    }

    fn hand_over(&mut self, entry: Entry) -> bool {
        let taken = self.queue.try_send(entry).is_ok();
        if !taken {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.gap = true;
        }
        taken
    }
}

impl EventLogWriter {
    /// Entries that are in no file.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Resolves when what has been handed over up to now is in the file.
    pub(crate) async fn written(&self) {
        let (sender, written) = oneshot::channel();
        let queue = self.queue.clone();
        let ask = move || queue.send(Entry::Written(sender)).is_ok();
        if tokio::task::spawn_blocking(ask).await.is_ok_and(|it| it) {
            let _ = written.await;
        }
    }
}

/// Writes until nobody can hand anything over any more.
fn write(file: &mut LogFile, entries: &Receiver<Entry>, dropped: &AtomicU64) {
    while let Ok(mut entry) = entries.recv() {
        let mut waiting = Vec::new();
        loop {
            match entry {
                Entry::Written(sender) => waiting.push(sender),
                entry => {
                    if !file.write(entry) {
                        dropped.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            entry = match entries.try_recv() {
                Ok(next) => next,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            };
        }
        file.flush();
        for sender in waiting {
            let _ = sender.send(());
        }
        thread::sleep(REST);
    }
}
