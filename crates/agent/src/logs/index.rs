//! What lies where in a journal: its lines in blocks, each with the times and streams in it, and the streams.
//!
//! It is made by reading the journal once, and kept up by reading what has been written since, so that who
//! follows a log reads its end alone.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use pilotlight_model::logs::{LogQuery, StreamFacts, Streams};

use super::segment::{self, Lines, Segment};

/// Bytes of a block: what is read at least to find one line.
const BLOCK_BYTES: u64 = 64 * 1024;
/// What a stream is taken to weigh beside its name.
const STREAM_BYTES: usize = 160;

/// Index of one journal.
#[derive(Debug, Default)]
pub(super) struct Index {
    parts: Vec<Part>,
    streams: HashMap<u32, Stream>,
    ids: HashMap<Arc<str>, u32>,
    next_id: u32,
}

/// Index of one segment.
#[derive(Debug)]
struct Part {
    segment: Segment,
    /// Position up to which it has been read.
    read: u64,
    blocks: Vec<Block>,
}

/// Some lines that follow each other.
#[derive(Debug, Clone)]
struct Block {
    begin: u64,
    end: u64,
    first_ms: u64,
    last_ms: u64,
    /// Ids of the streams that have lines in it, in order.
    streams: Vec<u32>,
}

#[derive(Debug)]
struct Stream {
    facts: StreamFacts,
    /// Lines before this position have been deleted.
    deleted: u64,
    /// Whether there are lines behind it.
    alive: bool,
}

/// The blocks that an answer may come from.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) spans: Vec<Span>,
    /// Streams of which lines have been deleted, with the position before which.
    pub(super) deleted: HashMap<Arc<str>, u64>,
}

/// A block to be read.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) segment: Arc<Segment>,
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) first_ms: u64,
    pub(super) last_ms: u64,
}

impl Index {
    /// Takes in what has been written since the last time, and lets go of what is gone.
    pub(super) fn refresh(&mut self, folder: &Path) -> io::Result<()> {
        let now = segment::all(folder)?;
        let known = |part: &Part| {
            now.iter().any(|segment| {
                segment.base == part.segment.base
                    && segment.inode == part.segment.inode
                    && segment.end() >= part.read
            })
        };
        let before = self.parts.len();
        self.parts.retain(known);
        if self.parts.len() < before {
            self.forget_streams();
        }
        for segment in now {
            let at = self
                .parts
                .partition_point(|part| part.segment.base < segment.base);
            match self.parts.get_mut(at) {
                Some(part) if part.segment.base == segment.base => part.segment = segment,
                _ => self.parts.insert(
                    at,
                    Part {
                        read: segment.base,
                        segment,
                        blocks: Vec::new(),
                    },
                ),
            }
            match self.read_on(at) {
                // Rotation was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.parts.remove(at);
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// The streams that have lines.
    pub(super) fn streams(&self) -> Vec<StreamFacts> {
        let alive = self.streams.values().filter(|stream| stream.alive);
        alive.map(|stream| stream.facts.clone()).collect()
    }

    /// Where the lines may be that a query asks for.
    pub(super) fn plan(&self, query: &LogQuery) -> Plan {
        let all = query.streams == Streams::All;
        let named = self.streams.iter().filter(|(_, stream)| {
            !all && stream.alive && query.streams.contain(&stream.facts.name)
        });
        let streams: HashSet<u32> = named.map(|(id, _)| *id).collect();
        let mut plan = Plan::default();
        for part in &self.parts {
            let segment = Arc::new(part.segment.clone());
            let blocks = part.blocks.iter().filter(|block| {
                block.last_ms >= query.from_ms
                    && block.first_ms < query.until_ms
                    && (all || block.streams.iter().any(|id| streams.contains(id)))
            });
            plan.spans.extend(blocks.map(|block| Span {
                segment: Arc::clone(&segment),
                begin: block.begin,
                end: block.end,
                first_ms: block.first_ms,
                last_ms: block.last_ms,
            }));
        }
        let cut = self.streams.values().filter(|stream| stream.deleted > 0);
        plan.deleted = cut
            .map(|stream| (Arc::clone(&stream.facts.name), stream.deleted))
            .collect();
        plan
    }

    /// About how many bytes of memory it takes.
    pub(super) fn weight(&self) -> usize {
        let blocks = self.parts.iter().flat_map(|part| &part.blocks);
        let blocks: usize = blocks
            .map(|block| size_of::<Block>() + size_of::<u32>() * block.streams.len())
            .sum();
        let names: usize = self.ids.keys().map(|name| name.len() + STREAM_BYTES).sum();
        blocks + names
    }

    /// Reads a segment from where it was left.
    fn read_on(&mut self, at: usize) -> io::Result<()> {
        let part = &mut self.parts[at];
        if part.read >= part.segment.end() {
            return Ok(());
        }
        let mut lines = Lines::open(&part.segment, part.read)?;
        loop {
            let begin = lines.position();
            let Some(line) = lines.next()? else { break };
            let Some(record) = line else {
                self.parts[at].read = lines.position();
                continue;
            };
            let (at_ms, ingested_ms, deletes) = (record.t, record.i.unwrap_or(record.t), record.d);
            let id = match self.ids.get(&*record.s) {
                Some(id) => *id,
                None => self.enrol(record.s.into()),
            };
            let end = lines.position();
            let stream = self.streams.get_mut(&id).expect("every id has its stream");
            if deletes {
                stream.delete(end);
            } else {
                stream.note(at_ms, ingested_ms);
            }
            let part = &mut self.parts[at];
            part.read = end;
            part.note(begin, end, at_ms, id);
        }
        Ok(())
    }

    fn enrol(&mut self, name: Arc<str>) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        self.ids.insert(Arc::clone(&name), id);
        self.streams.insert(id, Stream::new(name));
        id
    }

    /// Lets go of streams that no block has lines of.
    fn forget_streams(&mut self) {
        let blocks = self.parts.iter().flat_map(|part| &part.blocks);
        let there: HashSet<u32> = blocks.flat_map(|block| &block.streams).copied().collect();
        self.streams.retain(|id, _| there.contains(id));
        self.ids.retain(|_, id| there.contains(id));
    }
}

impl Part {
    fn note(&mut self, begin: u64, end: u64, at_ms: u64, stream: u32) {
        match self.blocks.last_mut() {
            Some(block) if end - block.begin <= BLOCK_BYTES => {
                block.end = end;
                block.first_ms = block.first_ms.min(at_ms);
                block.last_ms = block.last_ms.max(at_ms);
                if let Err(place) = block.streams.binary_search(&stream) {
                    block.streams.insert(place, stream);
                }
            }
            _ => self.blocks.push(Block {
                begin,
                end,
                first_ms: at_ms,
                last_ms: at_ms,
                streams: vec![stream],
            }),
        }
    }
}

impl Stream {
    fn new(name: Arc<str>) -> Self {
        Self {
            facts: StreamFacts {
                name,
                created_ms: 0,
                first_ms: 0,
                last_ms: 0,
                ingested_ms: 0,
            },
            deleted: 0,
            alive: false,
        }
    }

    fn note(&mut self, at_ms: u64, ingested_ms: u64) {
        let facts = &mut self.facts;
        if !self.alive {
            self.alive = true;
            (facts.created_ms, facts.first_ms, facts.last_ms) = (ingested_ms, at_ms, at_ms);
        }
        facts.first_ms = facts.first_ms.min(at_ms);
        facts.last_ms = facts.last_ms.max(at_ms);
        facts.ingested_ms = ingested_ms;
    }

    fn delete(&mut self, position: u64) {
        (self.deleted, self.alive) = (position, false);
    }
}
