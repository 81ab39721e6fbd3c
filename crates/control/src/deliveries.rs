//! Records and dead letters on their way out of the platform: to files, and to HTTP endpoints that the operator
//! names. Kept in the catalog until they have arrived, at least once.

mod endpoints;
mod files;
mod places;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use pilotlight_model::error::Causes;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::catalog::CatalogError;
use crate::catalog::deliveries::Delivery;
use crate::config::Config;
use crate::control::Parts;
use crate::destination::Arn;
use crate::events::dispatch::{Desk, Work};
use crate::events::places::{PlaceLimits, Places};
use crate::events::record::Attributes;
use crate::events::schedule::{End, Entry, Pressure};
use crate::events::{after_fault, rests};
use crate::metrics::{Metrics, Place};
use endpoints::Endpoints;
use files::Files;

pub use places::{Destination, Destinations, InvalidDestination};

/// Messages that are delivered at the same time.
const ROOM: usize = 64;

/// The way out.
pub(crate) struct Deliveries {
    desk: Desk,
    files: Files,
    endpoints: Endpoints,
    /// What waits of each account, one place each. Locked for a count, never across an await.
    waiting: Mutex<Places>,
    metrics: Metrics,
}

impl Deliveries {
    /// The way out with what the catalog holds.
    pub(crate) fn new(
        config: &Config,
        waiting: Vec<Entry>,
        metrics: Metrics,
    ) -> std::io::Result<Self> {
        let length = i64::try_from(waiting.len()).unwrap_or(i64::MAX);
        metrics.deliveries_waiting.set(length);
        let mut places = Places::new(PlaceLimits {
            all: u64::MAX,
            account: config.account_deliveries,
        });
        for entry in &waiting {
            places.put(entry.lane.account(), 0);
        }
        Ok(Self {
            desk: Desk::new(ROOM, rests(config), waiting, &config.clock),
            files: Files::start(config.dead_letter_bytes)?,
            endpoints: Endpoints::default(),
            waiting: Mutex::new(places),
            metrics,
        })
    }

    /// Whether more of that account waits than may wait for endpoints.
    fn is_over(&self, account: &str) -> bool {
        self.waiting.lock().is_over(account)
    }

    /// Adds what has been written down.
    pub(crate) fn add(&self, entries: Vec<Entry>) {
        if !entries.is_empty() {
            let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
            self.metrics.deliveries_waiting.inc_by(count);
            let mut waiting = self.waiting.lock();
            for entry in &entries {
                waiting.put(entry.lane.account(), 0);
            }
            drop(waiting);
            self.desk.add(entries);
        }
    }
}

/// Delivers until stopped; then it lets what runs end.
pub(crate) async fn run(parts: Arc<Parts>, stop: CancellationToken) {
    let outgoing = Arc::new(Outgoing(Arc::clone(&parts)));
    parts.deliveries.desk.run(outgoing, stop).await;
}

struct Outgoing(Arc<Parts>);

impl Work for Outgoing {
    async fn attempt(self: Arc<Self>, entry: Entry) -> End {
        let parts = &self.0;
        let Some(delivery) = read(parts, entry.id).await else {
            return after_fault(&*parts.config.clock);
        };
        let (place, sent) = send(parts, &delivery).await;
        conclude(parts, entry.id, &delivery, place, sent).await
    }

    /// The next attempt is made at the next start: a message is not thrown away.
    async fn give_up(self: Arc<Self>, _: Entry) -> End {
        End {
            due_ms: None,
            pressure: Pressure::Unknown,
        }
    }
}

async fn read(parts: &Parts, id: i64) -> Option<Delivery> {
    let read = parts
        .catalog
        .read(move |session| session.delivery(id))
        .await;
    read.inspect_err(|error: &CatalogError| {
        tracing::error!(error = %Causes(error), id, "a message does not read");
    })
    .ok()
}

/// One attempt; what goes wrong, in words for people.
async fn send(parts: &Parts, delivery: &Delivery) -> (Place, Result<(), String>) {
    let config = &parts.config;
    let age_ms = config.clock.unix_ms().saturating_sub(delivery.queued_ms);
    let patient = u128::from(age_ms) < config.delivery_max_age.as_millis()
        && !parts.deliveries.is_over(&delivery.account);
    match config.destinations.find(&delivery.target) {
        Some(Destination::Http(url)) if patient => {
            let sent = parts.deliveries.endpoints.post(url, delivery).await;
            (Place::HTTP, sent)
        }
        Some(Destination::File(path)) => {
            let sent = write(parts, path.clone(), false, delivery).await;
            (Place::FILE, sent)
        }
        // An endpoint that did not take it for so long, or so many, does not get it any more; nothing is thrown away.
        Some(Destination::Http(_)) | None => {
            let path = default_file(&config.data_dir, delivery);
            (Place::FILE, write(parts, path, true, delivery).await)
        }
    }
}

async fn write(
    parts: &Parts,
    path: PathBuf,
    named: bool,
    delivery: &Delivery,
) -> Result<(), String> {
    let line = line(delivery).map_err(|error| error.to_string())?;
    let files = &parts.deliveries.files;
    let written = match named {
        true => files.append_named(path, line).await?,
        false => files.append(path, line).await?,
    };
    if written.dropped {
        parts.metrics.dead_letter_files_dropped.inc();
    }
    Ok(())
}

async fn conclude(
    parts: &Parts,
    id: i64,
    delivery: &Delivery,
    place: Place,
    sent: Result<(), String>,
) -> End {
    let metrics = &parts.metrics;
    let now_ms = parts.config.clock.unix_ms();
    let written = match &sent {
        Ok(()) => parts
            .catalog
            .write(move |session| session.remove_delivery(id))
            .await
            .map(|()| None),
        Err(error) => {
            let due_ms = now_ms + rests(&parts.config).after(delivery.attempts);
            let error = error.clone();
            parts
                .catalog
                .write(move |session| session.put_off_delivery(id, due_ms, &error))
                .await
                .map(|()| Some(due_ms))
        }
    };
    let due_ms = match written {
        Ok(due_ms) => due_ms,
        Err(error) => {
            let error: CatalogError = error;
            tracing::error!(error = %Causes(&error), id, "a delivery's end could not be written");
            return after_fault(&*parts.config.clock);
        }
    };
    let pressure = match &sent {
        Ok(()) => {
            metrics.deliveries.get_or_create(&place).inc();
            parts.deliveries.waiting.lock().leave(&delivery.account, 0);
            // Last: who sees it gone sees where it is.
            metrics.deliveries_waiting.dec();
            Pressure::Taken
        }
        Err(error) => {
            metrics.deliveries_failed.get_or_create(&place).inc();
            let Delivery {
                request_id,
                target,
                attempts,
                ..
            } = delivery;
            // Of a file that cannot be written its writer tells, once.
            if place == Place::HTTP {
                tracing::warn!(
                    request_id,
                    target,
                    attempts,
                    error,
                    "a destination does not take what is told"
                );
            }
            Pressure::Refused { at_ms: now_ms }
        }
    };
    End { due_ms, pressure }
}

/// A line of a file: what an SQS queue would hold.
fn line(delivery: &Delivery) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Line<'a> {
        message_id: &'a str,
        /// Milliseconds since 1970.
        sent_timestamp: u64,
        destination: &'a str,
        kind: &'a str,
        body: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        message_attributes: Option<serde_json::Value>,
    }
    let text = String::from_utf8_lossy(&delivery.body);
    let mut line = serde_json::to_vec(&Line {
        message_id: &delivery.message_id,
        sent_timestamp: delivery.queued_ms,
        destination: &delivery.target,
        kind: &delivery.kind,
        body: &text,
        message_attributes: delivery
            .attributes
            .as_ref()
            .map(Attributes::message_attributes),
    })?;
    line.push(b'\n');
    Ok(line)
}

/// The file of a target that the operator has not placed, below the function's own account and region.
pub(crate) fn default_file(data_dir: &Path, delivery: &Delivery) -> PathBuf {
    let name = Arn::parse(&delivery.target).map_or("unnamed", |arn| arn.name());
    folder(data_dir, &delivery.account, &delivery.region).join(format!("{name}.jsonl"))
}

/// Where the files of an account and region are.
pub(crate) fn folder(data_dir: &Path, account: &str, region: &str) -> PathBuf {
    data_dir.join("dead-letters").join(account).join(region)
}
