//! Finds the events that a query asks for, in the order of their times, whatever order they were written in.
//!
//! Blocks are read in the order of the earliest event that each may have. Kept are the first events found so
//! far, as many as a page has; once no unread block can have an earlier one than the last of them, the page
//! is whole. Lines are written almost in order, so that this is a block or two.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use pilotlight_model::logs::{Cursor, LogEvent, LogPage, LogQuery};

use super::index::{Plan, Span};
use super::segment::Lines;

/// Bytes that one call looks at before it gives back what it has, in a place where it can go on.
const SCAN_BYTES: u64 = 16 * 1024 * 1024;
/// Time after which it does the same: a pattern can cost much more than the bytes that it is held against.
const SCAN_TIME: Duration = Duration::from_secs(2);

/// A cursor as a number that grows in the direction of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u128);

impl Key {
    fn of(cursor: Cursor, backwards: bool) -> Self {
        let forwards = u128::from(cursor.at_ms) << 64 | u128::from(cursor.position);
        Key(if backwards { !forwards } else { forwards })
    }

    fn cursor(self, backwards: bool) -> Cursor {
        let forwards = if backwards { !self.0 } else { self.0 };
        Cursor {
            at_ms: (forwards >> 64) as u64,
            position: forwards as u64,
        }
    }

    /// Before every event that the block may have.
    fn before(span: &Span, backwards: bool) -> Self {
        let (at_ms, position) = match backwards {
            false => (span.first_ms, 0),
            true => (span.last_ms, u64::MAX),
        };
        Self::of(Cursor { at_ms, position }, backwards)
    }

    /// Behind every event that the block may have.
    fn last(span: &Span, backwards: bool) -> Self {
        let (at_ms, position) = match backwards {
            false => (span.last_ms, u64::MAX),
            true => (span.first_ms, 0),
        };
        Self::of(Cursor { at_ms, position }, backwards)
    }
}

/// What has been found.
struct Found<'a> {
    query: &'a LogQuery,
    after: Option<Key>,
    events: BTreeMap<Key, LogEvent>,
    bytes: usize,
    /// Whether there was more than a page has.
    over: bool,
}

/// The page that a query asks for, from the blocks of its plan.
pub(super) fn page(mut plan: Plan, query: &LogQuery) -> io::Result<LogPage> {
    let backwards = query.backwards;
    let after = query.after.map(|cursor| Key::of(cursor, backwards));
    plan.spans
        .retain(|span| after.is_none_or(|after| Key::last(span, backwards) > after));
    plan.spans
        .sort_by_cached_key(|span| Key::before(span, backwards));
    let mut found = Found {
        query,
        after,
        events: BTreeMap::new(),
        bytes: 0,
        over: false,
    };
    let (mut scanned, began) = (0, Instant::now());
    for span in &plan.spans {
        let first = Key::before(span, backwards);
        if found.whole_before(first) {
            return Ok(found.page(None));
        }
        let tired = scanned >= SCAN_BYTES || began.elapsed() >= SCAN_TIME;
        if tired && scanned > 0 && after.is_none_or(|after| first > after) {
            // Everything before this block's earliest event has been seen.
            return Ok(found.page(Some(first)));
        }
        scanned += span.end - span.begin;
        match found.read(span, &plan) {
            // Rotation was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(found.page(None))
}

impl Found<'_> {
    fn read(&mut self, span: &Span, plan: &Plan) -> io::Result<()> {
        let query = self.query;
        let mut lines = Lines::open(&span.segment, span.begin)?;
        while lines.position() < span.end {
            let Some(line) = lines.next()? else { break };
            let Some(record) = line else { continue };
            let wanted = !record.d
                && (query.from_ms..query.until_ms).contains(&record.t)
                && query.streams.contain(&record.s);
            if !wanted {
                continue;
            }
            let (at_ms, ingested_ms) = (record.t, record.i.unwrap_or(record.t));
            // A line of a function is kept without the line end that it is shown with.
            let end = if record.i.is_some() { "" } else { "\n" };
            let (stream, message) = (record.s.into_owned(), format!("{}{end}", record.m));
            let cursor = Cursor {
                at_ms,
                position: lines.position(),
            };
            let deleted = plan.deleted.get(&*stream);
            if deleted.is_some_and(|before| cursor.position <= *before) {
                continue;
            }
            self.offer(LogEvent {
                cursor,
                ingested_ms,
                stream: stream.into(),
                message,
            });
        }
        Ok(())
    }

    /// Keeps an event, unless it is not asked for or there is no room for it.
    fn offer(&mut self, event: LogEvent) {
        let key = Key::of(event.cursor, self.query.backwards);
        if self.after.is_some_and(|after| key <= after) || self.whole_before(key) {
            return;
        }
        if let Some(matcher) = &self.query.matcher
            && !matcher(event.message.trim_end_matches('\n'))
        {
            return;
        }
        self.bytes += event.message.len();
        self.events.insert(key, event);
        while self.events.len() > self.query.limit
            || self.bytes > self.query.bytes && self.events.len() > 1
        {
            if let Some((_, last)) = self.events.pop_last() {
                self.bytes -= last.message.len();
                self.over = true;
            }
        }
    }

    /// Whether a page is full, and nothing from here on belongs on it.
    fn whole_before(&self, key: Key) -> bool {
        let last = self.events.last_key_value();
        self.over && last.is_some_and(|(last, _)| *last < key)
    }

    /// What was found up to that place; `None`: everything.
    fn page(mut self, seen: Option<Key>) -> LogPage {
        let backwards = self.query.backwards;
        let beyond = seen.map(|seen| self.events.split_off(&seen));
        let cut = beyond.is_some_and(|beyond| !beyond.is_empty());
        let next = match self.events.keys().next_back() {
            // What had no room stands behind the last that has some.
            Some(last) if self.over && !cut => Some(*last),
            _ => seen,
        };
        let mut events: Vec<LogEvent> = self.events.into_values().collect();
        if backwards {
            events.reverse();
        }
        LogPage {
            events,
            next: next.map(|key| key.cursor(backwards)),
        }
    }
}
