//! Events as lines of text, in Lambda's words.

use std::time::Duration;

use pilotlight_model::ids::RequestId;

use super::{PlatformEvent, Report, RuntimeVersion, Status, timestamp};
use crate::extensions::Subscribed;
use crate::failure::timed_out;
use crate::telemetry::Api;

impl PlatformEvent {
    /// The event's lines. Most of what only a program would want to know has none.
    pub(crate) fn lines(&self) -> Vec<String> {
        use PlatformEvent as E;
        let line = match self {
            E::InitStart { runtime, .. } => format!("INIT_START {runtime}"),
            // Of an init that went well REPORT tells.
            E::InitReport { status, length, .. } if *status != Status::Success => format!(
                "INIT_REPORT Init Duration: {} ms\tPhase: init{}",
                ms(*length),
                told(status)
            ),
            E::RestoreStart { runtime } => format!("RESTORE_START {runtime}"),
            E::RestoreReport { status, length } => format!(
                "RESTORE_REPORT Restore Duration: {} ms{}",
                ms(*length),
                told(status)
            ),
            E::Extension(told) => extension(told),
            E::Subscribed { api, name, types } => subscribed(*api, name, types),
            E::Start {
                request, version, ..
            } => format!("START RequestId: {request} Version: {version}"),
            E::Report(report) => {
                let end = format!("END RequestId: {}", report.request);
                return vec![end, report_line(report)];
            }
            E::InitRuntimeDone { .. }
            | E::InitReport { .. }
            | E::RestoreRuntimeDone { .. }
            | E::RuntimeDone(_) => return Vec::new(),
        };
        vec![line]
    }
}

impl std::fmt::Display for RuntimeVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { label, arn } = self;
        write!(f, "Runtime Version: {label}\tRuntime Version ARN: {arn}")
    }
}

fn subscribed(api: Api, name: &str, types: &[&str]) -> String {
    let api = match api {
        Api::Telemetry => "TELEMETRY",
        Api::Logs => "LOGS",
    };
    let capital = |kind: &&str| kind[..1].to_uppercase() + &kind[1..];
    let types: Vec<String> = types.iter().map(capital).collect();
    let types = types.join(", ");
    format!("{api}\tName: {name}\tState: Subscribed\tTypes: [{types}]")
}

fn extension(told: &Subscribed) -> String {
    let (name, state, events) = (&told.name, told.state.as_str(), told.events.join(","));
    let mut line = format!("EXTENSION\tName: {name}\tState: {state}\tEvents: [{events}]");
    if let Some(error_type) = &told.error_type {
        line.push_str(&format!("\tError Type: {error_type}"));
    }
    line
}

/// `REPORT`, with the tab that Lambda's own line ends with.
fn report_line(report: &Report) -> String {
    let mut line = format!(
        "REPORT RequestId: {}\tDuration: {} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
        report.request,
        ms(report.duration),
        report.billed_ms(),
        report.memory_mb,
        report.peak_mb(),
    );
    if let Some(init) = report.init {
        line.push_str(&format!("Init Duration: {} ms\t", ms(init)));
    }
    if let Some(restore) = report.restore {
        let restore = ms(restore);
        line.push_str(&format!(
            "Restore Duration: {restore} ms\tBilled Restore Duration: 0 ms\t"
        ));
    }
    // An error that the function itself answered with is none of the platform's.
    if let Some(failure) = &report.failure {
        line.push_str(&format!("{}\t", Status::from(failure)));
    }
    line
}

/// Status and error type, behind what is told of an event that went well.
fn told(status: &Status) -> String {
    match status {
        Status::Success => String::new(),
        other => format!("\t{other}"),
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Status::Success => f.write_str("Status: success"),
            Status::Timeout => f.write_str("Status: timeout"),
            Status::Error(error_type) => write!(f, "Status: error\tError Type: {error_type}"),
        }
    }
}

/// The line of a request that ran out of time.
pub(crate) fn task_timed_out(
    at: time::OffsetDateTime,
    request: RequestId,
    limit: Duration,
) -> String {
    format!("{} {request} {}", timestamp(at), timed_out(limit))
}

fn ms(length: Duration) -> String {
    format!("{:.2}", length.as_secs_f64() * 1_000.0)
}
