//! The log of what a policy was told and what it ordered: one JSON object a line, the first of which is the
//! [`Header`]. A node writes it; the simulator replays it, and reads it as a trace.
//!
//! Lines are made and understood here; files are for others. What goes in comes out exactly, numbers with a
//! point included, but for those that are none (NaN, infinite), which no event has.

use pilotlight_model::start::Instant;
use serde::{Deserialize, Serialize};

use crate::{Action, Event, VersionId};

/// The format's name.
pub const FORMAT: &str = "pilotlight-events";
/// The format's version that is written. Each that there was is read: 2 has [`Event::Refused`] beside what 1 has, and whom
/// room is missing for.
pub const VERSION: u32 = 2;
/// Bytes of a line at most.
pub const MAX_LINE: usize = 16 << 10;
/// Bytes of a name in it at most.
pub const MAX_NAME: usize = 1 << 10;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`], or one before.
    pub version: u32,
    /// The policy, as [`by_name`](crate::policies::by_name) takes it.
    pub policy: String,
    /// Wall-clock time of [`Header::began`], in milliseconds since 1970.
    pub began_ms: u64,
    /// When the log began, on the clock of its events.
    pub began: Instant,
    /// Where it goes on with what another log ended with: how many lines after this one say again what that one said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<u32>,
}

impl Header {
    /// The header of a log that begins then.
    pub fn new(policy: &str, began_ms: u64, began: Instant) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            policy: policy.to_owned(),
            began_ms,
            began,
            repeats: None,
        }
    }

    /// The header of one that goes on with another, of which so many lines are said again.
    pub fn repeating(self, lines: u32) -> Self {
        Self {
            repeats: Some(lines),
            ..self
        }
    }

    /// Its line, without an end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers are JSON")
    }

    /// The header that a line is.
    pub fn read(line: &str) -> Result<Self, EventLogError> {
        let header: Self = parse(line)?;
        if header.format != FORMAT || !(1..=VERSION).contains(&header.version) {
            return Err(EventLogError::Format {
                format: header.format,
                version: header.version,
            });
        }
        Ok(header)
    }
}

/// A line after the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Line {
    /// What a version is called, for people; before the event that deploys it.
    Name(VersionId, String),
    /// The policy was told this.
    Event(Instant, Event),
    /// It ordered this, because of the event before.
    Action(Action),
}

impl Line {
    /// The line, without an end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("events are JSON")
    }

    /// What a line says.
    pub fn read(line: &str) -> Result<Self, EventLogError> {
        let line = parse(line)?;
        match &line {
            Self::Name(_, name) if name.len() > MAX_NAME => Err(EventLogError::Long(name.len())),
            _ => Ok(line),
        }
    }
}

/// Why a line is none of a log.
#[derive(Debug, thiserror::Error)]
pub enum EventLogError {
    /// It is no JSON, or none of this form.
    #[error("no line of an event log")]
    Json(#[from] serde_json::Error),
    /// It is a header of something else.
    #[error("{format} {version} is not {FORMAT} {VERSION}")]
    Format {
        /// What it says it is.
        format: String,
        /// And of which version.
        version: u32,
    },
    /// It is too long.
    #[error("{0} bytes are too long")]
    Long(usize),
}

fn parse<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, EventLogError> {
    if line.len() > MAX_LINE {
        return Err(EventLogError::Long(line.len()));
    }
    Ok(serde_json::from_str(line)?)
}

#[cfg(test)]
mod tests;
