//! The APIs that one listener serves, and which of them a request means.

use http::{HeaderMap, HeaderName, Method, Uri};

use super::{Operation, Service, UriParams, lambda, logs, scheduler};

/// `<target prefix>.<operation>`: how a request of the JSON protocol names its operation.
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// One of the AWS APIs that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApiId {
    /// AWS Lambda.
    Lambda,
    /// Amazon EventBridge Scheduler.
    Scheduler,
    /// Amazon CloudWatch Logs.
    Logs,
}

/// How an API puts requests, answers and errors into HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Operations by method and path; errors by the header `x-amzn-ErrorType`.
    RestJson,
    /// Operations by the header `X-Amz-Target`; errors by the member `__type`.
    Json11,
}

impl ApiId {
    /// Every API that is served.
    pub const ALL: [ApiId; 3] = [ApiId::Lambda, ApiId::Scheduler, ApiId::Logs];

    /// The API that a request means. What nothing else claims is Lambda's to refuse.
    pub fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let path = uri.path();
        if path == "/" && method == Method::POST {
            return match target(headers) {
                Some((prefix, _)) if prefix == LOGS_TARGET => ApiId::Logs,
                _ => ApiId::Lambda,
            };
        }
        // Lambda's paths all begin with a date, so the first segment tells.
        match path.split('/').nth(1) {
            Some("schedules" | "schedule-groups" | "tags") => ApiId::Scheduler,
            _ => ApiId::Lambda,
        }
    }

    /// Service in the credential scope of a signature (AWS: signing name).
    pub fn signing_name(self) -> &'static str {
        match self {
            ApiId::Lambda => "lambda",
            ApiId::Scheduler => "scheduler",
            ApiId::Logs => "logs",
        }
    }

    /// Its name in errors that people read.
    pub fn title(self) -> &'static str {
        match self {
            ApiId::Lambda => "AWS Lambda",
            ApiId::Scheduler => "Amazon EventBridge Scheduler",
            ApiId::Logs => "Amazon CloudWatch Logs",
        }
    }

    /// How it speaks HTTP.
    pub fn protocol(self) -> Protocol {
        match self {
            ApiId::Lambda | ApiId::Scheduler => Protocol::RestJson,
            ApiId::Logs => Protocol::Json11,
        }
    }

    /// Its service model.
    pub fn model(self) -> &'static Service {
        match self {
            ApiId::Lambda => lambda(),
            ApiId::Scheduler => scheduler(),
            ApiId::Logs => logs(),
        }
    }

    /// The operation of this API that a request means, and the parts of its path.
    pub fn operation(
        self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Option<(&'static Operation, UriParams)> {
        match self.protocol() {
            Protocol::RestJson => {
                let path = uri.path_and_query().map_or(uri.path(), |it| it.as_str());
                self.model().route(method, path)
            }
            Protocol::Json11 => {
                let (_, name) = target(headers)?;
                Some((self.model().operation(name)?, UriParams::new()))
            }
        }
    }
}

/// Target prefix of CloudWatch Logs.
const LOGS_TARGET: &str = "Logs_20140328";

fn target(headers: &HeaderMap) -> Option<(&str, &str)> {
    headers.get(TARGET)?.to_str().ok()?.split_once('.')
}
