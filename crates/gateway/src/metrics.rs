//! Every metric of the gateway. Their number is bounded: only functions are many, and those that come
//! after the limit share a label.

mod forecasts;
mod ladder;
mod provisioned;

use std::array;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{Mutex, RwLock};
use pilotlight_model::node::NodeStatus;
use pilotlight_model::{FunctionName, Phase, StartKind};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::record::Finished;
use forecasts::ForecastMetrics;
use ladder::LadderMetrics;
use provisioned::ProvisionedMetrics;

/// Label of the functions that came after the limit.
const OTHER: &str = "_other";
/// `kind` of invocations that never got an instance.
const NO_KIND: &str = "none";
const KINDS: usize = StartKind::ALL.len();
const PHASES: usize = Phase::ALL.len();

/// How an invocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// The function answered.
    Ok,
    /// The function failed.
    FunctionError,
    /// There was no room for it.
    Throttled,
    /// The platform failed.
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Invocation {
    function: Arc<str>,
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseOfKind {
    phase: &'static str,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    state: &'static str,
}

/// The gateway's metrics, and its node's as they are at the time of asking.
pub(crate) struct Metrics {
    /// Locked to add another part's metrics, and to write all of them out.
    registry: Mutex<Registry>,
    invocations: Family<Invocation, Counter>,
    /// By kind and phase, in the order of their `ALL`: looked up once, not on every request.
    phases: [[Histogram; PHASES]; KINDS],
    invoke: [Histogram; KINDS],
    throttles: Counter,
    in_flight: Gauge,
    /// Connections that are open.
    pub(crate) connections: Gauge,
    slots: Gauge,
    promised: Gauge,
    capacity: Gauge,
    instances: Family<OfState, Gauge>,
    ladder: LadderMetrics,
    provisioned: ProvisionedMetrics,
    forecasts: ForecastMetrics,
    dropped_log_lines: Counter,
    dropped_events: Counter,
    /// Spans that the trace exporter could not deliver.
    pub(crate) dropped_spans: Counter,
    function_limit: usize,
    other: Arc<str>,
    /// Functions with a label of their own. Written once per function, read on every invocation.
    functions: RwLock<HashSet<Arc<str>>>,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::FunctionError => "function_error",
            Outcome::Throttled => "throttled",
            Outcome::Failed => "failed",
        }
    }
}

impl Metrics {
    pub(crate) fn new(function_limit: usize) -> Self {
        let mut registry = Registry::with_prefix("pilotlight");
        let r = &mut registry;
        let phases: Family<PhaseOfKind, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(histogram);
        let invoke: Family<OfKind, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(histogram);
        r.register(
            "start_phase_seconds",
            "Time spent in each phase of an invocation, by what its instance came from",
            phases.clone(),
        );
        r.register(
            "invoke_seconds",
            "Time from a request's first byte to its answer's last, or of an asynchronous attempt",
            invoke.clone(),
        );
        Self {
            phases: array::from_fn(|kind| {
                array::from_fn(|phase| {
                    let labels = PhaseOfKind {
                        phase: Phase::ALL[phase].as_str(),
                        kind: StartKind::ALL[kind].as_str(),
                    };
                    phases.get_or_create(&labels).clone()
                })
            }),
            invoke: array::from_fn(|kind| {
                let kind = StartKind::ALL[kind].as_str();
                invoke.get_or_create(&OfKind { kind }).clone()
            }),
            invocations: registered(
                r,
                "invocations",
                "Invocations, asynchronous attempts included",
            ),
            throttles: registered(r, "throttles", "Invocations for which there was no room"),
            in_flight: registered(r, "invocations_in_flight", "Invocations running now"),
            connections: registered(r, "connections", "Client connections that are open"),
            slots: registered(r, "node_slots", "Pre-built sandboxes in the pool"),
            promised: registered(
                r,
                "node_promised_bytes",
                "Memory promised to instances and held for starts",
            ),
            capacity: registered(r, "node_capacity_bytes", "Memory that may be promised"),
            instances: registered(r, "node_instances", "Instances by state"),
            ladder: LadderMetrics::new(r),
            provisioned: ProvisionedMetrics::new(r),
            forecasts: ForecastMetrics::new(r),
            dropped_log_lines: registered(
                r,
                "node_dropped_log_lines",
                "Log lines that could not be written",
            ),
            dropped_events: registered(
                r,
                "node_dropped_events",
                "Entries of the event log that could not be written",
            ),
            dropped_spans: registered(r, "otlp_dropped_spans", "Spans that were not delivered"),
            registry: Mutex::new(registry),
            function_limit,
            other: Arc::from(OTHER),
            functions: RwLock::default(),
        }
    }

    /// Adds the metrics of another part of the platform, to be shown beside these.
    pub(crate) fn add(&self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.registry.lock());
    }

    /// Counts an invocation that ran.
    pub(crate) fn invocation(&self, finished: &Finished) {
        let outcome = match finished.failed {
            true => Outcome::FunctionError,
            false => Outcome::Ok,
        };
        let kind = finished.kind;
        self.count(&finished.spec.key.name, kind.as_str(), outcome);
        for (phase, length) in finished.timeline.phases() {
            self.phases[kind as usize][phase as usize].observe(length.as_secs_f64());
        }
        let total = finished.timeline.last().since(finished.timeline.began());
        self.invoke[kind as usize].observe(total.as_secs_f64());
    }

    /// Counts an invocation that did not run.
    pub(crate) fn refused(&self, function: &FunctionName, outcome: Outcome) {
        if outcome == Outcome::Throttled {
            self.throttles.inc();
        }
        self.count(function, NO_KIND, outcome);
    }

    /// OpenMetrics text.
    pub(crate) fn text(&self, in_flight: u64, node: &NodeStatus) -> Result<String, fmt::Error> {
        set(&self.in_flight, in_flight);
        set(&self.slots, node.slots.into());
        set(&self.promised, node.promised_mb.saturating_mul(1 << 20));
        set(&self.capacity, node.capacity_mb.saturating_mul(1 << 20));
        // The node counts; it only ever grows.
        self.dropped_log_lines
            .inner()
            .store(node.dropped_log_lines, Ordering::Relaxed);
        self.dropped_events
            .inner()
            .store(node.dropped_events, Ordering::Relaxed);
        let (mut busy, mut idle, mut starting) = (0, 0, 0);
        for counts in node.versions.values() {
            busy += u64::from(counts.busy);
            idle += u64::from(counts.idle);
            starting += u64::from(counts.starting);
        }
        for (state, value) in [("busy", busy), ("idle", idle), ("starting", starting)] {
            set(&self.instances.get_or_create(&OfState { state }), value);
        }
        self.ladder.set(node);
        self.provisioned.set(node);
        self.forecasts.set(node);
        let mut out = String::with_capacity(16 * 1024);
        text::encode(&mut out, &self.registry.lock())?;
        Ok(out)
    }

    fn count(&self, function: &FunctionName, kind: &'static str, outcome: Outcome) {
        let labels = Invocation {
            function: self.label(function.as_str()),
            kind,
            outcome: outcome.as_str(),
        };
        self.invocations.get_or_create(&labels).inc();
    }

    fn label(&self, function: &str) -> Arc<str> {
        let functions = self.functions.read();
        if let Some(known) = functions.get(function) {
            return Arc::clone(known);
        }
        if functions.len() >= self.function_limit {
            return Arc::clone(&self.other);
        }
        drop(functions);
        // Others may have come between the two locks.
        let mut functions = self.functions.write();
        if functions.len() >= self.function_limit && !functions.contains(function) {
            return Arc::clone(&self.other);
        }
        let label: Arc<str> = Arc::from(function);
        functions.insert(Arc::clone(&label));
        label
    }
}

/// Sets a gauge to what a node counts.
fn set(gauge: &Gauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

fn registered<M>(registry: &mut Registry, name: &str, help: &str) -> M
where
    M: prometheus_client::registry::Metric + Clone + Default,
{
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

/// From 10 µs, a warm request's smallest phase, doubling up to 42 s, over the longest start.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(10e-6, 2.0, 23))
}
