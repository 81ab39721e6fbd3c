//! What is kept of an invocation once it has been answered, and who gets to know.

use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::function::FunctionSpec;
use pilotlight_model::ids::{InstanceId, RequestId};
use pilotlight_model::node::Node;
use pilotlight_model::start::{Instant, PhaseLength, Timeline};
use pilotlight_model::{Phase, StartKind, StartRecord};
use prometheus_client::registry::Registry;

use crate::config::Config;
use crate::invoke::trace_id::TraceId;
use crate::metrics::Metrics;
use crate::observed::Observed;
use crate::otlp::{self, Exporter};
use crate::starts::Starts;

/// The exporter's last words may take this long.
const FLUSH: Duration = Duration::from_secs(5);

/// An invocation that has ended. Texts are made of it when someone asks, not on the request path.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) spec: Arc<FunctionSpec>,
    pub(crate) request_id: RequestId,
    pub(crate) instance: InstanceId,
    pub(crate) kind: StartKind,
    pub(crate) at_ms: u64,
    pub(crate) timeline: Timeline,
    pub(crate) failed: bool,
    pub(crate) trace: TraceId,
}

/// Tells everyone who keeps count of invocations.
pub(crate) struct Recorder {
    pub(crate) node: String,
    pub(crate) starts: Starts,
    pub(crate) metrics: Metrics,
    exporter: Option<Exporter>,
}

/// Records of invocations: start records, metrics and traces. A handle: clones are the same records.
#[derive(Clone)]
pub struct Records(pub(crate) Arc<Recorder>);

/// An answered invocation on its way to the client. It is recorded in any case: when the answer has
/// been written, or, dropped before, as one whose client went away.
pub(crate) struct Responding {
    finished: Option<Finished>,
    recorder: Arc<Recorder>,
}

impl Finished {
    /// Lengths of the phases in microseconds. Rounded so that they add up to the whole.
    pub(crate) fn phases(&self) -> Vec<PhaseLength> {
        phases(&self.timeline)
    }

    /// The record as it is shown.
    pub(crate) fn record(&self, node: &str) -> StartRecord {
        let phases = self.phases();
        StartRecord {
            request_id: self.request_id,
            version: self.spec.key.clone(),
            node: node.to_owned(),
            instance: self.instance,
            kind: self.kind,
            runs_on: Some(self.spec.runtime.image()),
            at_ms: self.at_ms,
            total_us: phases.iter().map(|phase| phase.us).sum(),
            phases,
        }
    }
}

/// Lengths of a timeline's phases in microseconds; their sum is the whole's length, cut to microseconds.
pub(crate) fn phases(timeline: &Timeline) -> Vec<PhaseLength> {
    let mut end_ns = 0;
    let lengths = timeline.phases().into_iter().map(|(phase, length)| {
        let begin_us = end_ns / 1_000;
        end_ns += length.as_nanos() as u64;
        PhaseLength {
            phase,
            us: end_ns / 1_000 - begin_us,
        }
    });
    lengths.collect()
}

impl Recorder {
    fn new(config: &Config, node: String) -> Self {
        let metrics = Metrics::new(config.metric_functions);
        let dropped = metrics.dropped_spans.clone();
        let start = |endpoint: &otlp::Endpoint| Exporter::start(endpoint, &node, dropped);
        Self {
            exporter: config.otlp_endpoint.as_ref().map(start),
            starts: Starts::new(config.kept_starts),
            metrics,
            node,
        }
    }

    /// Sends out what the exporter still holds.
    pub(crate) async fn flush(&self) {
        if let Some(exporter) = &self.exporter {
            exporter.flush(FLUSH).await;
        }
    }

    pub(crate) fn record(&self, finished: Finished) {
        let finished = Arc::new(finished);
        self.metrics.invocation(&finished);
        if let Some(exporter) = &self.exporter {
            exporter.export(Arc::clone(&finished));
        }
        self.starts.push(finished);
    }
}

impl Records {
    /// No records yet, of that node. Must be called within a Tokio runtime, on which the trace exporter
    /// runs.
    pub fn new(config: &Config, node: String) -> Self {
        Self(Arc::new(Recorder::new(config, node)))
    }

    /// That node, with every invocation recorded: for those who invoke it past the gateway.
    pub fn observe(&self, node: Arc<dyn Node>) -> Arc<dyn Node> {
        Arc::new(Observed {
            node,
            recorder: Arc::clone(&self.0),
        })
    }

    /// Adds the metrics of another part of the platform, for `/metrics` to show.
    pub fn add_metrics(&self, register: impl FnOnce(&mut Registry)) {
        self.0.metrics.add(register);
    }
}

impl Responding {
    pub(crate) fn new(finished: Finished, recorder: Arc<Recorder>) -> Self {
        Self {
            finished: Some(finished),
            recorder,
        }
    }

    /// The answer was written `at`.
    pub(crate) fn finish(mut self, at: Instant) {
        if let Some(mut finished) = self.finished.take() {
            finished.timeline.end(Phase::Respond, at);
            self.recorder.record(finished);
        }
    }
}

impl Drop for Responding {
    fn drop(&mut self) {
        if let Some(finished) = self.finished.take() {
            self.recorder.record(finished);
        }
    }
}
