//! What the control plane counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Every metric of this crate; cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Asynchronous events in the queue.
    pub events_queued: Gauge,
    /// Asynchronous events that a function answered without an error.
    pub events_delivered: Counter,
    /// Attempts that were put off: the function failed or could not be run.
    pub events_retried: Counter,
    /// Asynchronous events that were given up.
    pub events_dropped: Counter,
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

impl Metrics {
    /// Shows the metrics in the platform's registry, as `…_control_…`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("control");
        let Self {
            events_queued,
            events_delivered,
            events_retried,
            events_dropped,
            warm_ups,
            warm_up_starts,
            warm_up_calls,
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
            "Asynchronous events given up",
            events_dropped,
        );
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
        registry.register("deploys", "Versions made ready", deploys);
        registry.register("deploys_failed", "Versions not made ready", deploys_failed);
    }
}
