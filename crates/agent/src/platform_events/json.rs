//! Events as JSON.

use std::time::Duration;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::{PlatformEvent, Report, RuntimeDone, RuntimeVersion, Status};
use crate::environment::Initialization;
use crate::telemetry::Api;

/// `{"time":…,"type":…,"record":…}`: an event, or a line of a function's.
pub(crate) fn envelope(at: OffsetDateTime, kind: &str, record: Value) -> Value {
    json!({ "time": timestamp(at), "type": kind, "record": record })
}

/// `2022-10-12T00:00:15.064Z`
pub(crate) fn timestamp(at: OffsetDateTime) -> String {
    format!(
        "{}T{:02}:{:02}:{:02}.{:03}Z",
        at.date(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}

impl PlatformEvent {
    /// `platform.start` and the like.
    pub(crate) fn name(&self) -> &'static str {
        use PlatformEvent as E;
        match self {
            E::InitStart { .. } => "platform.initStart",
            E::InitRuntimeDone { .. } => "platform.initRuntimeDone",
            E::InitReport { .. } => "platform.initReport",
            E::RestoreStart { .. } => "platform.restoreStart",
            E::RestoreRuntimeDone { .. } => "platform.restoreRuntimeDone",
            E::RestoreReport { .. } => "platform.restoreReport",
            E::Extension(_) => "platform.extension",
            E::Subscribed { api, .. } => match api {
                Api::Telemetry => "platform.telemetrySubscription",
                Api::Logs => "platform.logsSubscription",
            },
            E::Start { .. } => "platform.start",
            E::RuntimeDone(_) => "platform.runtimeDone",
            E::Report(_) => "platform.report",
        }
    }

    /// What it tells, by itself.
    pub(crate) fn record(&self) -> Value {
        use PlatformEvent as E;
        match self {
            E::InitStart {
                kind,
                runtime,
                function,
                version,
            } => {
                let mut record = json!({ "initializationType": kind, "phase": "init" });
                put_runtime(&mut record, runtime);
                record["functionName"] = json!(function);
                record["functionVersion"] = json!(version);
                record
            }
            E::InitRuntimeDone { kind, status } => with_status(
                json!({ "initializationType": kind, "phase": "init" }),
                status,
            ),
            E::InitReport {
                kind,
                status,
                length,
            } => {
                let record = json!({ "initializationType": kind, "phase": "init" });
                let mut record = with_status(record, status);
                record["metrics"] = json!({ "durationMs": ms(*length) });
                record
            }
            E::RestoreStart { runtime } => {
                let mut record = json!({});
                put_runtime(&mut record, runtime);
                record
            }
            E::RestoreRuntimeDone { status } => with_status(json!({}), status),
            E::RestoreReport { status, length } => {
                let mut record = with_status(json!({}), status);
                record["metrics"] = json!({ "durationMs": ms(*length) });
                record
            }
            E::Extension(told) => {
                let mut record = json!({
                    "name": told.name,
                    "state": told.state.as_str(),
                    "events": told.events,
                });
                if let Some(error_type) = &told.error_type {
                    record["errorType"] = json!(error_type);
                }
                record
            }
            E::Subscribed { name, types, .. } => {
                json!({ "name": name, "state": "Subscribed", "types": types })
            }
            E::Start {
                request,
                version,
                trace,
            } => with_trace(json!({ "requestId": request, "version": version }), trace),
            E::RuntimeDone(done) => runtime_done(done),
            E::Report(report) => self::report(report),
        }
    }
}

fn runtime_done(done: &RuntimeDone) -> Value {
    let mut record = with_status(json!({ "requestId": done.request }), &done.status);
    let mut metrics = json!({ "durationMs": ms(done.duration) });
    if let Some(answer) = done.answer {
        let span = |name: &str, after: Duration, length: Duration| {
            let start = timestamp(done.began + after);
            json!({ "name": name, "start": start, "durationMs": ms(length) })
        };
        let answered = answer.latency + answer.duration;
        record["spans"] = json!([
            span("responseLatency", Duration::ZERO, answer.latency),
            span("responseDuration", answer.latency, answer.duration),
            span(
                "runtimeOverhead",
                answered,
                done.duration.saturating_sub(answered)
            ),
        ]);
        metrics["producedBytes"] = json!(answer.bytes);
    }
    record["metrics"] = metrics;
    with_trace(record, &done.trace)
}

fn report(report: &Report) -> Value {
    let mut metrics = json!({
        "durationMs": ms(report.duration),
        "billedDurationMs": report.billed_ms(),
        "memorySizeMB": report.memory_mb,
        "maxMemoryUsedMB": report.peak_mb(),
    });
    if let Some(init) = report.init {
        metrics["initDurationMs"] = json!(ms(init));
    }
    if let Some(restore) = report.restore {
        metrics["restoreDurationMs"] = json!(ms(restore));
        metrics["billedRestoreDurationMs"] = json!(0);
    }
    let mut record = json!({ "requestId": report.request, "metrics": metrics });
    if let Some((start, length)) = report.overhead {
        let start = timestamp(start);
        record["spans"] =
            json!([{ "name": "extensionOverhead", "start": start, "durationMs": ms(length) }]);
    }
    with_trace(with_status(record, &report.status()), &report.trace)
}

fn put_runtime(record: &mut Value, runtime: &RuntimeVersion) {
    record["runtimeVersion"] = json!(runtime.label);
    record["runtimeVersionArn"] = json!(runtime.arn);
}

fn with_status(mut record: Value, status: &Status) -> Value {
    record["status"] = json!(match status {
        Status::Success => "success",
        Status::Error(_) => "error",
        Status::Timeout => "timeout",
    });
    if let Status::Error(error_type) = status {
        record["errorType"] = json!(error_type);
    }
    record
}

fn with_trace(mut record: Value, trace: &str) -> Value {
    if !trace.is_empty() {
        let tracing = Map::from_iter([
            ("type".to_owned(), json!("X-Amzn-Trace-Id")),
            ("value".to_owned(), json!(trace)),
        ]);
        record["tracing"] = tracing.into();
    }
    record
}

/// Milliseconds with three decimals, as Lambda has them.
fn ms(length: Duration) -> f64 {
    (length.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

impl serde::Serialize for Initialization {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
