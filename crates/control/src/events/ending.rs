//! How an attempt at an event ended is written down: put off, or its end, with what is told of it in the same
//! transaction.

use pilotlight_model::VersionKey;
use pilotlight_model::error::Causes;
use pilotlight_model::limits::INVOKE_REQUEST_BYTES;
use pilotlight_model::node::QueuedEvent;

use super::after_fault;
use super::attempt::Attempt;
use super::places::Following;
use super::record::{Condition, Ended};
use super::retry::{self, Outcome, Reason, Verdict};
use super::schedule::{End, Pressure};
use crate::catalog::CatalogError;
use crate::catalog::deliveries::{Kind, Message};
use crate::catalog::event_invoke::EventInvoke;
use crate::catalog::events::{Attempts, Event};
use crate::control::Parts;
use crate::destination;
use crate::metrics::Ending;

/// Writes down how an attempt ended, and what is to be told of it.
pub(super) async fn conclude(parts: &Parts, id: i64, event: Event, attempt: Attempt) -> End {
    let now_ms = parts.config.clock.unix_ms();
    let verdict = retry::judge(
        event.queued_ms,
        event.attempts,
        &event.settings,
        attempt.outcome,
        now_ms,
        &parts.config.retries,
    );
    let written = match verdict {
        Verdict::PutOff { attempts, due_ms } => {
            put_off(parts, id, &event, &attempt, attempts, due_ms).await
        }
        Verdict::Ended { attempts, reason } => {
            let end = Finish {
                attempts,
                reason,
                now_ms,
            };
            finish(parts, id, &event, &attempt, end).await
        }
    };
    match written {
        Ok(due_ms) => End {
            due_ms,
            pressure: pressure(attempt.outcome, now_ms),
        },
        Err(error) => {
            tracing::error!(
                error = %Causes(&error),
                request_id = %event.event.request_id, "an event's end could not be written"
            );
            after_fault(&*parts.config.clock)
        }
    }
}

async fn put_off(
    parts: &Parts,
    id: i64,
    event: &Event,
    attempt: &Attempt,
    attempts: Attempts,
    due_ms: u64,
) -> Result<Option<u64>, CatalogError> {
    let why = attempt.why();
    parts
        .catalog
        .write(move |session| session.put_off(id, attempts, due_ms, &why))
        .await?;
    parts.metrics.events_retried.inc();
    let QueuedEvent {
        request_id, name, ..
    } = &event.event;
    tracing::info!(%request_id, function = %name, outcome = ?attempt.outcome, due_ms, "event put off");
    Ok(Some(due_ms))
}

/// An event's end.
#[derive(Debug, Clone, Copy)]
struct Finish {
    attempts: Attempts,
    reason: Reason,
    now_ms: u64,
}

async fn finish(
    parts: &Parts,
    id: i64,
    event: &Event,
    attempt: &Attempt,
    end: Finish,
) -> Result<Option<u64>, CatalogError> {
    let settings = event.settings.clone();
    let dead_letter = match end.reason.condition() {
        Condition::Success => None,
        _ => dead_letter(parts, event, attempt.version.clone()).await?,
    };
    let messages = messages(event, attempt, end, &settings, dead_letter)?;
    let told: Vec<Kind> = messages.iter().map(|message| message.kind).collect();
    let now_ms = end.now_ms;
    let (account, bytes) = (event.event.account.as_str(), event.event.payload.len());
    let Following { fits, held } = parts.queue.follow(account, bytes, &messages);
    let settled = parts
        .catalog
        .write(move |session| session.settle(id, &messages, &fits, now_ms))
        .await;
    let followers = match settled {
        Ok(followers) => followers,
        Err(error) => {
            parts.queue.keep(account, held, &[bytes]);
            return Err(error);
        }
    };
    count(parts, event, end, &told);
    parts.queue.keep(account, held, &followers.bytes);
    parts.queue.followed_by(followers.events);
    parts.deliveries.add(followers.deliveries);
    // Last: who sees it gone sees what became of it, and what follows it.
    parts.metrics.events_queued.dec();
    parts.queue.show_oldest();
    Ok(None)
}

/// Counts an end that has been written down, and says so if it is not the wanted one.
fn count(parts: &Parts, event: &Event, end: Finish, told: &[Kind]) {
    let metrics = &parts.metrics;
    for kind in told {
        metrics.messages.get_or_create(&kind.into()).inc();
    }
    if end.reason == Reason::Delivered {
        metrics.events_delivered.inc();
        return;
    }
    let (
        reason,
        QueuedEvent {
            request_id, name, ..
        },
    ) = (end.reason.as_str(), &event.event);
    let Attempts { runs, refusals } = end.attempts;
    let age_ms = end.now_ms.saturating_sub(event.queued_ms);
    let label = Ending { reason };
    match told.is_empty() {
        true => {
            metrics.events_dropped.get_or_create(&label).inc();
            tracing::warn!(%request_id, function = %name, reason, runs, refusals, age_ms, "event dropped");
        }
        false => {
            metrics.events_failed.get_or_create(&label).inc();
            tracing::info!(%request_id, function = %name, reason, runs, refusals, age_ms, "event given up");
        }
    }
}

/// Where the dead letter of an event goes: part of the version's configuration, or what was kept of it.
async fn dead_letter(
    parts: &Parts,
    event: &Event,
    version: Option<VersionKey>,
) -> Result<Option<String>, CatalogError> {
    let kept = event.settled.as_ref();
    let kept = kept.and_then(|settled| settled.dead_letter.clone());
    let Some(version) = version else {
        return Ok(kept);
    };
    parts
        .catalog
        .read(move |session| session.dead_letter(&version))
        .await
}

/// What is told of an event's end, and to whom.
fn messages(
    event: &Event,
    attempt: &Attempt,
    end: Finish,
    settings: &EventInvoke,
    dead_letter: Option<String>,
) -> Result<Vec<Message>, CatalogError> {
    let of = &event.event;
    let qualifier = of.qualifier.as_deref().unwrap_or("$LATEST");
    let function_arn = format!(
        "arn:{}:lambda:{}:{}:function:{}:{qualifier}",
        of.region.partition(),
        of.region,
        of.account,
        of.name
    );
    let ended = Ended {
        at_ms: end.now_ms,
        request_id: of.request_id,
        function_arn: &function_arn,
        condition: end.reason.condition(),
        invocations: end.attempts.runs,
        request: &of.payload,
        response: attempt.response.as_ref(),
    };
    let (kind, destination) = match end.reason.condition() {
        Condition::Success => (Kind::Success, &settings.on_success),
        _ => (Kind::Failure, &settings.on_failure),
    };
    let mut messages = Vec::new();
    if let Some(target) = destination {
        // A function takes no more than an event may hold; what is written down elsewhere is whole.
        let limit = match destination::function(target) {
            Some(_) => INVOKE_REQUEST_BYTES,
            None => usize::MAX,
        };
        let record = ended.record(limit)?;
        messages.push(Message {
            trace_id: attempt.trace_id.clone(),
            cause: attempt.began.clone(),
            ..Message::about(of, kind, target.clone(), record)
        });
    }
    if let Some(target) = dead_letter {
        messages.push(Message {
            attributes: Some(ended.attributes()),
            trace_id: attempt.trace_id.clone(),
            cause: attempt.began.clone(),
            ..Message::about(of, Kind::DeadLetter, target, of.payload.clone())
        });
    }
    Ok(messages)
}

/// What an outcome of that time says about its function.
fn pressure(outcome: Outcome, at_ms: u64) -> Pressure {
    match outcome {
        Outcome::Answered | Outcome::FunctionError => Pressure::Taken,
        Outcome::Refused => Pressure::Refused { at_ms },
        Outcome::Gone
        | Outcome::Looped
        | Outcome::Expired
        | Outcome::Disabled
        | Outcome::Unworkable => Pressure::Unknown,
    }
}
