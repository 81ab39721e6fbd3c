//! One log group on disk, open for appending: segments, each named by the position of its first byte.
//!
//! A position is the number of bytes ever written before it, so it grows for ever and outlives
//! rotation: the oldest segments go, the names of the others do not change. A torn last line is cut off
//! when the journal is opened.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pilotlight_model::node::LogLine;

use super::Batch;
use super::segment::{self, Lines, Record, Segment};

/// A journal consists of about this many segments, so that rotation loses this part of it at most.
const SEGMENTS: u64 = 8;
/// Bytes that one call of [`read`] looks at.
const READ_BYTES: u64 = 16 * 1024 * 1024;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A journal open for appending.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    /// Bytes kept, over all segments.
    limit: u64,
    /// Segments oldest first, the last one open.
    segments: Vec<Segment>,
    file: File,
    /// Whether the open segment's name is known to be on stable storage.
    named: bool,
}

impl Journal {
    /// Opens the journal, makes it if it is new, and cuts off a torn last line.
    pub(super) fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut segments = segment::all(folder)?;
        let (file, last) = match segments.pop() {
            Some(last) => open_segment(folder, last.base)?,
            None => open_segment(folder, 0)?,
        };
        segments.push(last);
        Ok(Self {
            folder: folder.to_owned(),
            limit: limit.max(1),
            segments,
            file,
            named: false,
        })
    }

    /// Appends the batch as a whole, or not at all; returns its bytes.
    pub(super) fn append(&mut self, batch: &Batch) -> io::Result<u64> {
        let mut bytes = Vec::with_capacity(batch.lines.iter().map(|line| line.cost() + 64).sum());
        for line in &batch.lines {
            let record = Record {
                t: line.at_ms,
                s: (&*batch.stream).into(),
                m: line.message.as_str().into(),
                i: batch.ingested_ms,
                d: false,
            };
            serde_json::to_writer(&mut bytes, &record)?;
            bytes.push(b'\n');
        }
        self.write(&bytes)?;
        Ok(bytes.len() as u64)
    }

    /// Marks everything so far of a stream as deleted; returns the bytes that this took.
    pub(super) fn delete_stream(&mut self, stream: &str, now_ms: u64) -> io::Result<u64> {
        let record = Record {
            t: now_ms,
            s: stream.into(),
            m: "".into(),
            i: None,
            d: true,
        };
        let mut bytes = serde_json::to_vec(&record)?;
        bytes.push(b'\n');
        self.write(&bytes)?;
        self.sync()?;
        Ok(bytes.len() as u64)
    }

    /// Returns when what was appended is on stable storage, and can be found there.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        if !self.named {
            // The folders of group, region, account and store may be as new as the file.
            for folder in self.folder.ancestors().take(4) {
                File::open(folder)?.sync_all()?;
            }
            self.named = true;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.last().len > 0 && self.last().len + bytes.len() as u64 > self.limit / SEGMENTS {
            self.rotate()?;
        }
        if let Err(error) = self.file.write_all(bytes) {
            // Part of it may have been written; what is there is taken back, or cut off when the
            // journal is opened again.
            let _ = self.file.set_len(self.last().len);
            return Err(error);
        }
        self.last_mut().len += bytes.len() as u64;
        self.forget_oldest();
        Ok(())
    }

    /// Forgets segments that nothing has been written to for that long, and begins a new one where the open
    /// one would otherwise hold on to lines much older than those.
    pub(super) fn expire(&mut self, keep: Duration, now: SystemTime) -> io::Result<()> {
        let older = |since: SystemTime, than: Duration| {
            now.duration_since(since).is_ok_and(|age| age > than)
        };
        if let Some(began) = self.began()?
            && older(began, (keep / SEGMENTS as u32).max(DAY).min(keep))
        {
            self.rotate()?;
        }
        while self.segments.len() > 1 {
            // Those that are not open do not change any more.
            let oldest = Segment::of(self.segments[0].path.clone(), self.segments[0].base);
            match oldest {
                Ok(oldest) if !older(oldest.modified, keep) => break,
                Ok(_) => self.remove_oldest(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.segments.remove(0);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Time of the first line of the open segment.
    fn began(&self) -> io::Result<Option<SystemTime>> {
        let last = self.last();
        if last.len == 0 {
            return Ok(None);
        }
        let mut lines = Lines::open(last, last.base)?;
        while let Some(line) = lines.next()? {
            if let Some(record) = line {
                let at = Duration::from_millis(record.i.unwrap_or(record.t));
                return Ok(SystemTime::UNIX_EPOCH.checked_add(at));
            }
        }
        Ok(None)
    }

    fn rotate(&mut self) -> io::Result<()> {
        let (file, segment) = open_segment(&self.folder, self.last().end())?;
        self.file = file;
        self.named = false;
        self.segments.push(segment);
        Ok(())
    }

    /// Removes the oldest segments while the journal is over its limit; the open one always stays.
    fn forget_oldest(&mut self) {
        let mut total: u64 = self.segments.iter().map(|segment| segment.len).sum();
        while total > self.limit && self.segments.len() > 1 {
            total -= self.segments[0].len;
            self.remove_oldest();
        }
    }

    fn remove_oldest(&mut self) {
        let oldest = self.segments.remove(0);
        if let Err(error) = fs::remove_file(&oldest.path) {
            tracing::warn!(path = %oldest.path.display(), %error, "old log segment stays");
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

/// Opens a segment for appending, without a torn last line.
fn open_segment(folder: &Path, base: u64) -> io::Result<(File, Segment)> {
    let path = segment::path_of(folder, base);
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(&path)?;
    let mut segment = Segment::of(path, base)?;
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

/// Up to `limit` lines behind `position`. A position that rotation has overtaken reads on at the
/// oldest line kept; one that the journal has not come to belongs to a journal that was deleted, and reads
/// this one from its beginning.
pub(super) fn read(folder: &Path, position: u64, limit: usize) -> io::Result<Vec<LogLine>> {
    let mut lines = Vec::new();
    let mut budget = READ_BYTES;
    let segments = segment::all(folder)?;
    let position = match segments.last() {
        Some(last) if last.end() < position => 0,
        _ => position,
    };
    for segment in segments {
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
    let begin = position.max(segment.base);
    let mut reader = Lines::open(segment, begin)?;
    let last = begin + *budget;
    while lines.len() < limit && reader.position() < last {
        let Some(line) = reader.next()? else { break };
        let read = line
            .filter(|record| !record.d)
            .map(|record| (record.t, record.s.into_owned(), record.m.into_owned()));
        if let Some((at_ms, stream, message)) = read {
            lines.push(LogLine {
                position: reader.position(),
                at_ms,
                stream,
                message,
            });
        }
    }
    *budget = budget.saturating_sub(reader.position() - begin);
    Ok(())
}
