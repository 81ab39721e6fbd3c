//! What the platform itself tells of an instance: one record for each event, which a function's log shows as a line of
//! text or as JSON.
//! Sources: "Lambda Telemetry API Event schema reference" and "System log level event mapping" of the AWS Lambda
//! developer guide.

mod json;
mod text;

use std::time::Duration;

use pilotlight_model::function::FunctionSpec;
use pilotlight_model::ids::RequestId;
use pilotlight_model::logging::LogLevel;
use time::OffsetDateTime;

use crate::environment::Initialization;
use crate::extensions::Subscribed;
use crate::failure::Failure;
use crate::runtime::RuntimeImage;
use crate::telemetry::Api;

pub(crate) use json::{envelope, timestamp};
pub(crate) use text::task_timed_out;

/// Something that happened to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PlatformEvent {
    /// A runtime is being started.
    InitStart {
        kind: Initialization,
        runtime: RuntimeVersion,
        function: String,
        version: String,
    },
    /// It has asked for its first event, or will not.
    InitRuntimeDone {
        kind: Initialization,
        status: Status,
    },
    /// The init phase is over.
    InitReport {
        kind: Initialization,
        status: Status,
        length: Duration,
    },
    /// A process is being forked from the version's template.
    RestoreStart { runtime: RuntimeVersion },
    /// The fork has asked for its first event, or will not.
    RestoreRuntimeDone { status: Status },
    /// The fork is ready, or will not be.
    RestoreReport { status: Status, length: Duration },
    /// An extension has come through the init phase, or has not.
    Extension(Subscribed),
    /// An extension has subscribed to telemetry.
    Subscribed {
        api: Api,
        name: String,
        types: Vec<&'static str>,
    },
    /// A request begins.
    Start {
        request: RequestId,
        version: String,
        trace: String,
    },
    /// The runtime is done with a request.
    RuntimeDone(RuntimeDone),
    /// A request is over. In text END comes before it.
    Report(Report),
}

/// The runtime that an instance has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuntimeVersion {
    /// `python:3.11.v1`
    label: String,
    arn: String,
}

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    Success,
    /// With an error of that type.
    Error(String),
    Timeout,
}

/// What the runtime did for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuntimeDone {
    pub(crate) request: RequestId,
    pub(crate) status: Status,
    pub(crate) trace: String,
    /// When it got the event.
    pub(crate) began: OffsetDateTime,
    /// Until it asked for the next.
    pub(crate) duration: Duration,
    /// The answer, if there was one.
    pub(crate) answer: Option<AnswerTimes>,
}

/// The times of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AnswerTimes {
    /// From the event to the answer's first byte.
    pub(crate) latency: Duration,
    /// From there to its last.
    pub(crate) duration: Duration,
    pub(crate) bytes: u64,
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
    /// The runtime's answer was an error.
    pub(crate) error: bool,
    /// When the runtime was done, and how long extensions took after it.
    pub(crate) overhead: Option<(OffsetDateTime, Duration)>,
    pub(crate) trace: String,
}

/// The error type of an error that is the function's own, which the platform does not look into.
const FUNCTION_ERROR: &str = "Function.Unknown";

impl PlatformEvent {
    /// A runtime of that image is being started for an instance of that version.
    pub(crate) fn init_start(
        spec: &FunctionSpec,
        image: &RuntimeImage,
        kind: Initialization,
    ) -> Self {
        PlatformEvent::InitStart {
            kind,
            runtime: RuntimeVersion::of(spec, image),
            function: spec.key.name.to_string(),
            version: spec.key.version.to_string(),
        }
    }

    /// A process is being forked from the version's template.
    pub(crate) fn restore_start(spec: &FunctionSpec, image: &RuntimeImage) -> Self {
        PlatformEvent::RestoreStart {
            runtime: RuntimeVersion::of(spec, image),
        }
    }

    /// Whether it tells of a fork's start, which not every version of the Telemetry API knows.
    pub(crate) fn is_restore(&self) -> bool {
        matches!(
            self,
            PlatformEvent::RestoreStart { .. }
                | PlatformEvent::RestoreRuntimeDone { .. }
                | PlatformEvent::RestoreReport { .. }
        )
    }

    /// How important it is: what a log with a higher level leaves out.
    pub(crate) fn level(&self) -> LogLevel {
        use PlatformEvent as E;
        let unless = |status: &Status, well: LogLevel| match status {
            Status::Success => well,
            Status::Error(_) | Status::Timeout => LogLevel::Warn,
        };
        match self {
            E::InitStart { .. }
            | E::RestoreStart { .. }
            | E::Start { .. }
            | E::Subscribed { .. } => LogLevel::Info,
            E::InitRuntimeDone { status, .. } | E::RestoreRuntimeDone { status } => {
                unless(status, LogLevel::Debug)
            }
            E::InitReport { kind, status, .. } => unless(
                status,
                match kind {
                    Initialization::OnDemand => LogLevel::Debug,
                    _ => LogLevel::Info,
                },
            ),
            E::RestoreReport { status, .. } => unless(status, LogLevel::Info),
            E::Extension(Subscribed { error_type, .. }) => match error_type {
                None => LogLevel::Info,
                Some(_) => LogLevel::Warn,
            },
            E::RuntimeDone(done) => unless(&done.status, LogLevel::Debug),
            E::Report(report) => unless(&report.status(), LogLevel::Info),
        }
    }
}

impl RuntimeVersion {
    fn of(spec: &FunctionSpec, image: &RuntimeImage) -> Self {
        Self {
            label: image.version_label.clone(),
            arn: format!(
                "arn:{}:lambda:{}::runtime:{}",
                spec.key.region.partition(),
                spec.key.region,
                image.digest
            ),
        }
    }
}

impl Report {
    /// Time that is paid for: the user's code, rounded up to a millisecond.
    fn billed_ms(&self) -> u64 {
        let billed = self.duration + self.init.unwrap_or_default();
        u64::try_from(billed.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    fn peak_mb(&self) -> u64 {
        self.peak_bytes.div_ceil(1024 * 1024).max(1)
    }

    /// How the request ended.
    pub(crate) fn status(&self) -> Status {
        match &self.failure {
            Some(failure) => failure.into(),
            None if self.error => Status::Error(FUNCTION_ERROR.to_owned()),
            None => Status::Success,
        }
    }
}

impl From<&Failure> for Status {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::TimedOut(_) => Status::Timeout,
            other => Status::Error(other.error_type().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
