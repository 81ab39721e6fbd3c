//! Files of messages, one JSON object per line. One thread writes them all: it takes what waits, appends it
//! file by file and syncs each once, so that a flood of messages shares its syncs. A file that reaches its
//! limit becomes `NAME.1.jsonl`, whose predecessor is dropped.
//!
//! A line feed is the mark of a whole message. What is behind the last one was torn off by a kill, a power cut or
//! a full disk; its message still waits in the catalog, and is written anew in its place.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

/// Lines that wait for the writer; more wait in the callers.
const WAITING: usize = 256;
/// Files of one folder that are named by users; what would need another goes to [`OTHERS`].
const NAMED: usize = 1_000;
/// Files that are remembered as failing; of further ones nothing is told.
const FAILING: usize = 1_000;
/// How long after its last failure a file is taken to be well again. A full disk may have room for a short message,
/// and none for the next.
const CALM: Duration = Duration::from_secs(60);
/// The file for all targets that came when there were too many.
const OTHERS: &str = "others.jsonl";

/// The writer's handle; dropping it ends the writer after what it was given.
pub(super) struct Files {
    jobs: mpsc::Sender<Job>,
}

/// What came of an append.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// An older file was dropped for it.
    pub(super) dropped: bool,
}

struct Job {
    path: PathBuf,
    /// A user chose the name.
    named: bool,
    line: Vec<u8>,
    answer: oneshot::Sender<Result<Written, String>>,
}

impl Files {
    /// Starts the writer; `limit` is the size of a file at which a new one is begun.
    pub(super) fn start(limit: u64) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(WAITING);
        std::thread::Builder::new()
            .name("dead-letters".to_owned())
            .spawn(move || write_loop(queue, limit))?;
        Ok(Self { jobs })
    }

    /// Appends a line to a file that the operator has named; on stable storage when this returns.
    pub(super) async fn append(&self, path: PathBuf, line: Vec<u8>) -> Result<Written, String> {
        self.write(path, false, line).await
    }

    /// Appends a line to a file that a user has named, or to one for all of them where there are too many.
    pub(super) async fn append_named(
        &self,
        path: PathBuf,
        line: Vec<u8>,
    ) -> Result<Written, String> {
        self.write(path, true, line).await
    }

    async fn write(&self, path: PathBuf, named: bool, line: Vec<u8>) -> Result<Written, String> {
        let closed = || "the writer of files has ended".to_owned();
        let (answer, written) = oneshot::channel();
        let job = Job {
            path,
            named,
            line,
            answer,
        };
        self.jobs.send(job).await.map_err(|_| closed())?;
        written.await.unwrap_or_else(|_| Err(closed()))
    }
}

fn write_loop(mut queue: mpsc::Receiver<Job>, limit: u64) {
    let mut failing = Failing::default();
    while let Some(first) = queue.blocking_recv() {
        let mut by_path: BTreeMap<PathBuf, Vec<Job>> = BTreeMap::new();
        let mut taken = 1;
        by_path.entry(first.path.clone()).or_default().push(first);
        while taken < WAITING
            && let Ok(job) = queue.try_recv()
        {
            taken += 1;
            by_path.entry(job.path.clone()).or_default().push(job);
        }
        for (path, jobs) in by_path {
            let path = match jobs.iter().any(|job| job.named) {
                true => among_named(path, NAMED),
                false => path,
            };
            let lines: Vec<u8> = jobs
                .iter()
                .flat_map(|job| job.line.iter().copied())
                .collect();
            let written = append(&path, &lines, limit);
            failing.heed(&path, &written, Instant::now());
            let written =
                written.map_err(|error| format!("cannot write {}: {error}", path.display()));
            for job in jobs {
                // A caller that went away does not need the answer.
                let _ = job.answer.send(written.clone());
            }
        }
    }
}

/// The files that cannot be written at the moment, and when that was last seen: each is told of once, and once more
/// when it can be written again.
#[derive(Default)]
struct Failing(BTreeMap<PathBuf, Instant>);

impl Failing {
    fn heed(&mut self, path: &Path, written: &io::Result<Written>, now: Instant) {
        let known = self.0.get_mut(path);
        match (written, known) {
            (Ok(_), None) => {}
            (Ok(_), Some(last)) => {
                if now.duration_since(*last) >= CALM {
                    self.0.remove(path);
                    tracing::info!(path = %path.display(), "messages are written again");
                }
            }
            (Err(_), Some(last)) => *last = now,
            (Err(error), None) => {
                if self.0.len() < FAILING {
                    self.0.insert(path.to_owned(), now);
                    tracing::warn!(
                        path = %path.display(), %error,
                        "messages cannot be written, and wait until they can"
                    );
                }
            }
        }
    }
}

/// The path, or that of the file for all where its folder is full of others.
fn among_named(path: PathBuf, most: usize) -> PathBuf {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let full = || std::fs::read_dir(folder).is_ok_and(|entries| entries.count() >= most);
    match !path.exists() && full() {
        true => folder.join(OTHERS),
        false => path,
    }
}

/// Appends whole lines and syncs. What cannot be written wholly is taken back; where even that fails, the next
/// append cuts it off.
fn append(path: &Path, lines: &[u8], limit: u64) -> io::Result<Written> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let mut written = Written::default();
    let mut file = open(path)?;
    let mut length = cut_off(&mut file, path)?;
    if length > 0 && length.saturating_add(lines.len() as u64) > limit {
        let older = path.with_extension("1.jsonl");
        written.dropped = older.exists();
        std::fs::rename(path, older)?;
        file = open(path)?;
        length = 0;
    }
    let appended = file.write_all(lines).and_then(|()| file.sync_data());
    if let Err(error) = appended {
        file.set_len(length)?;
        return Err(error);
    }
    if length == 0 {
        File::open(folder)?.sync_all()?;
    }
    Ok(written)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// Cuts off what is behind the last line feed; returns the length that is left.
fn cut_off(file: &mut File, path: &Path) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    let whole = whole_bytes(file, length)?;
    if whole < length {
        let bytes = length - whole;
        tracing::info!(path = %path.display(), bytes, "the torn end of a file of messages is cut off");
        file.set_len(whole)?;
    }
    Ok(whole)
}

/// Length up to and with the last line feed, sought backwards from the end.
fn whole_bytes(file: &mut File, length: u64) -> io::Result<u64> {
    const BLOCK: u64 = 64 * 1024;
    let (mut end, mut block) = (length, Vec::new());
    // A file mostly ends with one.
    let mut begin = length.saturating_sub(1);
    while end > 0 {
        file.seek(SeekFrom::Start(begin))?;
        block.clear();
        Read::by_ref(file)
            .take(end - begin)
            .read_to_end(&mut block)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
        begin = end.saturating_sub(BLOCK);
    }
    Ok(0)
}

#[cfg(test)]
mod tests;
