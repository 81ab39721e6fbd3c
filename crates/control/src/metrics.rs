//! What the control plane counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::catalog::deliveries::Kind;

/// Every metric of this crate; cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Asynchronous events in the queue.
    pub events_queued: Gauge,
    /// Asynchronous events that a function answered without an error.
    pub events_delivered: Counter,
    /// Attempts that were put off: the function failed or could not be run.
    pub events_retried: Counter,
    /// When the oldest of them was accepted, in seconds since 1970; 0 when there is none.
    pub events_oldest: Gauge,
    /// Asynchronous events that were given up and told of: to a destination, or as dead letters.
    pub events_failed: Family<Ending, Counter>,
    /// Asynchronous events that were given up and had nobody to be told.
    pub events_dropped: Family<Ending, Counter>,
    /// What was told of events that ended.
    pub messages: Family<OfKind, Counter>,
    /// Messages on their way out of the platform.
    pub deliveries_waiting: Gauge,
    /// Messages that arrived there.
    pub deliveries: Family<Place, Counter>,
    /// Attempts at them that failed.
    pub deliveries_failed: Family<Place, Counter>,
    /// Full files of messages that were dropped for newer ones.
    pub dead_letter_files_dropped: Counter,
    /// Firings of schedules.
    pub schedules_fired: Counter,
    /// Warm-ups, asked for or scheduled.
    pub warm_ups: Counter,
    /// Instances that warm-ups started; no request waited for them.
    pub warm_up_starts: Counter,
    /// Handlers that warm-ups called.
    pub warm_up_calls: Counter,
    /// Versions made ready.
    pub deploys: Counter,
    /// Versions that could not be made ready.
    pub deploys_failed: Counter,
}

/// Why events ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ending {
    /// Such as `retries_exhausted`.
    pub reason: &'static str,
}

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfKind {
    /// `success`, `failure` or `dead_letter`.
    pub kind: &'static str,
}

/// Where messages go.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Place {
    /// `file` or `http`.
    pub place: &'static str,
}

impl From<&Kind> for OfKind {
    fn from(kind: &Kind) -> Self {
        Self {
            kind: kind.as_str(),
        }
    }
}

impl Place {
    pub(crate) const FILE: Self = Self { place: "file" };
    pub(crate) const HTTP: Self = Self { place: "http" };
}

impl Metrics {
    /// Shows the metrics in the platform's registry, as `…_control_…`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("control");
        let Self {
            events_queued,
            events_delivered,
            events_retried,
            events_oldest,
            events_failed,
            events_dropped,
            schedules_fired,
            warm_ups,
            warm_up_starts,
            warm_up_calls,
            messages,
            deliveries_waiting,
            deliveries,
            deliveries_failed,
            dead_letter_files_dropped,
            deploys,
            deploys_failed,
        } = self.clone();
        registry.register(
            "events_queued",
            "Asynchronous events in the queue",
            events_queued,
        );
        registry.register(
            "events_delivered",
            "Asynchronous events delivered",
            events_delivered,
        );
        registry.register("events_retried", "Attempts put off", events_retried);
        registry.register(
            "events_dropped",
            "Asynchronous events given up without anybody to be told",
            events_dropped,
        );
        registry.register("schedules_fired", "Firings of schedules", schedules_fired);
        registry.register("warm_ups", "Warm-ups", warm_ups);
        registry.register(
            "warm_up_starts",
            "Instances that warm-ups started",
            warm_up_starts,
        );
        registry.register(
            "warm_up_calls",
            "Handlers that warm-ups called",
            warm_up_calls,
        );
        registry.register(
            "events_oldest_timestamp_seconds",
            "When the oldest asynchronous event in the queue was accepted",
            events_oldest,
        );
        registry.register(
            "events_failed",
            "Asynchronous events given up and told of",
            events_failed,
        );
        registry.register(
            "event_messages",
            "Records and dead letters of asynchronous events that ended",
            messages,
        );
        registry.register(
            "deliveries_waiting",
            "Records and dead letters on their way to files and endpoints",
            deliveries_waiting,
        );
        registry.register(
            "deliveries",
            "Records and dead letters that arrived there",
            deliveries,
        );
        registry.register(
            "deliveries_failed",
            "Attempts to deliver there that failed",
            deliveries_failed,
        );
        registry.register(
            "dead_letter_files_dropped",
            "Full files of records and dead letters dropped for newer ones",
            dead_letter_files_dropped,
        );
        registry.register("deploys", "Versions made ready", deploys);
        registry.register("deploys_failed", "Versions not made ready", deploys_failed);
    }
}
