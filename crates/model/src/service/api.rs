//! The APIs that one listener serves, and which of them a request means.

use http::{HeaderMap, HeaderName, Method, Uri, header};

use super::{Operation, Service, UriParams, lambda, logs, scheduler, sts};

/// `<target prefix>.<operation>`: how a request of the JSON protocol names its operation.
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// What the elements of the Security Token Service's answers and errors belong to.
pub const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// One of the AWS APIs that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApiId {
    /// AWS Lambda.
    Lambda,
    /// Amazon EventBridge Scheduler.
    Scheduler,
    /// Amazon CloudWatch Logs.
    Logs,
    /// AWS Security Token Service.
    Sts,
}

/// How an API puts requests, answers and errors into HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Operations by method and path; errors by the header `x-amzn-ErrorType`.
    RestJson,
    /// Operations by the header `X-Amz-Target`; errors by the member `__type`.
    Json11,
    /// Operations by `Action` in a form; answers and errors are XML.
    Query,
}

impl ApiId {
    /// Every API that is served.
    pub const ALL: [ApiId; 4] = [ApiId::Lambda, ApiId::Scheduler, ApiId::Logs, ApiId::Sts];

    /// The API that a request means. What nothing else claims is Lambda's to refuse.
    pub fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let path = uri.path();
        if path == "/" && method == Method::POST {
            return match target(headers) {
                Some((prefix, _)) if prefix == LOGS_TARGET => ApiId::Logs,
                None if is_form(headers) => ApiId::Sts,
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
            ApiId::Sts => "sts",
        }
    }

    /// Its name in errors that people read.
    pub fn title(self) -> &'static str {
        match self {
            ApiId::Lambda => "AWS Lambda",
            ApiId::Scheduler => "Amazon EventBridge Scheduler",
            ApiId::Logs => "Amazon CloudWatch Logs",
            ApiId::Sts => "AWS Security Token Service",
        }
    }

    /// How it speaks HTTP.
    pub fn protocol(self) -> Protocol {
        match self {
            ApiId::Lambda | ApiId::Scheduler => Protocol::RestJson,
            ApiId::Logs => Protocol::Json11,
            ApiId::Sts => Protocol::Query,
        }
    }

    /// What a request asks for, whoever's it is, in the words of its protocol: for an error.
    pub fn asked(method: &Method, uri: &Uri, headers: &HeaderMap) -> String {
        match target(headers) {
            Some((prefix, name)) if uri.path() == "/" => format!("{prefix}.{name}"),
            _ => format!("{method} {}", uri.path()),
        }
    }

    /// What to tell whoever asks for a service that is not among them.
    pub fn not_served(what: &str) -> String {
        let served = Self::ALL.map(Self::title).join(", ");
        format!("{what} is for a service that is not served here. Served are: {served}")
    }

    /// Its service model.
    pub fn model(self) -> &'static Service {
        match self {
            ApiId::Lambda => lambda(),
            ApiId::Scheduler => scheduler(),
            ApiId::Logs => logs(),
            ApiId::Sts => sts(),
        }
    }

    /// The operation of this API that a request means, as far as its head tells, and the parts of its path.
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
            Protocol::Query => None,
        }
    }
}

/// Target prefix of CloudWatch Logs.
const LOGS_TARGET: &str = "Logs_20140328";

fn target(headers: &HeaderMap) -> Option<(&str, &str)> {
    headers.get(TARGET)?.to_str().ok()?.split_once('.')
}

/// Whether the body is a form, as all requests of the query protocol have it.
fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(|it| it.as_bytes());
    kind.is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded"))
}
