//! Asynchronous invocations: kept in the catalog until they are delivered, at least once, and until what is to
//! be told of their end is kept there in their place.

mod attempt;
pub(crate) mod dispatch;
mod ending;
pub(crate) mod places;
pub(crate) mod record;
mod retry;
pub(crate) mod schedule;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pilotlight_model::error::{Causes, ThrottleReason};
use pilotlight_model::node::QueuedEvent;
use pilotlight_model::{AccountId, LambdaError};
use tokio_util::sync::CancellationToken;

use crate::catalog::CatalogError;
use crate::catalog::deliveries::Message;
use crate::catalog::events::Event;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::Parts;
use crate::destination;
use crate::metrics::Metrics;
use attempt::Attempt;
pub(crate) use attempt::may_loop;
use dispatch::{Desk, Work};
use places::{Following, PlaceLimits, Places};
use schedule::{End, Entry, Pressure, Rests};

/// Rest after a fault of the catalog, so that what cannot be written down is not repeated at full speed.
const FAULT_REST: Duration = Duration::from_secs(5);

/// The queue's state outside the catalog: how long it is, and whose turn it is.
pub(crate) struct Queue {
    /// Locked for a count, never across an await.
    places: Mutex<Places>,
    desk: Desk,
    metrics: Metrics,
}

impl Queue {
    /// The queue with what the catalog holds.
    pub(crate) fn new(config: &Config, waiting: Vec<(Entry, usize)>, metrics: Metrics) -> Self {
        let mut places = Places::new(PlaceLimits {
            all: config.limits.queued_events,
            account: config.account_queued_events,
        });
        for (entry, bytes) in &waiting {
            places.put(entry.lane.account(), *bytes);
        }
        metrics.events_queued.set(signed(waiting.len() as u64));
        let desk = Desk::new(
            config.event_concurrency,
            rests(config),
            waiting.into_iter().map(|(entry, _)| entry).collect(),
            &config.clock,
        );
        let queue = Self {
            places: Mutex::new(places),
            desk,
            metrics,
        };
        queue.show_oldest();
        queue
    }

    /// Takes the places of an event of that size, if there are so many for that account.
    pub(crate) fn enter(&self, account: &AccountId, bytes: usize) -> bool {
        let entered = self.places.lock().enter(account.as_str(), bytes);
        if entered {
            self.metrics.events_queued.inc();
        }
        entered
    }

    /// What has taken places is written down: it is delivered from now on.
    pub(crate) fn entered(&self, entries: Vec<Entry>) {
        self.desk.add(entries);
        self.show_oldest();
    }

    /// Hands the places of an event that ends on to what of these messages is for functions.
    fn follow(&self, account: &str, bytes: usize, messages: &[Message]) -> Following {
        let followers = messages.iter().map(|message| {
            let function = destination::function(&message.target);
            function.map(|_| message.body.len())
        });
        self.places.lock().follow(account, bytes, followers)
    }

    /// Of the places that are held for an event and what follows it, keeps those of events of these sizes.
    fn keep(&self, account: &str, held: u64, sizes: &[usize]) {
        self.places.lock().keep(account, held, sizes);
    }

    /// What follows an event is written down.
    fn followed_by(&self, entries: Vec<Entry>) {
        let count = signed(entries.len() as u64);
        self.metrics.events_queued.inc_by(count);
        self.desk.add(entries);
    }

    /// Gives the places of an event back.
    pub(crate) fn leave(&self, account: &AccountId, bytes: usize) {
        self.places.lock().leave(account.as_str(), bytes);
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
    let (account, bytes) = (event.account.clone(), event.payload.len());
    if !parts.queue.enter(&account, bytes) {
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
            parts.queue.leave(&account, bytes);
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
    let partition = region.partition();
    let qualifier = qualifier.as_deref().unwrap_or("$LATEST");
    LambdaError::function_not_found(&format!(
        "arn:{partition}:lambda:{region}:{account}:function:{name}:{qualifier}"
    ))
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
