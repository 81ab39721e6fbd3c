//! Provisioned instances: how many there are, what they served, and what they cost while they waited. The
//! node counts; here it is written down when someone asks.

use std::sync::atomic::{AtomicU64, Ordering};

use pilotlight_model::node::NodeStatus;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{registered, set};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    state: &'static str,
}

pub(super) struct ProvisionedMetrics {
    instances: Family<OfState, Gauge>,
    invocations: Counter,
    spillovers: Counter,
    idle_gb_seconds: Counter<f64, AtomicU64>,
}

impl ProvisionedMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let r = registry;
        Self {
            instances: registered(
                r,
                "node_provisioned_instances",
                "Provisioned instances by state; missing are those that were asked for and are not there",
            ),
            invocations: registered(
                r,
                "provisioned_concurrency_invocations",
                "Invocations that provisioned instances ran",
            ),
            spillovers: registered(
                r,
                "provisioned_concurrency_spillover_invocations",
                "Invocations that ran on demand because every provisioned instance was busy",
            ),
            idle_gb_seconds: registered(
                r,
                "provisioned_concurrency_idle_gb_seconds",
                "Memory that provisioned instances held while they waited",
            ),
        }
    }

    pub(super) fn set(&self, node: &NodeStatus) {
        let (mut idle, mut busy, mut missing) = (0, 0, 0);
        let versions = node.versions.values();
        for provisioned in versions.filter_map(|counts| counts.provisioned.as_ref()) {
            idle += u64::from(provisioned.available);
            busy += u64::from(provisioned.allocated.saturating_sub(provisioned.available));
            missing += u64::from(provisioned.wanted.saturating_sub(provisioned.allocated));
        }
        for (state, count) in [("idle", idle), ("busy", busy), ("missing", missing)] {
            set(&self.instances.get_or_create(&OfState { state }), count);
        }
        // It only ever grows.
        let usage = &node.provisioned;
        let store = |counter: &Counter, count| counter.inner().store(count, Ordering::Relaxed);
        store(&self.invocations, usage.invocations);
        store(&self.spillovers, usage.spillovers);
        let seconds = usage.idle_gb_seconds().to_bits();
        self.idle_gb_seconds
            .inner()
            .store(seconds, Ordering::Relaxed);
    }
}
