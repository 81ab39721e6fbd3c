//! PutLogEvents.
//! Source: "PutLogEvents" of the CloudWatch Logs API reference.

use std::ops::Range;
use std::sync::Arc;

use pilotlight_model::LambdaError;
use pilotlight_model::logs::NewEvent;
use pilotlight_model::node::Caller;
use serde::{Deserialize, Serialize};

use super::{failed, identifier, retention, streams};
use crate::api::invalid;
use crate::control::Parts;

/// Bytes of a batch; an event counts 26 besides its text.
const BATCH_BYTES: usize = 1_048_576;
const EVENT_OVERHEAD_BYTES: usize = 26;
/// Bytes of an event, with what it counts besides its text.
const EVENT_BYTES: usize = 256 * 1024;
const HOUR_MS: u64 = 60 * 60 * 1_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Events older than this are not taken, nor those further ahead than this.
const OLDEST_MS: u64 = 14 * DAY_MS;
const NEWEST_MS: u64 = 2 * HOUR_MS;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutLogEventsRequest {
    log_group_name: String,
    log_stream_name: String,
    log_events: Vec<InputEvent>,
}

#[derive(Deserialize)]
struct InputEvent {
    timestamp: u64,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutLogEventsResponse {
    next_sequence_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_log_events_info: Option<Rejected>,
}

/// Which events were not taken.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rejected {
    #[serde(skip_serializing_if = "Option::is_none")]
    too_new_log_event_start_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    too_old_log_event_end_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expired_log_event_end_index: Option<usize>,
}

pub(super) async fn put(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: PutLogEventsRequest,
) -> Result<PutLogEventsResponse, LambdaError> {
    check(&request.log_events)?;
    let group = identifier::named(caller, &request.log_group_name);
    let known = streams::check(parts, &group, &request.log_stream_name).await?;
    let now_ms = parts.config.clock.unix_ms();
    let days = known.row().retention_days;
    let (taken, rejected) = judge(
        &request.log_events,
        now_ms,
        retention::begin_ms(now_ms, days),
    );
    let events: Vec<NewEvent> = request
        .log_events
        .into_iter()
        .take(taken.end)
        .skip(taken.start)
        .map(|event| NewEvent {
            at_ms: event.timestamp,
            message: event.message,
        })
        .collect();
    if !events.is_empty() {
        parts
            .logs
            .put(&group, &request.log_stream_name, events)
            .await
            .map_err(failed)?;
    }
    Ok(PutLogEventsResponse {
        // Clients of long ago need one; its value says nothing any more.
        next_sequence_token: format!("{now_ms:056}"),
        rejected_log_events_info: (rejected != Rejected::default()).then_some(rejected),
    })
}

/// What refuses the whole batch.
fn check(events: &[InputEvent]) -> Result<(), LambdaError> {
    let cost = |event: &InputEvent| event.message.len() + EVENT_OVERHEAD_BYTES;
    if let Some(large) = events.iter().map(cost).find(|bytes| *bytes > EVENT_BYTES) {
        return Err(invalid(format!(
            "Log event too large: {large} bytes exceeds limit of {EVENT_BYTES}"
        )));
    }
    let total: usize = events.iter().map(cost).sum();
    if total > BATCH_BYTES {
        return Err(invalid(format!(
            "Upload too large: {total} bytes exceeds limit of {BATCH_BYTES}"
        )));
    }
    if !events.is_sorted_by_key(|event| event.timestamp) {
        return Err(invalid(
            "Log events in a single PutLogEvents request must be in chronological order.",
        ));
    }
    let (first, last) = (events.first(), events.last());
    if let (Some(first), Some(last)) = (first, last)
        && last.timestamp - first.timestamp > DAY_MS
    {
        return Err(invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ));
    }
    Ok(())
}

/// Which events are taken, and which not and why. They are in order.
fn judge(events: &[InputEvent], now_ms: u64, begin_ms: u64) -> (Range<usize>, Rejected) {
    let before = |time| events.partition_point(|event| event.timestamp < time);
    let old = before(now_ms.saturating_sub(OLDEST_MS));
    let expired = before(begin_ms);
    let new = before(now_ms.saturating_add(NEWEST_MS).saturating_add(1));
    let some = |end: usize| Some(end).filter(|end| *end > 0);
    let rejected = Rejected {
        too_new_log_event_start_index: Some(new).filter(|start| *start < events.len()),
        too_old_log_event_end_index: some(old),
        expired_log_event_end_index: some(expired),
    };
    (old.max(expired).min(new)..new, rejected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(times: &[u64]) -> Vec<InputEvent> {
        let times = times.iter();
        times
            .map(|&timestamp| InputEvent {
                timestamp,
                message: "m".to_owned(),
            })
            .collect()
    }

    #[test]
    fn batches_are_in_order_and_of_one_day() {
        assert!(check(&events(&[1, 1, 2, DAY_MS + 1])).is_ok());
        assert!(check(&events(&[2, 1])).is_err());
        assert!(check(&events(&[1, DAY_MS + 2])).is_err());
        let long = |length| InputEvent {
            timestamp: 1,
            message: "x".repeat(length),
        };
        assert!(check(&[long(EVENT_BYTES - EVENT_OVERHEAD_BYTES)]).is_ok());
        assert!(check(&[long(EVENT_BYTES)]).is_err());
        let many: Vec<_> = (0..5).map(|_| long(250_000)).collect();
        assert!(check(&many).is_err());
    }

    #[test]
    fn events_far_off_are_not_taken() {
        let now = 100 * DAY_MS;
        let times = [
            now - OLDEST_MS - 1,
            now - OLDEST_MS,
            now,
            now + NEWEST_MS,
            now + NEWEST_MS + 1,
        ];
        let (taken, rejected) = judge(&events(&times), now, 0);
        assert_eq!(taken, 1..4);
        assert_eq!(rejected.too_old_log_event_end_index, Some(1));
        assert_eq!(rejected.too_new_log_event_start_index, Some(4));
        assert_eq!(rejected.expired_log_event_end_index, None);
        let (taken, rejected) = judge(&events(&times), now, now - 5);
        assert_eq!(
            (taken, rejected.expired_log_event_end_index),
            (2..4, Some(2))
        );
        let (taken, rejected) = judge(&events(&[now]), now, 0);
        assert_eq!((taken, rejected), (0..1, Rejected::default()));
    }
}
