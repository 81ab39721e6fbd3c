//! The files that a journal consists of, and the lines in them.
//!
//! A segment is named by the position of its first byte. A line is
//! `{"t":<ms>,"s":"<stream>","m":"<message>"}` and a line feed; JSON escapes any line feed inside, so the
//! line feed is the mark of a whole record. `i` is there where an event came in at another time than its
//! own, as those of PutLogEvents do; `d` says that everything before of that stream is deleted.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Take};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::LINE_BYTES;

/// Longest record that is read: every byte of a message may be escaped to six.
const RECORD_BYTES: usize = 6 * LINE_BYTES + 4096;
/// Bytes that are read from a file at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// One line of a segment.
#[derive(Serialize, Deserialize)]
pub(super) struct Record<'a> {
    pub(super) t: u64,
    #[serde(borrow)]
    pub(super) s: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) m: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) i: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) d: bool,
}

/// A file of a journal.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// Position of its first byte.
    pub(super) base: u64,
    pub(super) len: u64,
    pub(super) path: PathBuf,
    /// Tells a file from another that has taken its name.
    pub(super) inode: u64,
    /// When it was last written to.
    pub(super) modified: SystemTime,
}

impl Segment {
    /// Position behind its last byte.
    pub(super) fn end(&self) -> u64 {
        self.base + self.len
    }

    /// The segment of that file as it is now.
    pub(super) fn of(path: PathBuf, base: u64) -> io::Result<Self> {
        let metadata = fs::metadata(&path)?;
        Ok(Self {
            base,
            len: metadata.len(),
            path,
            inode: metadata.ino(),
            modified: metadata.modified()?,
        })
    }
}

/// Where the segment is that begins at that position.
pub(super) fn path_of(folder: &Path, base: u64) -> PathBuf {
    folder.join(format!("{base:020}.jsonl"))
}

/// The segments that are there, oldest first. Files that are none are left alone.
pub(super) fn all(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let base = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(".jsonl"))
            .and_then(|digits| digits.parse().ok());
        let Some(base) = base else { continue };
        match Segment::of(path, base) {
            Ok(segment) => found.push(segment),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_unstable_by_key(|segment| segment.base);
    Ok(found)
}

/// Whole lines of a segment, one after the other.
pub(super) struct Lines {
    /// Up to where the segment was known to reach.
    reader: BufReader<Take<File>>,
    at: u64,
    bytes: Vec<u8>,
}

impl Lines {
    /// From a position on, which must not be before the segment's first.
    pub(super) fn open(segment: &Segment, position: u64) -> io::Result<Self> {
        let mut file = File::open(&segment.path)?;
        file.seek(SeekFrom::Start(position - segment.base))?;
        let known = file.take(segment.end().saturating_sub(position));
        Ok(Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, known),
            at: position,
            bytes: Vec::new(),
        })
    }

    /// Position behind the last line that was given.
    pub(super) fn position(&self) -> u64 {
        self.at
    }

    /// The next line, or `None` where there is no whole one. A line that is no record is `Some(None)`: garbage
    /// costs itself and nothing else.
    pub(super) fn next(&mut self) -> io::Result<Option<Option<Record<'_>>>> {
        self.bytes.clear();
        let read = self
            .reader
            .by_ref()
            .take(RECORD_BYTES as u64)
            .read_until(b'\n', &mut self.bytes)?;
        if read == 0 || self.bytes.last() != Some(&b'\n') && read < RECORD_BYTES {
            // The end; or still being written, or torn off: not a line yet.
            return Ok(None);
        }
        self.at += read as u64;
        Ok(Some(serde_json::from_slice(&self.bytes).ok()))
    }
}
