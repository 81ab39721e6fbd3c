//! `GET /pilotlight/v1/logs`: lines of a log group from a position on, and, with `wait`, the next ones as
//! soon as there are any.
//!
//! Parameters: `function` (a name in any form: its lines in the log group that it has now) or `log_group` (the
//! lines of all that write there); `position` (that of the last line seen; 0, the default, is the oldest kept);
//! `position_in` (the group that this is a position of: where the function has another by now, that is read from
//! its beginning, and at once); `since` (milliseconds since 1970: lines that are older are passed over); `limit`
//! (lines, at most 10,000); `wait` (seconds, at most 20).
//! Answers `{"log_group", "lines": [{"position", "at_ms", "stream", "function", "message"}, …], "next": position}`;
//! `function` where an instance wrote the line.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use pilotlight_model::logs::stream_function;
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
    log_group: &'a str,
    lines: Vec<Line<'a>>,
    next: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    position: u64,
    at_ms: u64,
    stream: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a str>,
    message: &'a str,
}

/// Whose lines are wanted.
enum Asked {
    /// Of all that write to the group.
    Group(String),
    /// Of a function, in the group that it has.
    Function(Target),
}

/// Reads lines, or waits for some.
pub(super) async fn read(
    parts: &Parts,
    caller: &Caller,
    query: &str,
) -> Result<Response<Bytes>, LambdaError> {
    let asked = Asked::read(caller, query)?;
    let mut position = parameter(query, "position")?.unwrap_or(0);
    let position_in: Option<String> = parameter(query, "position_in")?;
    let since_ms: u64 = parameter(query, "since")?.unwrap_or(0);
    let limit = parameter(query, "limit")?
        .unwrap_or(LINES)
        .clamp(1, MOST_LINES);
    let wait = Duration::from_secs(parameter(query, "wait")?.unwrap_or(0)).min(LONGEST_WAIT);
    let deadline = Instant::now() + wait;
    let first = asked.group(parts);
    if position_in.is_some_and(|it| it != first) {
        position = 0;
    }
    loop {
        let group = asked.group(parts);
        if group != first {
            // A client hears of it rather than wait for lines that will not come.
            return json(StatusCode::OK, &Lines::of(&group, &[], 0));
        }
        let mut lines = parts
            .node
            .read_logs(&caller.account, &caller.region, &group, position, limit)
            .await
            .or_else(none_yet)?;
        let read_to = lines.last().map(|line| line.position);
        lines.retain(|line| line.at_ms >= since_ms && asked.wants(&group, line));
        if let Some(read_to) = read_to
            && lines.is_empty()
        {
            position = read_to;
            continue;
        }
        // A client that waits has a connection, and a drain ends the wait.
        if !lines.is_empty() || Instant::now() >= deadline || parts.is_draining() {
            return json(StatusCode::OK, &Lines::of(&group, &lines, position));
        }
        sleep(PAUSE).await;
    }
}

impl Asked {
    fn read(caller: &Caller, query: &str) -> Result<Self, LambdaError> {
        if let Some(group) = parameter(query, "log_group")? {
            return Ok(Self::Group(group));
        }
        let name: String = parameter(query, "function")?.ok_or_else(|| {
            let message = "Either function or log_group must be given.";
            LambdaError::new(ErrorKind::InvalidParameterValue, message)
        })?;
        Ok(Self::Function(Target::resolve(caller, &name, None)?))
    }

    /// The group that was named, or that the named function has now. Of an alias that splits invocations, it is
    /// that of the version with the first part.
    fn group(&self, parts: &Parts) -> String {
        match self {
            Self::Group(group) => group.clone(),
            Self::Function(target) => {
                let routes = parts.directory.routes(target).unwrap_or_default();
                match routes.first() {
                    Some(route) => route.resolved.spec.log_group.clone(),
                    // What a function that was deleted, or is not ready yet, has said stays readable.
                    None => format!("/aws/lambda/{}", target.name),
                }
            }
        }
    }

    /// In a group that is not the function's own others may write, too.
    fn wants(&self, group: &str, line: &LogLine) -> bool {
        match self {
            Self::Group(_) => true,
            Self::Function(target) => {
                let name = target.name.as_str();
                group.strip_prefix("/aws/lambda/") == Some(name)
                    || stream_function(group, &line.stream) == Some(name)
            }
        }
    }
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
    fn of(log_group: &'a str, lines: &'a [LogLine], position: u64) -> Self {
        Self {
            log_group,
            next: lines.last().map_or(position, |line| line.position),
            lines: lines
                .iter()
                .map(|line| Line {
                    position: line.position,
                    at_ms: line.at_ms,
                    stream: &line.stream,
                    function: stream_function(log_group, &line.stream),
                    message: &line.message,
                })
                .collect(),
        }
    }
}
