//! The lines that the platform itself writes to a function's log, in Lambda's words.

use std::time::Duration;

use pilotlight_model::function::FunctionSpec;
use pilotlight_model::ids::RequestId;

use crate::failure::{Failure, timed_out};
use crate::runtime::RuntimeImage;

/// `INIT_START`: a runtime is being started.
pub(crate) fn init_start(spec: &FunctionSpec, image: &RuntimeImage) -> String {
    format!(
        "INIT_START Runtime Version: {}\tRuntime Version ARN: arn:aws:lambda:{}::runtime:{}",
        image.version_label, spec.key.region, image.digest
    )
}

/// `INIT_REPORT`: the init phase failed or took too long.
pub(crate) fn init_report(length: Duration, status: &str) -> String {
    format!(
        "INIT_REPORT Init Duration: {} ms\tPhase: init\t{status}",
        ms(length)
    )
}

/// `RESTORE_START`: a process is being forked from the version's template.
pub(crate) fn restore_start(spec: &FunctionSpec, image: &RuntimeImage) -> String {
    format!(
        "RESTORE_START Runtime Version: {}\tRuntime Version ARN: arn:aws:lambda:{}::runtime:{}",
        image.version_label, spec.key.region, image.digest
    )
}

/// `RESTORE_REPORT`: the fork is ready, or failed or took too long, with its status.
pub(crate) fn restore_report(length: Duration, status: Option<&str>) -> String {
    let status = status.map_or_else(String::new, |status| format!("\t{status}"));
    format!("RESTORE_REPORT Restore Duration: {} ms{status}", ms(length))
}

/// `START`: a request begins.
pub(crate) fn start(spec: &FunctionSpec, request: RequestId) -> String {
    format!("START RequestId: {request} Version: {}", spec.key.version)
}

/// The line of a request that ran out of time.
pub(crate) fn task_timed_out(
    at: time::OffsetDateTime,
    request: RequestId,
    limit: Duration,
) -> String {
    let at = format!(
        "{}T{:02}:{:02}:{:02}.{:03}Z",
        at.date(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    );
    format!("{at} {request} {}", timed_out(limit))
}

/// `END`: a request is over.
pub(crate) fn end(request: RequestId) -> String {
    format!("END RequestId: {request}")
}

/// What `REPORT` sums up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) request: RequestId,
    /// From the event's delivery to the answer.
    pub(crate) duration: Duration,
    /// The user's own init, where this request is the instance's first.
    pub(crate) init: Option<Duration>,
    /// The fork and its restore, where this request is the first of a template's fork. Never billed.
    pub(crate) restore: Option<Duration>,
    pub(crate) memory_mb: u32,
    pub(crate) peak_bytes: u64,
    pub(crate) failure: Option<Failure>,
}

impl Report {
    /// `REPORT`, with the tab that Lambda's own line ends with.
    pub(crate) fn line(&self) -> String {
        let billed = self.duration + self.init.unwrap_or_default();
        let mut line = format!(
            "REPORT RequestId: {}\tDuration: {} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
            self.request,
            ms(self.duration),
            billed.as_nanos().div_ceil(1_000_000),
            self.memory_mb,
            self.peak_bytes.div_ceil(1024 * 1024).max(1),
        );
        if let Some(init) = self.init {
            line.push_str(&format!("Init Duration: {} ms\t", ms(init)));
        }
        if let Some(restore) = self.restore {
            let restore = ms(restore);
            line.push_str(&format!(
                "Restore Duration: {restore} ms\tBilled Restore Duration: 0 ms\t"
            ));
        }
        if let Some(failure) = &self.failure {
            line.push_str(&failure.status());
            line.push('\t');
        }
        line
    }
}

fn ms(length: Duration) -> String {
    format!("{:.2}", length.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_reads_as_lambda_s_does() {
        let mut report = Report {
            request: RequestId(uuid::Uuid::nil()),
            duration: Duration::from_micros(3_010),
            init: Some(Duration::from_micros(110_100)),
            restore: None,
            memory_mb: 128,
            peak_bytes: 36 * 1024 * 1024,
            failure: None,
        };
        assert_eq!(
            report.line(),
            "REPORT RequestId: 00000000-0000-0000-0000-000000000000\tDuration: 3.01 ms\tBilled Duration: 114 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 110.10 ms\t"
        );
        report.init = None;
        report.restore = Some(Duration::from_micros(2_350));
        assert!(report.line().contains("\tBilled Duration: 4 ms\t"));
        assert!(
            report.line().ends_with(
                "Max Memory Used: 36 MB\tRestore Duration: 2.35 ms\tBilled Restore Duration: 0 ms\t"
            ),
            "{}",
            report.line()
        );
        report.restore = None;
        report.failure = Some(Failure::TimedOut(Duration::from_secs(1)));
        assert!(
            report
                .line()
                .ends_with("Max Memory Used: 36 MB\tStatus: timeout\t")
        );
    }

    #[test]
    fn a_timeout_s_line_carries_the_time() {
        let at = time::macros::datetime!(2026-03-04 05:06:07.089 UTC);
        assert_eq!(
            task_timed_out(at, RequestId(uuid::Uuid::nil()), Duration::from_secs(3)),
            "2026-03-04T05:06:07.089Z 00000000-0000-0000-0000-000000000000 Task timed out after 3.00 seconds"
        );
    }
}
