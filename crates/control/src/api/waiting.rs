//! Pilotlight's own read API for asynchronous invocations: what waits, and what was written down of events
//! that ended.
//!
//! `GET /pilotlight/v1/events?function=&limit=`: events that wait, messages about events that ended on their
//! way to their destination, and what schedules have set off that could not be handed on yet; those due first. `GET /pilotlight/v1/dead-letters`: the files of messages in the data
//! directory; with `name=`, the newest `limit` messages of one, oldest first.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, Uri};
use percent_encoding::percent_decode_str;
use pilotlight_model::names::Target;
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError};
use serde::Serialize;
use serde_json::Value;

use super::{invalid, ours};
use crate::catalog::deliveries::WaitingDelivery;
use crate::catalog::events::Waiting;
use crate::catalog::firings::Firing;
use crate::control::Parts;
use crate::deliveries;
use crate::schedules::delivery::Delivery;
use crate::schedules::handing_on;

const EVENTS_PATH: &str = "/pilotlight/v1/events";
const DEAD_LETTERS_PATH: &str = "/pilotlight/v1/dead-letters";
const SHOWN: usize = 100;
const MOST_SHOWN: usize = 10_000;
/// Bytes at the end of a file that are looked at.
const END_BYTES: u64 = 16 * 1024 * 1024;

/// A question of this API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    Events,
    DeadLetters,
}

#[derive(Serialize)]
struct AllWaiting {
    events: Vec<Waiting>,
    deliveries: Vec<WaitingDelivery>,
    firings: Vec<WaitingFiring>,
}

/// A firing of a schedule that waits, for people.
#[derive(Serialize)]
struct WaitingFiring {
    schedule: String,
    execution_id: String,
    target: String,
    /// ARN of the function that it calls or warms up.
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<String>,
    scheduled_ms: u64,
    due_ms: u64,
    attempts: u32,
    last_error: Option<String>,
}

#[derive(Serialize)]
struct Files {
    files: Vec<LetterFile>,
}

#[derive(Serialize)]
struct LetterFile {
    name: String,
    bytes: u64,
}

#[derive(Serialize)]
struct Messages {
    messages: Vec<Value>,
}

impl Own {
    /// The question at that path.
    pub(super) fn of(method: &http::Method, path: &str) -> Option<Self> {
        match path {
            EVENTS_PATH if method == http::Method::GET => Some(Self::Events),
            DEAD_LETTERS_PATH if method == http::Method::GET => Some(Self::DeadLetters),
            _ => None,
        }
    }
}

/// Answers a question about what is the caller's.
pub(super) async fn answer(
    parts: &Arc<Parts>,
    caller: &Caller,
    own: Own,
    uri: &Uri,
) -> Result<Response<Bytes>, LambdaError> {
    let limit = match parameter(uri, "limit") {
        None => SHOWN,
        Some(text) => text
            .parse()
            .map_err(|_| invalid(format!("'{text}' is not a valid limit.")))?,
    };
    let limit = limit.min(MOST_SHOWN);
    match own {
        Own::Events => events(parts, caller, parameter(uri, "function"), limit).await,
        Own::DeadLetters => dead_letters(parts, caller, parameter(uri, "name"), limit).await,
    }
}

async fn events(
    parts: &Arc<Parts>,
    caller: &Caller,
    function: Option<String>,
    limit: usize,
) -> Result<Response<Bytes>, LambdaError> {
    let (account, region) = (caller.account.to_string(), caller.region.to_string());
    let owner = caller.clone();
    let waiting = parts
        .catalog
        .read(move |session| {
            let function = function.as_deref();
            let of_function = |firing: &Firing| {
                let called = called(firing);
                function.is_none_or(|name| called.is_some_and(|it| it.name.as_str() == name))
            };
            let firings = session.waiting_firings(&owner, limit, of_function)?;
            Ok::<_, LambdaError>(AllWaiting {
                firings: firings.into_iter().map(WaitingFiring::of).collect(),
                events: session.waiting_events(&account, &region, function, limit)?,
                deliveries: session.waiting_deliveries(&account, &region, function, limit)?,
            })
        })
        .await?;
    shown(&waiting)
}

/// The function that a firing is for.
fn called(firing: &Firing) -> Option<Target> {
    let delivery = Delivery::of(&firing.target, &handing_on::context(firing)).ok()?;
    delivery.function().cloned()
}

impl WaitingFiring {
    fn of(firing: Firing) -> Self {
        Self {
            function: called(&firing).map(|function| function.arn()),
            schedule: firing.schedule_arn,
            execution_id: firing.execution_id,
            target: firing.target.arn,
            scheduled_ms: firing.scheduled_ms,
            due_ms: firing.retry_ms,
            attempts: firing.attempts,
            last_error: firing.last_error,
        }
    }
}

async fn dead_letters(
    parts: &Arc<Parts>,
    caller: &Caller,
    name: Option<String>,
    limit: usize,
) -> Result<Response<Bytes>, LambdaError> {
    let (account, region) = (caller.account.as_str(), caller.region.as_str());
    let folder = deliveries::folder(&parts.config.data_dir, account, region);
    let read = tokio::task::spawn_blocking(move || match name {
        None => Ok(shown(&Files {
            files: files(&folder)?,
        })),
        Some(name) => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            let named = !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain);
            let path = folder.join(format!("{name}.jsonl"));
            match named && path.is_file() {
                true => Ok(shown(&Messages {
                    messages: newest(&path, limit)?,
                })),
                false => Ok(Err(LambdaError::new(
                    ErrorKind::ResourceNotFound,
                    format!("No messages have been written for {name}."),
                ))),
            }
        }
    });
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "dead letters do not read");
        LambdaError::new(ErrorKind::Service, "The dead letters cannot be read.")
    };
    let read: io::Result<_> = read.await.map_err(|error| failed(&error))?;
    read.map_err(|error| failed(&error))?
}

fn files(folder: &Path) -> io::Result<Vec<LetterFile>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(name) = name.strip_suffix(".jsonl") {
            files.push(LetterFile {
                name: name.to_owned(),
                bytes: entry.metadata()?.len(),
            });
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

/// The last whole lines of a file: one without its line feed was torn off, or is being written.
fn newest(path: &Path, limit: usize) -> io::Result<Vec<Value>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let begin = length.saturating_sub(END_BYTES);
    file.seek(SeekFrom::Start(begin))?;
    let mut end = Vec::new();
    file.take(END_BYTES).read_to_end(&mut end)?;
    let mut lines: Vec<&[u8]> = end.split(|byte| *byte == b'\n').collect();
    lines.pop();
    if begin > 0 && !lines.is_empty() {
        lines.remove(0);
    }
    let mut messages: Vec<Value> = lines
        .into_iter()
        .rev()
        .filter_map(|line| serde_json::from_slice(line).ok())
        .take(limit)
        .collect();
    messages.reverse();
    Ok(messages)
}

fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let pairs = uri.query().unwrap_or_default().split('&');
    let mut values = pairs.filter_map(|pair| pair.split_once('='));
    let (_, value) = values.find(|(given, value)| *given == name && !value.is_empty())?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

fn shown(body: &impl Serialize) -> Result<Response<Bytes>, LambdaError> {
    let body = serde_json::to_vec(body).map_err(|error| ours("an answer", &error))?;
    let mut response = Response::new(Bytes::from(body));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_message_is_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("q.jsonl");
        let last = "{\"Body\":\"{\\\"a\\\":1}\"}\n";
        for kept in 0..=last.len() {
            std::fs::write(&path, format!("{{\"a\":1}}\n{}", &last[..kept])).unwrap();
            let whole = 1 + usize::from(kept == last.len());
            assert_eq!(newest(&path, 10).unwrap().len(), whole, "{kept}");
        }
        assert_eq!(newest(&path, 1).unwrap()[0]["Body"], "{\"a\":1}");
    }
}
