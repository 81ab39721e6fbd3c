//! AWS's APIs as data: which operations there are, how a request reaches one, and what its input may look
//! like. Everything comes from `service/lambda.json` and the files beside it, which `service/trim.py`
//! makes from botocore's public service models, so that no operation needs parsing or validation written
//! by hand.

mod api;
mod document;
mod parse;
mod shape;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;

pub use api::{ApiId, Protocol, STS_NAMESPACE};
use document::Document;
pub use shape::{Location, Member, Shape, Type};

/// The Lambda API, 2015-03-31.
pub fn lambda() -> &'static Service {
    static LAMBDA: LazyLock<Service> = LazyLock::new(|| read(include_str!("service/lambda.json")));
    &LAMBDA
}

/// The EventBridge Scheduler API, 2021-06-30.
pub fn scheduler() -> &'static Service {
    static SCHEDULER: LazyLock<Service> =
        LazyLock::new(|| read(include_str!("service/scheduler.json")));
    &SCHEDULER
}

/// The CloudWatch Logs API, 2014-03-28: what of it has to do with log groups, streams and events.
pub fn logs() -> &'static Service {
    static LOGS: LazyLock<Service> = LazyLock::new(|| read(include_str!("service/logs.json")));
    &LOGS
}

/// The Security Token Service's API, 2011-06-15: who a caller is.
pub fn sts() -> &'static Service {
    static STS: LazyLock<Service> = LazyLock::new(|| read(include_str!("service/sts.json")));
    &STS
}

fn read(model: &str) -> Service {
    let document: Document =
        serde_json::from_str(model).expect("the model is part of the program and a test reads it");
    Service::build(document)
}

/// A service: its operations, found by name or by request.
#[derive(Debug)]
pub struct Service {
    operations: Vec<Operation>,
    by_name: HashMap<String, usize>,
    /// Operations by the first segment of their path, the one that the paths of Lambda differ in most.
    by_segment: HashMap<String, Vec<usize>>,
}

/// One operation of a service.
#[derive(Debug)]
pub struct Operation {
    name: String,
    method: Method,
    segments: Vec<Segment>,
    query: Vec<(String, String)>,
    status: StatusCode,
    input: Option<Arc<Shape>>,
    output: Option<Arc<Shape>>,
    errors: Vec<String>,
}

/// The decoded `{…}` parts of a request's path, by label.
pub type UriParams = HashMap<String, String>;

#[derive(Debug)]
enum Segment {
    Literal(String),
    Label(String),
    /// `{label+}`: this segment and all that follow up to the next literal.
    Greedy(String),
}

impl Service {
    /// Every operation, in the order of the model.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation of that name.
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        self.by_name.get(name).map(|&index| &self.operations[index])
    }

    /// The operation that a request means. `path` is the raw (still encoded) path, with or without the
    /// query string; two operations differ from others in a fixed query parameter only. One trailing
    /// slash makes no difference, as on AWS.
    pub fn route(&self, method: &Method, path: &str) -> Option<(&Operation, UriParams)> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = path.strip_prefix('/')?;
        let parts: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
        let mut found: Option<(&Operation, UriParams)> = None;
        for &index in self.by_segment.get(*parts.first()?)? {
            let operation = &self.operations[index];
            if operation.method != method || !operation.asks_for(query) {
                continue;
            }
            let Some(params) = operation.capture(&parts) else {
                continue;
            };
            let better = |(other, _): &(&Operation, UriParams)| {
                operation.specificity() > other.specificity()
            };
            if found.as_ref().is_none_or(better) {
                found = Some((operation, params));
            }
        }
        found
    }

    fn build(document: Document) -> Self {
        let mut shapes = shape::Builder::new(&document.shapes);
        let operations: Vec<Operation> = document
            .operations
            .iter()
            .map(|(name, raw)| {
                let (path, query) = raw.uri.split_once('?').unwrap_or((&raw.uri, ""));
                Operation {
                    name: name.clone(),
                    method: raw.method.parse().expect("the model's methods are HTTP's"),
                    segments: path
                        .trim_start_matches('/')
                        .split('/')
                        .map(Segment::read)
                        .collect(),
                    query: parse::pairs(query),
                    status: StatusCode::from_u16(raw.response_code)
                        .expect("the model's codes are HTTP's"),
                    input: raw.input.as_deref().map(|name| shapes.build(name)),
                    output: raw.output.as_deref().map(|name| shapes.build(name)),
                    errors: raw.errors.clone(),
                }
            })
            .collect();
        let mut by_segment: HashMap<String, Vec<usize>> = HashMap::new();
        let mut by_name = HashMap::new();
        for (index, operation) in operations.iter().enumerate() {
            by_name.insert(operation.name.clone(), index);
            if let Some(Segment::Literal(first)) = operation.segments.first() {
                by_segment.entry(first.clone()).or_default().push(index);
            }
        }
        Self {
            operations,
            by_name,
            by_segment,
        }
    }
}

impl Operation {
    /// `CreateFunction` and the like.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its HTTP method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Status of an answer that is no error.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What it takes.
    pub fn input(&self) -> Option<&Shape> {
        self.input.as_deref()
    }

    /// What it answers.
    pub fn output(&self) -> Option<&Shape> {
        self.output.as_deref()
    }

    /// Types of the errors that it declares.
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    /// A path and query that lead here, with `label` (encoded, as it stands in a path) in the variable parts.
    pub fn path(&self, label: &str) -> String {
        let mut path = String::new();
        for segment in &self.segments {
            path.push('/');
            path.push_str(match segment {
                Segment::Literal(text) => text,
                Segment::Label(_) | Segment::Greedy(_) => label,
            });
        }
        for (index, (name, value)) in self.query.iter().enumerate() {
            path.push_str(if index == 0 { "?" } else { "&" });
            path.push_str(&format!("{name}={value}"));
        }
        path
    }

    /// Whether the query holds the parameters that the operation's own path fixes.
    fn asks_for(&self, query: &str) -> bool {
        self.query.is_empty() || {
            let given = parse::pairs(query);
            self.query.iter().all(|fixed| given.contains(fixed))
        }
    }

    /// More literal parts win over fewer.
    fn specificity(&self) -> usize {
        let literal = |segment: &&Segment| matches!(segment, Segment::Literal(_));
        self.query.len() + self.segments.iter().filter(literal).count()
    }

    fn capture(&self, parts: &[&str]) -> Option<UriParams> {
        let mut params = UriParams::new();
        let mut rest = parts;
        for (at, segment) in self.segments.iter().enumerate() {
            let (label, taken) = match segment {
                Segment::Literal(text) => {
                    let (first, others) = rest.split_first()?;
                    rest = others;
                    if first == text {
                        continue;
                    }
                    return None;
                }
                Segment::Label(label) => (label, 1),
                Segment::Greedy(label) => {
                    (label, rest.len().checked_sub(self.segments.len() - at - 1)?)
                }
            };
            let (value, others) = rest.split_at_checked(taken)?;
            rest = others;
            let value = value.join("/");
            if value.is_empty() {
                return None;
            }
            params.insert(
                label.clone(),
                percent_decode_str(&value).decode_utf8().ok()?.into_owned(),
            );
        }
        rest.is_empty().then_some(params)
    }
}

impl Segment {
    fn read(text: &str) -> Self {
        match text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'))
        {
            Some(label) => match label.strip_suffix('+') {
                Some(label) => Segment::Greedy(label.to_owned()),
                None => Segment::Label(label.to_owned()),
            },
            None => Segment::Literal(text.to_owned()),
        }
    }
}
