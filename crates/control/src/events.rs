//! Asynchronous invocations: kept in the catalog until they are delivered, at least once, and until what is to
//! be told of their end is kept there in their place.

mod attempt;
pub(crate) mod dispatch;
pub(crate) mod record;
mod retry;
pub(crate) mod schedule;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pilotlight_model::error::{Causes, ThrottleReason};
use pilotlight_model::limits::INVOKE_REQUEST_BYTES;
use pilotlight_model::node::QueuedEvent;
use pilotlight_model::{LambdaError, VersionKey};
use tokio_util::sync::CancellationToken;

use crate::catalog::CatalogError;
use crate::catalog::deliveries::{Kind, Message};
use crate::catalog::event_invoke::EventInvoke;
use crate::catalog::events::{Attempts, Event};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::Parts;
use crate::destination;
use crate::metrics::{Ending, Metrics};
use attempt::Attempt;
pub(crate) use attempt::may_loop;
use dispatch::{Desk, Work};
use record::{Condition, Ended};
use retry::{Outcome, Reason, Verdict};
use schedule::{End, Entry, Pressure, Rests};

/// Rest after a fault of the catalog, so that what cannot be written down is not repeated at full speed.
const FAULT_REST: Duration = Duration::from_secs(5);

/// The queue's state outside the catalog: how long it is, and whose turn it is.
pub(crate) struct Queue {
    limit: u64,
    length: AtomicU64,
    desk: Desk,
    metrics: Metrics,
}

impl Queue {
    /// The queue with what the catalog holds.
    pub(crate) fn new(config: &Config, waiting: Vec<Entry>, metrics: Metrics) -> Self {
        let length = waiting.len() as u64;
        metrics.events_queued.set(signed(length));
        let desk = Desk::new(
            config.event_concurrency,
            rests(config),
            waiting,
            &config.clock,
        );
        let queue = Self {
            limit: config.limits.queued_events,
            length: AtomicU64::new(length),
            desk,
            metrics,
        };
        queue.show_oldest();
        queue
    }

    /// Takes a place in the queue, if there is one.
    pub(crate) fn enter(&self) -> bool {
        let taken = self
            .length
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |length| {
                (length < self.limit).then_some(length + 1)
            });
        if taken.is_ok() {
            self.metrics.events_queued.inc();
        }
        taken.is_ok()
    }

    /// What has taken places is written down: it is delivered from now on.
    pub(crate) fn entered(&self, entries: Vec<Entry>) {
        self.desk.add(entries);
        self.show_oldest();
    }

    /// Takes places for what follows an event that was accepted: it is not refused.
    fn follow(&self, entries: Vec<Entry>) {
        self.length
            .fetch_add(entries.len() as u64, Ordering::Relaxed);
        self.metrics
            .events_queued
            .inc_by(signed(entries.len() as u64));
        self.desk.add(entries);
    }

    pub(crate) fn leave(&self) {
        self.length.fetch_sub(1, Ordering::Relaxed);
        self.metrics.events_queued.dec();
    }

    fn show_oldest(&self) {
        let oldest_s = self.desk.oldest_ms().unwrap_or(0) / 1_000;
        self.metrics.events_oldest.set(signed(oldest_s));
    }
}

/// How long what refuses is left alone.
pub(crate) fn rests(config: &Config) -> Rests {
    retry::rests(&config.retries)
}

/// When something is tried again that a fault of the catalog kept from being done.
pub(crate) fn after_fault(clock: &dyn Clock) -> End {
    let rest_ms = u64::try_from(FAULT_REST.as_millis()).unwrap_or(u64::MAX);
    End {
        due_ms: Some(clock.unix_ms().saturating_add(rest_ms)),
        pressure: Pressure::Unknown,
    }
}

/// Keeps an event; it is on stable storage when this returns.
pub(crate) async fn enqueue(parts: Arc<Parts>, event: QueuedEvent) -> Result<(), LambdaError> {
    if !parts.queue.enter() {
        return Err(LambdaError::throttled(
            ThrottleReason::ConcurrentInvocationLimitExceeded,
        ));
    }
    let now_ms = parts.config.clock.unix_ms();
    let kept: Result<Entry, LambdaError> = parts
        .catalog
        .write(move |session| Ok(session.enqueue(&event, now_ms)?))
        .await;
    match kept {
        Ok(entry) => {
            parts.queue.entered(vec![entry]);
            Ok(())
        }
        Err(error) => {
            parts.queue.leave();
            Err(error)
        }
    }
}

/// Delivers events, as many at a time as configured, until stopped; then it lets those that run end.
pub(crate) async fn run(parts: Arc<Parts>, stop: CancellationToken) {
    let events = Arc::new(Events(Arc::clone(&parts)));
    parts.queue.desk.run(events, stop).await;
}

struct Events(Arc<Parts>);

impl Work for Events {
    async fn attempt(self: Arc<Self>, entry: Entry) -> End {
        let parts = &self.0;
        let Some(event) = read(parts, entry.id).await else {
            return after_fault(&*parts.config.clock);
        };
        let expires_ms = retry::expires_ms(event.queued_ms, &event.settings, &parts.config.retries);
        let attempt = match parts.config.clock.unix_ms() > expires_ms {
            true => Attempt::expired(&event),
            false => attempt::make(parts, &event).await,
        };
        conclude(parts, entry.id, event, attempt).await
    }

    async fn give_up(self: Arc<Self>, entry: Entry) -> End {
        let parts = &self.0;
        let Some(event) = read(parts, entry.id).await else {
            return after_fault(&*parts.config.clock);
        };
        let attempt = Attempt::unworkable(&event.event);
        conclude(parts, entry.id, event, attempt).await
    }
}

async fn read(parts: &Parts, id: i64) -> Option<Event> {
    let read = parts.catalog.read(move |session| session.event(id)).await;
    read.inspect_err(|error: &CatalogError| {
        tracing::error!(error = %Causes(error), id, "an event does not read");
    })
    .ok()
}

/// Writes down how an attempt ended, and what is to be told of it.
async fn conclude(parts: &Parts, id: i64, event: Event, attempt: Attempt) -> End {
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
        Verdict::Ended {
            attempts,
            condition,
            reason,
        } => {
            let end = Finish {
                attempts,
                condition,
                reason,
                now_ms,
            };
            finish(parts, id, &event, &attempt, end).await
        }
    };
    match written {
        Ok(due_ms) => End {
            due_ms,
            pressure: pressure(attempt.outcome),
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
    condition: Condition,
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
    let dead_letter = match end.condition {
        Condition::Success => None,
        _ => dead_letter(parts, event, attempt.version.clone()).await?,
    };
    let messages = messages(event, attempt, end, &settings, dead_letter)?;
    let told: Vec<Kind> = messages.iter().map(|message| message.kind).collect();
    let now_ms = end.now_ms;
    let followers = parts
        .catalog
        .write(move |session| session.settle(id, &messages, now_ms))
        .await?;
    parts.queue.leave();
    parts.queue.follow(followers.events);
    parts.deliveries.add(followers.deliveries);
    parts.queue.show_oldest();

    let metrics = &parts.metrics;
    for kind in &told {
        metrics.messages.get_or_create(&kind.into()).inc();
    }
    if end.reason == Reason::Delivered {
        metrics.events_delivered.inc();
        return Ok(None);
    }
    let (
        reason,
        QueuedEvent {
            request_id, name, ..
        },
    ) = (end.reason.as_str(), &event.event);
    let Attempts { runs, refusals } = end.attempts;
    let age_ms = now_ms.saturating_sub(event.queued_ms);
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
    Ok(None)
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
        "arn:aws:lambda:{}:{}:function:{}:{qualifier}",
        of.region, of.account, of.name
    );
    let ended = Ended {
        at_ms: end.now_ms,
        request_id: of.request_id,
        function_arn: &function_arn,
        condition: end.condition,
        invocations: end.attempts.runs,
        request: &of.payload,
        response: attempt.response.as_ref(),
    };
    let (kind, destination) = match end.condition {
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
            ..Message::about(of, kind, target.clone(), record)
        });
    }
    if let Some(target) = dead_letter {
        messages.push(Message {
            attributes: Some(ended.attributes()),
            trace_id: attempt.trace_id.clone(),
            ..Message::about(of, Kind::DeadLetter, target, of.payload.clone())
        });
    }
    Ok(messages)
}

/// What an outcome says about its function.
fn pressure(outcome: Outcome) -> Pressure {
    match outcome {
        Outcome::Answered | Outcome::FunctionError => Pressure::Taken,
        Outcome::Refused => Pressure::Refused,
        Outcome::Gone
        | Outcome::Looped
        | Outcome::Expired
        | Outcome::Disabled
        | Outcome::Unworkable => Pressure::Unknown,
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
