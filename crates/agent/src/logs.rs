//! The node's log store: one append-only journal per log group, written by one thread of its own so
//! that no invocation waits for a disk.
//!
//! What waits to be written is bounded in bytes; who finds no room waits, and with it the pipe of the
//! instance and the function that floods it. A full disk loses lines, counts them, and harms nobody.

mod accounts;
mod groups;
mod index;
mod journal;
mod output;
mod reading;
mod retention;
mod segment;
mod select;
mod tail;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
pub(crate) use pilotlight_model::logs::LogGroup;
use pilotlight_model::node::LogLine;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

pub(crate) use output::{InstanceLog, Source};

/// Longest line kept, as CloudWatch has it for an event; the rest of a longer one is a line of its own.
pub(crate) const LINE_BYTES: usize = 256 * 1024;
/// Bytes of lines that may wait for the writer.
const WAITING_BYTES: u32 = 16 * 1024 * 1024;
/// Readers at the same moment; each looks at some megabytes.
const READERS: usize = 64;
/// Deletions at the same moment; further ones wait for their turn.
const DELETIONS: usize = 16;
/// What a line costs beside its text while it waits.
const LINE_OVERHEAD_BYTES: usize = 64;

/// One line of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at_ms: u64,
    pub(crate) message: String,
}

impl Line {
    /// What the line counts against the bounds.
    pub(crate) fn cost(&self) -> usize {
        self.message.len() + LINE_OVERHEAD_BYTES
    }
}

/// Lines of one stream on their way to the disk.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) group: Arc<LogGroup>,
    pub(crate) stream: Arc<str>,
    pub(crate) lines: Vec<Line>,
    /// When they came in, where that is not the lines' own time.
    pub(crate) ingested_ms: Option<u64>,
}

enum Command {
    /// Append; the permit is the room that the batch took.
    Append(Batch, OwnedSemaphorePermit),
    /// Append, and tell when it is on stable storage.
    Store(Batch, OwnedSemaphorePermit, Done),
    /// Mark what a stream has said so far as deleted.
    DeleteStream(Arc<LogGroup>, String, Done),
    /// Remove a group.
    DeleteGroup(Arc<LogGroup>, Done),
    /// Heed what has been said of how long lines are kept.
    Retain,
    /// Tell when everything before has been written.
    Barrier(oneshot::Sender<()>),
}

/// Who waits for a command, and hears how it went.
type Done = oneshot::Sender<io::Result<()>>;

/// Bounds of what is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogLimits {
    /// Bytes of each group.
    pub(crate) group: u64,
    /// Bytes of all groups of an account, in all regions.
    pub(crate) account: u64,
}

/// Handle of the store. The writer ends when every handle is gone or the store is closed.
#[derive(Clone)]
pub(crate) struct LogStore {
    folder: Arc<PathBuf>,
    commands: mpsc::UnboundedSender<Command>,
    /// These bound `commands`: no batch without its permit for so many bytes, one barrier for each reader, no
    /// deletion without its permit, and one command at most for all that is said of retention. (A drain of the
    /// node adds a barrier.)
    room: Arc<Semaphore>,
    readers: Arc<Semaphore>,
    deletions: Arc<Semaphore>,
    retention: Arc<retention::Told>,
    indexes: Arc<reading::Indexes>,
    dropped: Arc<AtomicU64>,
    thread: Arc<Mutex<Option<std::thread::JoinHandle<()>>>>,
}

impl LogStore {
    /// Opens the store in that folder, and starts its writer.
    pub(crate) fn open(folder: &Path, limits: LogLimits) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (commands, received) = mpsc::unbounded_channel();
        let dropped = Arc::new(AtomicU64::new(0));
        let retention = Arc::new(retention::Told::default());
        let writer = writer::Writer::new(
            folder.to_owned(),
            limits,
            Arc::clone(&retention),
            Arc::clone(&dropped),
        );
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer.run(received))?;
        Ok(Self {
            folder: Arc::new(folder.to_owned()),
            commands,
            room: Arc::new(Semaphore::new(WAITING_BYTES as usize)),
            readers: Arc::new(Semaphore::new(READERS)),
            deletions: Arc::new(Semaphore::new(DELETIONS)),
            retention,
            indexes: Arc::default(),
            dropped,
            thread: Arc::new(Mutex::new(Some(thread))),
        })
    }

    /// Hands a batch to the writer if there is room for it now.
    pub(crate) fn try_push(&self, batch: Batch) -> Result<(), Batch> {
        match Arc::clone(&self.room).try_acquire_many_owned(permits(&batch)) {
            Ok(permit) => {
                self.send(batch, permit);
                Ok(())
            }
            Err(_) => Err(batch),
        }
    }

    /// Hands a batch to the writer once there is room for it.
    pub(crate) async fn push(&self, batch: Batch) {
        let permit = Arc::clone(&self.room)
            .acquire_many_owned(permits(&batch))
            .await;
        self.send(batch, permit.expect("the semaphore is never closed"));
    }

    fn send(&self, batch: Batch, permit: OwnedSemaphorePermit) {
        let append = Command::Append(batch, permit);
        if let Err(mpsc::error::SendError(Command::Append(batch, _))) = self.commands.send(append) {
            self.dropped
                .fetch_add(batch.lines.len() as u64, Ordering::Relaxed);
        }
    }

    /// Up to `limit` lines of the group behind `position`; sees everything pushed before the call.
    pub(crate) async fn read(
        &self,
        group: LogGroup,
        position: u64,
        limit: usize,
    ) -> io::Result<Vec<LogLine>> {
        self.read_blocking(move |reader| journal::read(&reader.folder_of(&group), position, limit))
            .await
    }

    /// Resolves when everything pushed before the call has been written (or dropped).
    pub(crate) async fn written(&self) {
        let (done, wait) = oneshot::channel();
        if self.commands.send(Command::Barrier(done)).is_ok() {
            // An error means that the writer has ended: there is nothing to wait for.
            let _ = wait.await;
        }
    }

    /// Counts lines that found no room.
    pub(crate) fn lose(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }

    /// Lines that could not be written since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for LogStore {
    /// The last handle waits for the writer, so that nothing accepted is lost in a clean stop.
    fn drop(&mut self) {
        if Arc::strong_count(&self.thread) > 1 {
            return;
        }
        let (closed, _) = mpsc::unbounded_channel();
        self.commands = closed;
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

/// The room that a batch takes; one larger than the whole bound takes all of it.
fn permits(batch: &Batch) -> u32 {
    let bytes: usize = batch.lines.iter().map(Line::cost).sum();
    u32::try_from(bytes).unwrap_or(u32::MAX).min(WAITING_BYTES)
}

#[cfg(test)]
mod tests;
