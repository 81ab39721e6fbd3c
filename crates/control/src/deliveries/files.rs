//! Files of messages, one JSON object per line. One thread writes them all: it takes what waits, appends it
//! file by file and syncs each once, so that a flood of messages shares its syncs. A file that reaches its
//! limit becomes `NAME.1.jsonl`, whose predecessor is dropped.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tokio::sync::{mpsc, oneshot};

/// Lines that wait for the writer; more wait in the callers.
const WAITING: usize = 256;
/// Files of one folder that are named by users; what would need another goes to [`OTHERS`].
const NAMED: usize = 1_000;
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
            let written = append(&path, &lines, limit)
                .map_err(|error| format!("cannot write {}: {error}", path.display()));
            for job in jobs {
                // A caller that went away does not need the answer.
                let _ = job.answer.send(written.clone());
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

/// Appends whole lines and syncs. What cannot be written wholly is taken back.
fn append(path: &Path, lines: &[u8], limit: u64) -> io::Result<Written> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let mut written = Written::default();
    let mut file = open(path)?;
    let mut length = file.seek(SeekFrom::End(0))?;
    if length > 0 && length.saturating_add(lines.len() as u64) > limit {
        let older = path.with_extension("1.jsonl");
        written.dropped = older.exists();
        std::fs::rename(path, older)?;
        file = open(path)?;
        length = 0;
    }
    let kept = length;
    // A power cut may have left half a line; the message it belonged to is delivered anew.
    let broken = length > 0 && !ends_with_line(&mut file, length)?;
    let result = match broken {
        true => file.write_all(b"\n"),
        false => Ok(()),
    }
    .and_then(|()| file.write_all(lines))
    .and_then(|()| file.sync_data());
    if let Err(error) = result {
        file.set_len(kept)?;
        return Err(error);
    }
    if kept == 0 {
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

fn ends_with_line(file: &mut File, length: u64) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::Start(length - 1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_and_a_torn_one_does_not_spoil_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("123/us-east-1/q.jsonl");
        append(&path, b"{}\n", 1_000).unwrap();
        append(&path, b"{\"a\":1}\n{}\n", 1_000).unwrap();
        std::fs::write(&path, "{}\n{\"to").unwrap();
        append(&path, b"{\"a\":2}\n", 1_000).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{}\n{\"to\n{\"a\":2}\n");
    }

    #[test]
    fn a_full_file_makes_room_and_the_one_before_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("q.jsonl");
        let dropped: Vec<bool> = (1..=4)
            .map(|number| {
                let line = format!("{number}234567\n");
                append(&path, line.as_bytes(), 10).unwrap().dropped
            })
            .collect();
        assert_eq!(dropped, [false, false, true, true]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "4234567\n");
        let older = dir.path().join("q.1.jsonl");
        assert_eq!(std::fs::read_to_string(older).unwrap(), "3234567\n");
    }

    #[test]
    fn users_cannot_name_more_files_than_there_may_be() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            let path = dir.path().join(format!("{name}.jsonl"));
            assert_eq!(among_named(path.clone(), 2), path);
            append(&path, b"{}\n", 1_000).unwrap();
        }
        let (known, new) = (dir.path().join("b.jsonl"), dir.path().join("c.jsonl"));
        assert_eq!(among_named(known.clone(), 2), known);
        assert_eq!(among_named(new, 2), dir.path().join(OTHERS));
    }

    #[tokio::test]
    async fn the_writer_answers_each_and_survives_what_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let files = Files::start(1_000).unwrap();
        let blocked = dir.path().join("file/q.jsonl");
        let error = files.append(blocked, b"{}\n".to_vec()).await.unwrap_err();
        assert!(error.starts_with("cannot write "), "{error}");
        let path = dir.path().join("q.jsonl");
        let all =
            (0..100).map(|number| files.append(path.clone(), format!("{number}\n").into_bytes()));
        for written in all {
            written.await.unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 100);
    }
}
