//! CreateLogStream, DeleteLogStream, DescribeLogStreams.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilotlight_model::logs::{LogGroup, StreamFacts};
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError};
use serde::{Deserialize, Serialize};

use super::groups::Known;
use super::{failed, groups, identifier, no_stream, token};
use crate::api::invalid;
use crate::control::Parts;
use crate::paging::cut;

/// Streams that may be made of one group; those that are written to by functions take room in the log store
/// alone.
const MOST: usize = 10_000;
/// Streams on a page (AWS's limit, and default).
const PAGE: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamRequest {
    log_group_name: String,
    log_stream_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLogStreamsRequest {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    order_by: Option<String>,
    #[serde(default)]
    descending: bool,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLogStreamsResponse {
    log_streams: Vec<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    log_stream_name: String,
    creation_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_event_timestamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event_timestamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_ingestion_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_sequence_token: Option<String>,
    arn: String,
    stored_bytes: u64,
}

pub(super) async fn create(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: StreamRequest,
) -> Result<(), LambdaError> {
    let group = identifier::named(caller, &request.log_group_name);
    groups::get(parts, &group).await?;
    let name = request.log_stream_name;
    if written(parts, &group).await?.contains_key(&*name) {
        return Err(exists());
    }
    let now_ms = parts.config.clock.unix_ms();
    parts
        .catalog
        .write(move |session| {
            if session.log_streams(&group)?.len() >= MOST {
                return Err(LambdaError::new(
                    ErrorKind::QuotaExceeded,
                    "Resource limit exceeded.",
                ));
            }
            match session.add_log_stream(&group, &name, now_ms)? {
                true => Ok(()),
                false => Err(exists()),
            }
        })
        .await
}

fn exists() -> LambdaError {
    LambdaError::new(
        ErrorKind::ResourceConflict,
        "The specified log stream already exists",
    )
}

pub(super) async fn delete(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: StreamRequest,
) -> Result<(), LambdaError> {
    let group = identifier::named(caller, &request.log_group_name);
    let name = request.log_stream_name;
    check(parts, &group, &name).await?;
    parts
        .logs
        .delete_stream(&group, &name)
        .await
        .map_err(failed)?;
    parts
        .catalog
        .write(move |session| Ok(session.delete_log_stream(&group, &name)?))
        .await
}

/// The group, if it has the stream; an error says which of both is not there.
pub(super) async fn check(
    parts: &Parts,
    group: &LogGroup,
    name: &str,
) -> Result<Known, LambdaError> {
    let known = groups::get(parts, group).await?;
    let (key, made) = (group.clone(), name.to_owned());
    let made = parts
        .catalog
        .read(move |session| Ok::<_, LambdaError>(session.has_log_stream(&key, &made)?))
        .await?;
    match made || written(parts, group).await?.contains_key(name) {
        true => Ok(known),
        false => Err(no_stream()),
    }
}

async fn written(
    parts: &Parts,
    group: &LogGroup,
) -> Result<BTreeMap<Arc<str>, StreamFacts>, LambdaError> {
    let streams = parts.logs.streams(group).await.map_err(failed)?;
    let named = streams.into_iter();
    Ok(named.map(|it| (Arc::clone(&it.name), it)).collect())
}

pub(super) async fn describe(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: DescribeLogStreamsRequest,
) -> Result<DescribeLogStreamsResponse, LambdaError> {
    let by_time = request.order_by.as_deref() == Some("LastEventTime");
    if by_time && request.log_stream_name_prefix.is_some() {
        return Err(invalid(
            "Cannot order by LastEventTime with a logStreamNamePrefix.",
        ));
    }
    let group = identifier::either(
        caller,
        request.log_group_name.as_deref(),
        request.log_group_identifier.as_deref(),
    )?;
    groups::get(parts, &group).await?;
    let after = token::seen(request.next_token.as_deref())?;
    let prefix = request.log_stream_name_prefix.unwrap_or_default();
    let mut streams = all(parts, &group).await?;
    streams.retain(|stream| stream.log_stream_name.starts_with(&prefix));
    let place = |stream: &Shown| place(stream, by_time);
    streams.sort_by_cached_key(place);
    if request.descending {
        streams.reverse();
    }
    if let Some(after) = after {
        let seen = |stream: &Shown| match request.descending {
            false => place(stream) <= after,
            true => place(stream) >= after,
        };
        streams.drain(..streams.partition_point(seen));
    }
    let limit = request.limit.unwrap_or(PAGE).min(PAGE);
    let next_token = cut(&mut streams, limit, place);
    Ok(DescribeLogStreamsResponse {
        next_token,
        log_streams: streams,
    })
}

/// Where a stream stands, as text that sorts so. Streams without an event are the oldest.
fn place(stream: &Shown, by_time: bool) -> String {
    let name = &stream.log_stream_name;
    match by_time {
        true => format!("{:020}{name}", stream.last_event_timestamp.unwrap_or(0)),
        false => name.clone(),
    }
}

/// The streams that were made and those that were written to.
async fn all(parts: &Parts, group: &LogGroup) -> Result<Vec<Shown>, LambdaError> {
    let key = group.clone();
    let made = parts
        .catalog
        .read(move |session| Ok::<_, LambdaError>(session.log_streams(&key)?))
        .await?;
    let arn = identifier::arn(group);
    let mut written = written(parts, group).await?;
    let mut streams = Vec::with_capacity(made.len() + written.len());
    for (name, created_ms) in made {
        let facts = written.remove(&*name);
        streams.push(shown(&arn, &name, created_ms, facts.as_ref()));
    }
    let others = written.values();
    streams.extend(others.map(|facts| shown(&arn, &facts.name, facts.created_ms, Some(facts))));
    Ok(streams)
}

fn shown(group: &str, name: &str, created_ms: u64, facts: Option<&StreamFacts>) -> Shown {
    Shown {
        log_stream_name: name.to_owned(),
        creation_time: created_ms,
        first_event_timestamp: facts.map(|it| it.first_ms),
        last_event_timestamp: facts.map(|it| it.last_ms),
        last_ingestion_time: facts.map(|it| it.ingested_ms),
        // Clients of long ago need one; its value says nothing any more.
        upload_sequence_token: facts.map(|it| format!("{:056}", it.ingested_ms)),
        arn: format!("{group}:log-stream:{name}"),
        // As on AWS since 2019.
        stored_bytes: 0,
    }
}
