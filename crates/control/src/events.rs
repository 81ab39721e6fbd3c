//! Asynchronous invocations: kept in the catalog until they are delivered, at least once, and until what is to
//! be told of their end is kept there in their place.

mod attempt;
pub(crate) mod dispatch;
mod ending;
pub(crate) mod record;
mod retry;
pub(crate) mod schedule;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pilotlight_model::LambdaError;
use pilotlight_model::error::{Causes, ThrottleReason};
use pilotlight_model::node::QueuedEvent;
use tokio_util::sync::CancellationToken;

use crate::catalog::CatalogError;
use crate::catalog::events::Event;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::Parts;
use crate::metrics::Metrics;
use attempt::Attempt;
pub(crate) use attempt::may_loop;
use dispatch::{Desk, Work};
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
        .write(move |session| {
            // It may have been deleted since it was resolved, and what waited for it then was looked after;
            // nobody would look after this one.
            if !session.is_there(&event)? {
                return Err(missing(&event));
            }
            Ok(session.enqueue(&event, now_ms)?)
        })
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

fn missing(event: &QueuedEvent) -> LambdaError {
    let QueuedEvent {
        account,
        region,
        name,
        qualifier,
        ..
    } = event;
    let function = format!("arn:aws:lambda:{region}:{account}:function:{name}");
    LambdaError::function_not_found(&match qualifier {
        Some(qualifier) => format!("{function}:{qualifier}"),
        None => function,
    })
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
        ending::conclude(parts, entry.id, event, attempt).await
    }

    async fn give_up(self: Arc<Self>, entry: Entry) -> End {
        let parts = &self.0;
        let Some(event) = read(parts, entry.id).await else {
            return after_fault(&*parts.config.clock);
        };
        let attempt = Attempt::unworkable(&event.event);
        ending::conclude(parts, entry.id, event, attempt).await
    }
}

async fn read(parts: &Parts, id: i64) -> Option<Event> {
    let read = parts.catalog.read(move |session| session.event(id)).await;
    read.inspect_err(|error: &CatalogError| {
        tracing::error!(error = %Causes(error), id, "an event does not read");
    })
    .ok()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
