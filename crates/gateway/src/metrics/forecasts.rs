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
    calls: CallMetrics,
}

/// Of calls of functions by functions, over all of them: each by itself would be as many as there are pairs.
struct CallMetrics {
    calls: Counter,
    forecasts: Counter,
    hits: Counter,
    lead: Counter<f64, AtomicU64>,
    wasted: Counter<f64, AtomicU64>,
}

impl CallMetrics {
    fn new(r: &mut Registry) -> Self {
        Self {
            calls: registered(r, "policy_calls", "Calls of functions by functions"),
            forecasts: registered(
                r,
                "policy_call_forecasts",
                "Times that a function was made ready for a call",
            ),
            hits: registered(
                r,
                "policy_call_forecast_hits",
                "Those of them that a call met",
            ),
            lead: registered(
                r,
                "policy_call_forecast_lead_seconds",
                "Time that functions were ready before their calls",
            ),
            wasted: registered(
                r,
                "policy_call_forecast_wasted_mb_seconds",
                "Memory-time kept for calls in vain",
            ),
        }
    }

    fn set(&self, node: &NodeStatus) {
        let counters = node.calls.unwrap_or_default();
        let store = |counter: &Counter, count| counter.inner().store(count, Ordering::Relaxed);
        store(&self.calls, counters.calls);
        store(&self.forecasts, counters.forecasts);
        store(&self.hits, counters.hits);
        let store = |counter: &Counter<f64, AtomicU64>, sum: f64| {
            counter.inner().store(sum.to_bits(), Ordering::Relaxed);
        };
        store(&self.lead, counters.lead_s);
        store(&self.wasted, counters.wasted_mb_s);
    }
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
            calls: CallMetrics::new(r),
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
        self.calls.set(node);
    }
}
