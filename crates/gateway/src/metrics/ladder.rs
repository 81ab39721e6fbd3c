//! The ladder of the node: where versions stand, what that costs, and what was forked, refused and given
//! up. The node counts; here it is written down when someone asks.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use pilotlight_model::Rung;
use pilotlight_model::node::NodeStatus;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{registered, set};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRung {
    rung: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GivenUp {
    rung: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ForReason {
    reason: String,
}

pub(super) struct LadderMetrics {
    versions: Family<OfRung, Gauge>,
    bytes: Family<OfRung, Gauge>,
    forks: Counter,
    fork_seconds: Counter<f64, std::sync::atomic::AtomicU64>,
    refusals: Family<ForReason, Counter>,
    given_up: Family<GivenUp, Counter>,
}

impl LadderMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let r = registry;
        Self {
            versions: registered(r, "node_versions", "Versions by the rung they stand on"),
            bytes: registered(
                r,
                "node_rung_bytes",
                "Memory that spares, templates and zygotes have for themselves",
            ),
            forks: registered(
                r,
                "node_forks",
                "Processes forked, spares among them, and ahead of time",
            ),
            fork_seconds: registered(r, "node_fork_seconds", "Time that these forks took"),
            refusals: registered(
                r,
                "node_refusals",
                "Processes that could not become templates",
            ),
            given_up: registered(
                r,
                "node_given_up",
                "Spares, templates and zygotes given up for want of memory",
            ),
        }
    }

    pub(super) fn set(&self, node: &NodeStatus) {
        let mut versions: BTreeMap<Rung, u64> = BTreeMap::new();
        let (mut spares, mut templates) = (0, 0);
        for counts in node.versions.values() {
            *versions.entry(counts.rung).or_default() += 1;
            spares += counts.spare_bytes;
            templates += counts.template_bytes;
        }
        for rung in Rung::ALL {
            let count = versions.get(&rung).copied().unwrap_or(0);
            set(&self.versions.get_or_create(&of(rung)), count);
        }
        let zygotes = node.zygotes.iter().map(|zygote| zygote.bytes).sum();
        for (rung, bytes) in [
            (Rung::Spare, spares),
            (Rung::Template, templates),
            (Rung::Zygote, zygotes),
        ] {
            set(&self.bytes.get_or_create(&of(rung)), bytes);
        }
        // The node counts; it only ever grows.
        let ladder = &node.ladder;
        self.forks.inner().store(ladder.forks, Ordering::Relaxed);
        let seconds = ladder.fork_us as f64 / 1e6;
        self.fork_seconds
            .inner()
            .store(seconds.to_bits(), Ordering::Relaxed);
        for (reason, &count) in &ladder.refusals {
            let labels = ForReason {
                reason: reason.clone(),
            };
            store(&self.refusals.get_or_create(&labels), count);
        }
        for (rung, &count) in &ladder.given_up {
            let labels = GivenUp { rung: rung.clone() };
            store(&self.given_up.get_or_create(&labels), count);
        }
    }
}

fn of(rung: Rung) -> OfRung {
    OfRung {
        rung: rung.as_str(),
    }
}

fn store(counter: &Counter, count: u64) {
    counter.inner().store(count, Ordering::Relaxed);
}
