//! `GET /pilotlight/v1/logs`: lines of a log group from a position on, and, with `wait`, the next ones as
//! soon as there are any.
//!
//! Parameters: `function` (a name in any form) or `log_group`; `position` (that of the last line seen; 0,
//! the default, is the oldest kept); `since` (milliseconds since 1970: lines that are older are passed over);
//! `limit` (lines, at most 10,000); `wait` (seconds, at most 20).
//! Answers `{"lines": [{"position", "at_ms", "stream", "message"}, …], "next": position}`.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use pilotlight_model::names::Target;
use pilotlight_model::node::{Caller, LogLine};
use pilotlight_model::{ErrorKind, LambdaError};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{json, parameter};
use crate::front::Parts;

const LINES: usize = 1_000;
const MOST_LINES: usize = 10_000;
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Between looks while waiting: short enough for a person who watches.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Serialize)]
struct Lines<'a> {
    lines: Vec<Line<'a>>,
    next: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    position: u64,
    at_ms: u64,
    stream: &'a str,
    message: &'a str,
}

/// Reads lines, or waits for some.
pub(super) async fn read(
    parts: &Parts,
    caller: &Caller,
    query: &str,
) -> Result<Response<Bytes>, LambdaError> {
    let group = log_group(parts, caller, query)?;
    let mut position = parameter(query, "position")?.unwrap_or(0);
    let since_ms: u64 = parameter(query, "since")?.unwrap_or(0);
    let limit = parameter(query, "limit")?
        .unwrap_or(LINES)
        .clamp(1, MOST_LINES);
    let wait = Duration::from_secs(parameter(query, "wait")?.unwrap_or(0)).min(LONGEST_WAIT);
    let deadline = Instant::now() + wait;
    loop {
        let mut lines = parts
            .node
            .read_logs(&caller.account, &caller.region, &group, position, limit)
            .await
            .or_else(none_yet)?;
        let read_to = lines.last().map(|line| line.position);
        lines.retain(|line| line.at_ms >= since_ms);
        if let Some(read_to) = read_to
            && lines.is_empty()
        {
            position = read_to;
            continue;
        }
        // A client that waits has a connection, and a drain ends the wait.
        if !lines.is_empty() || Instant::now() >= deadline || parts.is_draining() {
            return json(StatusCode::OK, &Lines::of(&lines, position));
        }
        sleep(PAUSE).await;
    }
}

/// The group that was named, or the named function's.
fn log_group(parts: &Parts, caller: &Caller, query: &str) -> Result<String, LambdaError> {
    if let Some(group) = parameter(query, "log_group")? {
        return Ok(group);
    }
    let name: String = parameter(query, "function")?.ok_or_else(|| {
        let message = "Either function or log_group must be given.";
        LambdaError::new(ErrorKind::InvalidParameterValue, message)
    })?;
    let target = Target::resolve(caller, &name, None)?;
    let resolved = parts.directory.resolve(
        &target.account,
        &target.region,
        &target.name,
        target.qualifier.as_deref(),
    );
    // What a function that was deleted, or is not ready yet, has said stays readable.
    Ok(match resolved {
        Ok(resolved) => resolved.spec.log_group.clone(),
        Err(_) => format!("/aws/lambda/{}", target.name),
    })
}

fn none_yet(error: std::io::Error) -> Result<Vec<LogLine>, LambdaError> {
    match error.kind() {
        std::io::ErrorKind::NotFound => Ok(Vec::new()),
        _ => {
            tracing::error!(%error, "reading logs failed");
            let message = "The log could not be read.";
            Err(LambdaError::new(ErrorKind::Service, message))
        }
    }
}

impl<'a> Lines<'a> {
    fn of(lines: &'a [LogLine], position: u64) -> Self {
        Self {
            next: lines.last().map_or(position, |line| line.position),
            lines: lines
                .iter()
                .map(|line| Line {
                    position: line.position,
                    at_ms: line.at_ms,
                    stream: &line.stream,
                    message: &line.message,
                })
                .collect(),
        }
    }
}
