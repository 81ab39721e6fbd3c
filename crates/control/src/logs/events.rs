//! GetLogEvents and FilterLogEvents.

use std::collections::BTreeSet;
use std::sync::Arc;

use pilotlight_model::LambdaError;
use pilotlight_model::logs::{Cursor, LogEvent, LogGroup, LogPage, LogQuery, Matcher, Streams};
use pilotlight_model::node::Caller;
use serde::{Deserialize, Serialize};

use super::groups::Known;
use super::pattern::Pattern;
use super::{failed, groups, identifier, no_stream, retention, streams, token};
use crate::api::invalid;
use crate::control::Parts;

/// Events of a page (AWS's limit, and default).
const PAGE: usize = 10_000;
/// Bytes of a page's events (AWS's limit).
const PAGE_BYTES: usize = 1024 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetLogEventsRequest {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: String,
    start_time: Option<u64>,
    end_time: Option<u64>,
    next_token: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    start_from_head: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetLogEventsResponse {
    events: Vec<OutputEvent>,
    next_forward_token: String,
    next_backward_token: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutputEvent {
    timestamp: u64,
    message: String,
    ingestion_time: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FilterLogEventsRequest {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    #[serde(default)]
    log_stream_names: Vec<String>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<u64>,
    end_time: Option<u64>,
    #[serde(default)]
    filter_pattern: String,
    next_token: Option<String>,
    limit: Option<usize>,
    start_from_head: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FilterLogEventsResponse {
    events: Vec<FilteredEvent>,
    /// Always empty, as on AWS today.
    searched_log_streams: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FilteredEvent {
    log_stream_name: String,
    timestamp: u64,
    message: String,
    ingestion_time: u64,
    event_id: String,
}

pub(super) async fn get(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: GetLogEventsRequest,
) -> Result<GetLogEventsResponse, LambdaError> {
    let group = identifier::either(
        caller,
        request.log_group_name.as_deref(),
        request.log_group_identifier.as_deref(),
    )?;
    let after = request.next_token.as_deref().map(read_token).transpose()?;
    let known = streams::check(parts, &group, &request.log_stream_name).await?;
    let backwards = match after {
        // A token knows where it leads.
        Some((direction, _)) => direction == Direction::Backward,
        None => !request.start_from_head,
    };
    let from = after.map(|(_, cursor)| cursor);
    let query = LogQuery {
        streams: Streams::Named([request.log_stream_name].into()),
        from_ms: request.start_time.unwrap_or(0),
        until_ms: request.end_time.unwrap_or(u64::MAX),
        after: from,
        backwards,
        matcher: None,
        limit: request.limit.unwrap_or(PAGE),
        bytes: PAGE_BYTES,
    };
    let page = read(parts, &group, known, query).await?;
    let (backward, forward) = ends(&page, from, backwards);
    Ok(GetLogEventsResponse {
        next_forward_token: write_token(Direction::Forward, forward),
        next_backward_token: write_token(Direction::Backward, backward),
        events: page.events.into_iter().map(OutputEvent::of).collect(),
    })
}

pub(super) async fn filter(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: FilterLogEventsRequest,
) -> Result<FilterLogEventsResponse, LambdaError> {
    let group = identifier::either(
        caller,
        request.log_group_name.as_deref(),
        request.log_group_identifier.as_deref(),
    )?;
    let matcher = matcher(&request.filter_pattern)?;
    let token = request.next_token.as_deref();
    let after = token.map(token::read_place).transpose()?;
    let streams = match (request.log_stream_names, request.log_stream_name_prefix) {
        (names, None) if names.is_empty() => Streams::All,
        (names, None) => Streams::Named(names.into_iter().collect()),
        (names, Some(prefix)) if names.is_empty() => Streams::Prefix(prefix),
        _ => {
            return Err(invalid(
                "LogStreamNames and LogStreamNamePrefix cannot both be specified.",
            ));
        }
    };
    let known = groups::get(parts, &group).await?;
    check_streams(parts, &group, &streams).await?;
    let backwards = request.start_from_head == Some(false);
    let query = LogQuery {
        streams,
        from_ms: request.start_time.unwrap_or(0),
        // Unlike that of GetLogEvents, this end is a part of the time.
        until_ms: request
            .end_time
            .map_or(u64::MAX, |end| end.saturating_add(1)),
        after,
        backwards,
        matcher,
        limit: request.limit.unwrap_or(PAGE),
        bytes: PAGE_BYTES,
    };
    let page = read(parts, &group, known, query).await?;
    let mut events: Vec<_> = page.events.into_iter().map(FilteredEvent::of).collect();
    if backwards {
        events.reverse();
    }
    Ok(FilterLogEventsResponse {
        events,
        searched_log_streams: [],
        next_token: page.next.map(token::place),
    })
}

/// Reads what is still to be seen of a group.
async fn read(
    parts: &Parts,
    group: &LogGroup,
    known: Known,
    mut query: LogQuery,
) -> Result<LogPage, LambdaError> {
    let days = known.row().retention_days;
    let begin_ms = retention::begin_ms(parts.config.clock.unix_ms(), days);
    query.from_ms = query.from_ms.max(begin_ms);
    parts.logs.query(group, query).await.map_err(failed)
}

/// Streams that are named have to be there.
async fn check_streams(
    parts: &Parts,
    group: &LogGroup,
    streams: &Streams,
) -> Result<(), LambdaError> {
    let Streams::Named(names) = streams else {
        return Ok(());
    };
    let key = group.clone();
    let made = parts
        .catalog
        .read(move |session| Ok::<_, LambdaError>(session.log_streams(&key)?))
        .await?;
    let written = parts.logs.streams(group).await.map_err(failed)?;
    let mut there: BTreeSet<&str> = made.iter().map(|(name, _)| name.as_str()).collect();
    there.extend(written.iter().map(|it| &*it.name));
    match names.iter().all(|name| there.contains(name.as_str())) {
        true => Ok(()),
        false => Err(no_stream()),
    }
}

fn matcher(text: &str) -> Result<Option<Matcher>, LambdaError> {
    match Pattern::parse(text).map_err(|error| invalid(error.to_string()))? {
        Pattern::All => Ok(None),
        pattern => Ok(Some(Arc::new(move |message| pattern.matches(message)))),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

/// `f/<place>/s` or `b/<place>/s`.
fn write_token(direction: Direction, cursor: Cursor) -> String {
    let letter = match direction {
        Direction::Forward => 'f',
        Direction::Backward => 'b',
    };
    format!("{letter}/{}/s", token::place(cursor))
}

fn read_token(text: &str) -> Result<(Direction, Cursor), LambdaError> {
    let (direction, rest) = match text.split_at_checked(2) {
        Some(("f/", rest)) => (Direction::Forward, rest),
        Some(("b/", rest)) => (Direction::Backward, rest),
        _ => return Err(token::wrong()),
    };
    let place = rest.strip_suffix("/s").ok_or_else(token::wrong)?;
    Ok((direction, token::read_place(place)?))
}

/// Where a page begins and ends. Where there is nothing more, the token stays as it is: so a client knows
/// that it has come to the end.
fn ends(page: &LogPage, from: Option<Cursor>, backwards: bool) -> (Cursor, Cursor) {
    let start = Cursor {
        at_ms: 0,
        position: 0,
    };
    let nothing = page.next.or(from).unwrap_or(start);
    let first = page.events.first().map_or(nothing, |event| event.cursor);
    let last = page.events.last().map_or(nothing, |event| event.cursor);
    match (backwards, page.next) {
        (false, Some(next)) => (first, next),
        (true, Some(next)) => (next, last),
        (_, None) => (first, last),
    }
}

impl OutputEvent {
    fn of(event: LogEvent) -> Self {
        Self {
            timestamp: event.cursor.at_ms,
            message: event.message,
            ingestion_time: event.ingested_ms,
        }
    }
}

impl FilteredEvent {
    fn of(event: LogEvent) -> Self {
        Self {
            log_stream_name: event.stream.to_string(),
            timestamp: event.cursor.at_ms,
            message: event.message,
            ingestion_time: event.ingested_ms,
            event_id: token::place(event.cursor),
        }
    }
}
