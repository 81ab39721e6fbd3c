//! Asynchronous invocations: kept in the catalog until they are delivered, at least once.

mod retry;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pilotlight_model::error::{Causes, ThrottleReason};
use pilotlight_model::node::{InvokeRequest, NodeError, QueuedEvent};
use pilotlight_model::start::Timeline;
use pilotlight_model::{ErrorKind, LambdaError};
use tokio::sync::Notify;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, field};

use crate::catalog::CatalogError;
use crate::catalog::events::{Attempts, Event};
use crate::control::Parts;
use crate::metrics::Metrics;
use retry::{Outcome, Verdict};

/// Rest after a fault of the catalog, so that what cannot be written down is not repeated at full speed.
const FAULT_REST: Duration = Duration::from_secs(5);

/// The queue's state outside the catalog: how long it is, and a bell.
pub(crate) struct Queue {
    limit: u64,
    length: AtomicU64,
    changed: Notify,
    metrics: Metrics,
}

impl Queue {
    pub(crate) fn new(limit: u64, length: u64, metrics: Metrics) -> Self {
        metrics
            .events_queued
            .set(i64::try_from(length).unwrap_or(i64::MAX));
        Self {
            limit,
            length: AtomicU64::new(length),
            changed: Notify::new(),
            metrics,
        }
    }

    /// Takes a place in the queue, if there is one.
    fn enter(&self) -> bool {
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

    fn leave(&self) {
        self.length.fetch_sub(1, Ordering::Relaxed);
        self.metrics.events_queued.dec();
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
    let kept = parts
        .catalog
        .write(move |session| Ok(session.enqueue(&event, now_ms)?))
        .await;
    match kept {
        Ok(()) => parts.queue.changed.notify_one(),
        Err(_) => parts.queue.leave(),
    }
    kept
}

/// The dispatcher: delivers what is due, as many at a time as configured, until stopped; then it lets
/// those that run end.
pub(crate) async fn run(parts: Arc<Parts>, stop: CancellationToken) {
    let room = parts.config.event_concurrency.max(1);
    let clock = Arc::clone(&parts.config.clock);
    let mut running: JoinSet<()> = JoinSet::new();
    let mut busy: HashMap<Id, i64> = HashMap::new();
    while !stop.is_cancelled() {
        let mut wake_ms = u64::MAX;
        // Those that run are due and so come first: `room` rows hold every one that could start.
        for (id, due_ms) in upcoming(&parts, room).await {
            if busy.values().any(|it| *it == id) {
                continue;
            }
            if due_ms > clock.unix_ms() {
                wake_ms = due_ms;
                break;
            }
            if busy.len() < room {
                let task = running.spawn(deliver(Arc::clone(&parts), id));
                busy.insert(task.id(), id);
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = parts.queue.changed.notified(), if busy.len() < room => {}
            () = clock.sleep_until(wake_ms) => {}
            Some(ended) = running.join_next_with_id() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(panic) => {
                        tracing::error!(%panic, "a delivery panicked");
                        panic.id()
                    }
                };
                busy.remove(&id);
            }
        }
    }
    while running.join_next().await.is_some() {}
}

async fn upcoming(parts: &Parts, limit: usize) -> Vec<(i64, u64)> {
    match parts
        .catalog
        .read(move |session| session.next_events(limit))
        .await
    {
        Ok(events) => events,
        Err(error) => {
            let error: CatalogError = error;
            tracing::error!(
                error = %Causes(&error),
                "cannot see which events are due"
            );
            tokio::time::sleep(FAULT_REST).await;
            parts.queue.changed.notify_one();
            Vec::new()
        }
    }
}

/// One attempt at one event, written down before it ends.
async fn deliver(parts: Arc<Parts>, id: i64) {
    let event = match parts.catalog.read(move |session| session.event(id)).await {
        Ok(event) => event,
        Err(error) => {
            let error: CatalogError = error;
            tracing::error!(error = %Causes(&error), id, "an event does not read");
            return tokio::time::sleep(FAULT_REST).await;
        }
    };
    let outcome = attempt(&parts, &event).await;
    let Event {
        event: QueuedEvent {
            request_id, name, ..
        },
        queued_ms,
        attempts,
        ..
    } = event;
    let now_ms = parts.config.clock.unix_ms();
    let verdict = retry::judge(queued_ms, attempts, outcome, now_ms, &parts.config.retries);
    let written = match verdict {
        Verdict::Delivered | Verdict::Dropped(_) => {
            parts
                .catalog
                .write(move |session| session.remove_event(id))
                .await
        }
        Verdict::PutOff { attempts, due_ms } => {
            parts
                .catalog
                .write(move |session| session.put_off(id, attempts, due_ms))
                .await
        }
    };
    if let Err(error) = written {
        tracing::error!(
            error = %Causes(&error),
            %request_id, "an event's end could not be written"
        );
        return tokio::time::sleep(FAULT_REST).await;
    }
    let Attempts { errors, refusals } = attempts;
    match verdict {
        Verdict::Delivered => {
            parts.metrics.events_delivered.inc();
            parts.queue.leave();
        }
        Verdict::PutOff { due_ms, .. } => {
            parts.metrics.events_retried.inc();
            tracing::info!(%request_id, function = %name, ?outcome, due_ms, "event put off");
        }
        Verdict::Dropped(reason) => {
            parts.metrics.events_dropped.inc();
            parts.queue.leave();
            let age_ms = now_ms.saturating_sub(queued_ms);
            tracing::warn!(%request_id, function = %name, reason, errors, refusals, age_ms, "event given up");
        }
    }
}

async fn attempt(parts: &Parts, event: &Event) -> Outcome {
    let QueuedEvent {
        request_id,
        account,
        region,
        name,
        qualifier,
        ..
    } = &event.event;
    // At every attempt anew: an alias may have moved on, and one with two versions chooses again.
    let resolved = match parts.resolve(account, region, name, qualifier.as_deref()) {
        Ok(resolved) => resolved,
        Err(error) if error.kind == ErrorKind::ResourceNotFound => return Outcome::Gone,
        Err(_) => return Outcome::Refused,
    };
    // Throttled as any other invocation, and held until the attempt is over.
    let Ok(_permit) = parts.admit.admit(&resolved.spec.key, &resolved.share) else {
        return Outcome::Refused;
    };
    let clock = &parts.config.clock;
    let request = InvokeRequest {
        spec: resolved.spec,
        request_id: *request_id,
        invoked_arn: resolved.invoked_arn,
        payload: event.event.payload.clone(),
        client_context: event.event.client_context.clone(),
        trace_id: event.event.trace_id.clone(),
        log_tail: false,
        cold: None,
        stream: None,
        timeline: Timeline::begin(clock.monotonic()),
        at_ms: clock.unix_ms(),
    };
    let span = tracing::info_span!(
        "invocation",
        function = %request.spec.key.name,
        version = %request.spec.key.version,
        %request_id,
        node = parts.node_name,
        instance = field::Empty,
        kind = field::Empty,
    );
    let running = parts.node.invoke(request).instrument(span.clone());
    match running.await {
        Ok(reply) => {
            span.record("instance", field::display(reply.instance));
            span.record("kind", reply.kind.as_str());
            span.in_scope(|| tracing::debug!(failed = reply.function_error.is_some(), "event run"));
            match reply.function_error {
                None => Outcome::Answered,
                Some(_) => Outcome::FunctionError,
            }
        }
        Err(NodeError::Overloaded | NodeError::Draining) => Outcome::Refused,
        Err(NodeError::Internal(cause)) => {
            span.in_scope(|| tracing::error!(cause, "node failed to run an invocation"));
            Outcome::Refused
        }
    }
}
