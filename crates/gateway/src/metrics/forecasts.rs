//! Forecasts of the node's policy, and what they were worth. The node counts; here it is written down when
//! someone asks.

use std::sync::atomic::{AtomicU64, Ordering};

use pilotlight_model::node::NodeStatus;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::registered;

pub(super) struct ForecastMetrics {
    forecasts: Counter,
    hits: Counter,
    misses: Counter,
    wasted: Counter<f64, AtomicU64>,
}

impl ForecastMetrics {
    pub(super) fn new(r: &mut Registry) -> Self {
        Self {
            forecasts: registered(
                r,
                "policy_forecasts",
                "Forecast requests that something was made ready for",
            ),
            hits: registered(
                r,
                "policy_forecast_hits",
                "Forecasts in whose time a request came",
            ),
            misses: registered(
                r,
                "policy_forecast_misses",
                "Forecasts in whose time none came",
            ),
            wasted: registered(
                r,
                "policy_forecast_wasted_mb_seconds",
                "Memory-time kept for forecasts in vain",
            ),
        }
    }

    pub(super) fn set(&self, node: &NodeStatus) {
        let counters = node.forecasts.unwrap_or_default();
        let store = |counter: &Counter, count| counter.inner().store(count, Ordering::Relaxed);
        store(&self.forecasts, counters.forecasts);
        store(&self.hits, counters.hits);
        store(&self.misses, counters.misses);
        let wasted = counters.wasted_mb_s.to_bits();
        self.wasted.inner().store(wasted, Ordering::Relaxed);
    }
}
