//! The files of an event log: the one that is written, and the one before. Each begins with what is needed to
//! read it by itself: its header, what the node has, and every version with its name and what was held of it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use pilotlight_model::ladder::Rung;
use pilotlight_model::start::Instant;
use pilotlight_policy::event::{Deployed, Held, Room};
use pilotlight_policy::eventlog::{Header, Line, MAX_NAME};
use pilotlight_policy::{Event, VersionId};

use super::{Entry, EventLogConfig};
use crate::clock;

/// What is written to, with what each new file begins with.
pub(super) struct LogFile {
    path: PathBuf,
    /// Bytes of one file.
    most: u64,
    policy: String,
    /// Absent after an error: a log that goes on behind a gap would not be what happened.
    out: Option<BufWriter<File>>,
    bytes: u64,
    /// How many of them it began with.
    beginning: u64,
    room: Option<Room>,
    versions: BTreeMap<VersionId, Known>,
}

#[derive(Default)]
struct Known {
    name: String,
    deployed: Option<Deployed>,
    /// What was made for starts to come and is there, on one node.
    held: BTreeMap<Rung, Held>,
    /// That it can have no template, where that was said.
    refused: Option<Event>,
}

impl LogFile {
    /// A log that begins now. What an earlier one left is kept as the file before.
    pub(super) fn create(config: &EventLogConfig, policy: &str) -> io::Result<Self> {
        let mut file = Self {
            path: config.path.clone(),
            most: config.bytes / 2,
            policy: policy.to_owned(),
            out: None,
            bytes: 0,
            beginning: 0,
            room: None,
            versions: BTreeMap::new(),
        };
        file.begin(clock::now(), false)?;
        Ok(file)
    }

    /// Writes an entry down. False if it is in no file.
    pub(super) fn write(&mut self, entry: Entry) -> bool {
        if self.out.is_none() {
            return false;
        }
        let written = self.try_write(entry);
        if let Err(error) = &written {
            let path = self.path.display();
            tracing::error!(%error, %path, "the event log ends: it cannot be written");
            self.out = None;
        }
        written.is_ok()
    }

    /// What has been written is in the file.
    pub(super) fn flush(&mut self) {
        let flushed = self.out.as_mut().map_or(Ok(()), BufWriter::flush);
        if let Err(error) = flushed {
            let path = self.path.display();
            tracing::error!(%error, %path, "the event log ends: it cannot be written");
            self.out = None;
        }
    }

    fn try_write(&mut self, entry: Entry) -> io::Result<()> {
        match entry {
            Entry::Name(version, mut name) => {
                let mut end = name.len().min(MAX_NAME);
                while !name.is_char_boundary(end) {
                    end -= 1;
                }
                name.truncate(end);
                self.versions.entry(version).or_default().name = name.clone();
                self.line(&Line::Name(version, name))
            }
            Entry::Told {
                at,
                event,
                actions,
                after_gap,
            } => {
                if after_gap {
                    tracing::warn!("events were dropped: the event log goes on in a new file");
                }
                // Between events, so that what was ordered stands behind what it was ordered for.
                if after_gap || self.is_full() {
                    self.begin(at, !after_gap)?;
                }
                self.remember(&event);
                self.line(&Line::Event(at, event))?;
                for action in actions {
                    self.line(&Line::Action(action))?;
                }
                Ok(())
            }
            Entry::Written(_) => Ok(()),
        }
    }

    /// A file holds at least as much of what happens as it took to begin.
    fn is_full(&self) -> bool {
        self.bytes >= self.most.max(2 * self.beginning)
    }

    /// What a file that begins later has to say first.
    fn remember(&mut self, event: &Event) {
        match event {
            Event::Node(room) => self.room = Some(*room),
            Event::Deployed(deployed) => {
                let known = self.versions.entry(deployed.version).or_default();
                (known.deployed, known.refused) = (Some(*deployed), None);
            }
            Event::Retired(version) => {
                self.versions.remove(version);
            }
            Event::Held(held) => {
                if let Some(known) = self.versions.get_mut(&held.version) {
                    known.held.insert(held.rung, *held);
                    known.refused = None;
                }
            }
            Event::Refused { version, .. } => {
                if let Some(known) = self.versions.get_mut(version) {
                    known.refused = Some(*event);
                }
            }
            Event::Lost { version, rung, .. } => {
                if let Some(known) = self.versions.get_mut(version) {
                    known.held.remove(rung);
                }
            }
            _ => {}
        }
    }

    /// Begins a new file, which goes on with the one before unless something is missing between them.
    fn begin(&mut self, at: Instant, goes_on: bool) -> io::Result<()> {
        if let Some(mut out) = self.out.take() {
            out.flush()?;
        }
        match fs::rename(&self.path, before(&self.path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        // It says who called what and when.
        options.write(true).create_new(true).mode(0o600);
        self.out = Some(BufWriter::new(options.open(&self.path)?));
        self.bytes = 0;
        let since_ms = clock::now().since(at).as_millis();
        let began_ms = clock::unix_ms().saturating_sub(since_ms as u64);
        let known = self.known(at);
        let header = Header::new(&self.policy, began_ms, at);
        let header = match goes_on {
            true => header.repeating(known.len() as u32),
            false => header,
        };
        self.text(&header.line())?;
        for line in &known {
            self.line(line)?;
        }
        self.beginning = self.bytes;
        Ok(())
    }

    /// What has been said and still holds.
    fn known(&self, at: Instant) -> Vec<Line> {
        let room = self.room.map(|room| Line::Event(at, Event::Node(room)));
        let versions = self.versions.iter().flat_map(|(version, known)| {
            let name = (!known.name.is_empty()).then(|| Line::Name(*version, known.name.clone()));
            let deployed = known
                .deployed
                .map(|it| Line::Event(at, Event::Deployed(it)));
            let held = known
                .held
                .values()
                .map(|it| Line::Event(at, Event::Held(*it)));
            let refused = known.refused.map(|it| Line::Event(at, it));
            name.into_iter().chain(deployed).chain(held).chain(refused)
        });
        room.into_iter().chain(versions).collect()
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        self.text(&line.line())
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        let Some(out) = &mut self.out else {
            return Ok(());
        };
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
        self.bytes += text.len() as u64 + 1;
        Ok(())
    }
}

/// Where the file before is.
fn before(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}
