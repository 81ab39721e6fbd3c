//! Invocations as OTLP spans: one for the invocation, and below it one for each phase.
//! Source: `opentelemetry/proto/trace/v1/trace.proto` in its JSON mapping, in which ids are hexadecimal
//! and 64-bit integers are strings.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::record::Finished;

/// `SPAN_KIND_SERVER` and `SPAN_KIND_INTERNAL`.
const SERVER: u8 = 2;
const INTERNAL: u8 = 1;
/// `STATUS_CODE_UNSET` and `STATUS_CODE_ERROR`.
const UNSET: u8 = 0;
const ERROR: u8 = 2;

/// The body of an export request.
pub(super) fn encode(batch: &[Arc<Finished>], node: &str) -> Value {
    let spans: Vec<Value> = batch
        .iter()
        .flat_map(|finished| invocation(finished))
        .collect();
    json!({
        "resourceSpans": [{
            "resource": { "attributes": [
                text("service.name", "pilotlight"),
                text("service.version", env!("CARGO_PKG_VERSION")),
                text("host.name", node),
            ]},
            "scopeSpans": [{
                "scope": { "name": "pilotlight.gateway", "version": env!("CARGO_PKG_VERSION") },
                "spans": spans,
            }],
        }],
    })
}

fn invocation(finished: &Finished) -> Vec<Value> {
    let trace = format!("{:032x}", finished.trace.trace);
    let span = finished.trace.span;
    let key = &finished.spec.key;
    let phases = finished.timeline.phases();
    // The timeline is monotonic; the wall clock was read when the head had arrived, which is close.
    let begin = finished.at_ms.saturating_mul(1_000_000);
    let mut end = begin;
    let mut children = Vec::with_capacity(phases.len() + 1);
    for (index, (phase, length)) in (1..).zip(phases) {
        let start = end;
        end += length.as_nanos() as u64;
        children.push(json!({
            "traceId": trace,
            "spanId": id(span.wrapping_add(index)),
            "parentSpanId": id(span),
            "name": phase.as_str(),
            "kind": INTERNAL,
            "startTimeUnixNano": start.to_string(),
            "endTimeUnixNano": end.to_string(),
        }));
    }
    let mut root = json!({
        "traceId": trace,
        "spanId": id(span),
        "name": "invoke",
        "kind": SERVER,
        "startTimeUnixNano": begin.to_string(),
        "endTimeUnixNano": end.to_string(),
        "attributes": [
            text("faas.name", key.name.as_str()),
            text("faas.version", &key.version.to_string()),
            text("faas.invocation_id", &finished.request_id.to_string()),
            text("faas.instance", &finished.instance.to_string()),
            text("cloud.account.id", key.account.as_str()),
            text("cloud.region", key.region.as_str()),
            text("pilotlight.start.kind", finished.kind.as_str()),
            text("pilotlight.runtime", finished.spec.runtime.image().as_str()),
        ],
        "status": { "code": if finished.failed { ERROR } else { UNSET } },
    });
    if let Some(parent) = finished.trace.parent {
        root["parentSpanId"] = Value::String(id(parent));
    }
    children.insert(0, root);
    children
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn id(span: u64) -> String {
    format!("{span:016x}")
}
