//! One log group on disk: segment files of JSON lines, each named by the position of its first byte.
//!
//! A position is the number of bytes ever written before it, so it grows for ever and outlives
//! rotation: the oldest segments go, the names of the others do not change. A line is
//! `{"t":<ms>,"s":"<stream>","m":"<message>"}` and a line feed; JSON escapes any line feed inside, so the line
//! feed is the mark of a whole record. A torn last line is cut off when the journal is opened, and a
//! line that does not parse is stepped over, so that garbage costs itself and nothing else.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use pilotlight_model::node::LogLine;
use serde::{Deserialize, Serialize};

use super::{Batch, LINE_BYTES, LogGroup};

/// A journal consists of about this many segments, so that rotation loses this part of it at most.
const SEGMENTS: u64 = 8;
/// Longest record that is read: every byte of a message may be escaped to six.
const RECORD_BYTES: usize = 6 * LINE_BYTES + 4096;
/// Bytes that one call of [`read`] looks at.
const READ_BYTES: u64 = 16 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    t: u64,
    #[serde(borrow)]
    s: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    m: std::borrow::Cow<'a, str>,
}

/// A journal open for appending.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    /// Bytes kept, over all segments.
    limit: u64,
    /// Segments oldest first, the last one open.
    segments: Vec<Segment>,
    file: File,
}

#[derive(Debug, Clone)]
struct Segment {
    /// Position of its first byte.
    base: u64,
    len: u64,
    path: PathBuf,
}

impl Segment {
    fn end(&self) -> u64 {
        self.base + self.len
    }
}

/// Where the journal of that group is.
pub(super) fn folder_of(store: &Path, group: &LogGroup) -> PathBuf {
    store
        .join(group.account.as_str())
        .join(group.region.as_str())
        .join(file_name(&group.name))
}

/// A group's name as a file name: readable, unambiguous and never too long.
fn file_name(group: &str) -> String {
    let mut name = String::new();
    for byte in group.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            other => name.push_str(&format!("%{other:02X}")),
        }
    }
    if name.len() > 200 {
        name.truncate(120);
        name.push('~');
        name.push_str(&blake3::hash(group.as_bytes()).to_hex());
    }
    name
}

impl Journal {
    /// Opens the journal, makes it if it is new, and cuts off a torn last line.
    pub(super) fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut segments = segments(folder)?;
        let (file, last) = match segments.pop() {
            Some(last) => open_segment(last)?,
            None => open_segment(Segment {
                base: 0,
                len: 0,
                path: segment_path(folder, 0),
            })?,
        };
        segments.push(last);
        Ok(Self {
            folder: folder.to_owned(),
            limit: limit.max(1),
            segments,
            file,
        })
    }

    /// Appends the batch as a whole, or not at all.
    pub(super) fn append(&mut self, batch: &Batch) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(batch.lines.iter().map(|line| line.cost() + 64).sum());
        for line in &batch.lines {
            let record = Record {
                t: line.at_ms,
                s: (&*batch.stream).into(),
                m: line.message.as_str().into(),
            };
            serde_json::to_writer(&mut bytes, &record)?;
            bytes.push(b'\n');
        }
        if self.last().len > 0 && self.last().len + bytes.len() as u64 > self.limit / SEGMENTS {
            self.rotate()?;
        }
        if let Err(error) = self.file.write_all(&bytes) {
            // Part of it may have been written; what is there is taken back, or cut off when the
            // journal is opened again.
            let _ = self.file.set_len(self.last().len);
            return Err(error);
        }
        self.last_mut().len += bytes.len() as u64;
        self.forget_oldest();
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let base = self.last().end();
        let path = segment_path(&self.folder, base);
        let (file, segment) = open_segment(Segment { base, len: 0, path })?;
        self.file = file;
        self.segments.push(segment);
        Ok(())
    }

    /// Removes the oldest segments while the journal is over its limit; the open one always stays.
    fn forget_oldest(&mut self) {
        let mut total: u64 = self.segments.iter().map(|segment| segment.len).sum();
        while total > self.limit && self.segments.len() > 1 {
            let oldest = self.segments.remove(0);
            total -= oldest.len;
            if let Err(error) = fs::remove_file(&oldest.path) {
                tracing::warn!(path = %oldest.path.display(), %error, "old log segment stays");
            }
        }
    }

    fn last(&self) -> &Segment {
        self.segments
            .last()
            .expect("a journal has at least one segment")
    }

    fn last_mut(&mut self) -> &mut Segment {
        self.segments
            .last_mut()
            .expect("a journal has at least one segment")
    }
}

fn segment_path(folder: &Path, base: u64) -> PathBuf {
    folder.join(format!("{base:020}.jsonl"))
}

/// Opens a segment for appending, without a torn last line.
fn open_segment(mut segment: Segment) -> io::Result<(File, Segment)> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(&segment.path)?;
    let whole = whole_bytes(&mut file, segment.len)?;
    if whole < segment.len {
        file.set_len(whole)?;
        segment.len = whole;
    }
    Ok((file, segment))
}

/// Length of the file up to and with its last line feed, sought backwards from its end.
fn whole_bytes(file: &mut File, len: u64) -> io::Result<u64> {
    const BLOCK: u64 = 64 * 1024;
    let mut end = len;
    let mut block = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(begin))?;
        block.clear();
        (&*file).take(end - begin).read_to_end(&mut block)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// The segments that are there, oldest first. Files that are none are left alone.
fn segments(folder: &Path) -> io::Result<Vec<Segment>> {
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
        match fs::metadata(&path) {
            Ok(metadata) => found.push(Segment {
                base,
                len: metadata.len(),
                path,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_unstable_by_key(|segment| segment.base);
    Ok(found)
}

/// Up to `limit` lines behind `position`. A position that rotation has overtaken reads on at the
/// oldest line kept.
pub(super) fn read(folder: &Path, position: u64, limit: usize) -> io::Result<Vec<LogLine>> {
    let mut lines = Vec::new();
    let mut budget = READ_BYTES;
    for segment in segments(folder)? {
        if segment.end() <= position {
            continue;
        }
        if lines.len() >= limit || budget == 0 {
            break;
        }
        match read_segment(&segment, position, limit, &mut budget, &mut lines) {
            // Rotation was faster; the next segment is there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(lines)
}

fn read_segment(
    segment: &Segment,
    position: u64,
    limit: usize,
    budget: &mut u64,
    lines: &mut Vec<LogLine>,
) -> io::Result<()> {
    let mut at = position.max(segment.base);
    let mut file = File::open(&segment.path)?;
    file.seek(SeekFrom::Start(at - segment.base))?;
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let mut bytes = Vec::new();
    while lines.len() < limit && *budget > 0 {
        bytes.clear();
        let read = reader
            .by_ref()
            .take(RECORD_BYTES as u64)
            .read_until(b'\n', &mut bytes)?;
        if read == 0 {
            break;
        }
        at += read as u64;
        *budget = budget.saturating_sub(read as u64);
        if bytes.last() != Some(&b'\n') && read < RECORD_BYTES {
            // Still being written, or torn off: not a line yet.
            break;
        }
        if let Ok(record) = serde_json::from_slice::<Record<'_>>(&bytes) {
            lines.push(LogLine {
                position: at,
                at_ms: record.t,
                stream: record.s.into_owned(),
                message: record.m.into_owned(),
            });
        }
    }
    Ok(())
}
