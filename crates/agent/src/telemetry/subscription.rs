//! What an extension subscribes to: decided from the request's body alone.
//! Source: "Lambda Telemetry API reference" and "Lambda Logs API" of the AWS Lambda developer guide.

use std::time::Duration;

use serde::Deserialize;

use crate::environment::RUNTIME_API;

/// Where telemetry goes by name: the instance itself.
const HOSTS: [&str; 2] = ["sandbox.localdomain", "sandbox"];

/// Which API an extension subscribes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    Telemetry,
    Logs,
}

/// A valid subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) api: Api,
    pub(crate) platform: bool,
    pub(crate) function: bool,
    pub(crate) extension: bool,
    /// Lines that are JSON objects are told as such.
    pub(crate) objects: bool,
    pub(crate) buffering: Buffering,
    pub(crate) destination: Destination,
}

/// When a batch is sent: as soon as one of these is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Buffering {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
    pub(crate) timeout: Duration,
}

/// A listener of the instance's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A batch is an array in the body of a POST.
    Http { port: u16, path: String },
    /// An event is a line.
    Tcp { port: u16 },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    schema_version: Option<String>,
    types: Vec<String>,
    #[serde(default)]
    buffering: RequestedBuffering,
    destination: RequestedDestination,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestedBuffering {
    max_items: Option<u64>,
    max_bytes: Option<u64>,
    timeout_ms: Option<u64>,
}

#[derive(Deserialize)]
struct RequestedDestination {
    protocol: String,
    #[serde(rename = "URI")]
    uri: Option<String>,
    port: Option<u16>,
}

impl Subscription {
    /// The subscription that a body asks for, or why there is none.
    pub(crate) fn parse(api: Api, body: &[u8]) -> Result<Self, String> {
        let request: Request = serde_json::from_slice(body).map_err(|why| why.to_string())?;
        let version = request.schema_version.as_deref();
        let (versions, default_items): (&[&str], _) = match api {
            Api::Telemetry => (&["2022-07-01", "2022-12-13", "2025-01-29"], 1_000),
            Api::Logs => (&["2020-08-15", "2021-03-18"], 10_000),
        };
        match version {
            None if api == Api::Logs => {}
            Some(version) if versions.contains(&version) => {}
            _ => return Err(format!("schemaVersion must be one of {versions:?}")),
        }
        if request.types.is_empty() {
            return Err("types must not be empty".to_owned());
        }
        let kinds = ["platform", "function", "extension"];
        if let Some(unknown) = request
            .types
            .iter()
            .find(|it| !kinds.contains(&it.as_str()))
        {
            return Err(format!("types must be of {kinds:?}, and not {unknown:?}"));
        }
        let [platform, function, extension] =
            kinds.map(|kind| request.types.iter().any(|it| it == kind));
        Ok(Self {
            api,
            platform,
            function,
            extension,
            objects: api == Api::Telemetry && version != Some("2022-07-01"),
            buffering: Buffering::of(&request.buffering, default_items)?,
            destination: Destination::of(&request.destination)?,
        })
    }

    /// What it is about, as Lambda's log has it.
    pub(crate) fn types(&self) -> Vec<&'static str> {
        let all = [
            (self.platform, "platform"),
            (self.function, "function"),
            (self.extension, "extension"),
        ];
        all.iter().filter(|it| it.0).map(|it| it.1).collect()
    }
}

impl Buffering {
    fn of(requested: &RequestedBuffering, default_items: u64) -> Result<Self, String> {
        let within = |name: &str, value: Option<u64>, default: u64, least: u64, most: u64| {
            let value = value.unwrap_or(default);
            match (least..=most).contains(&value) {
                true => Ok(value),
                false => Err(format!(
                    "buffering.{name} must be between {least} and {most}"
                )),
            }
        };
        let items = within(
            "maxItems",
            requested.max_items,
            default_items,
            1_000,
            10_000,
        )?;
        let bytes = within("maxBytes", requested.max_bytes, 262_144, 262_144, 1_048_576)?;
        let timeout = within("timeoutMs", requested.timeout_ms, 1_000, 25, 30_000)?;
        Ok(Self {
            items: items as usize,
            bytes: bytes as usize,
            timeout: Duration::from_millis(timeout),
        })
    }
}

impl Destination {
    fn of(requested: &RequestedDestination) -> Result<Self, String> {
        let destination = match requested.protocol.as_str() {
            "HTTP" => {
                let uri = requested.uri.as_deref().unwrap_or_default();
                let uri: http::Uri = uri
                    .parse()
                    .map_err(|why| format!("destination.URI: {why}"))?;
                let here = uri.host().is_some_and(|host| HOSTS.contains(&host));
                if uri.scheme_str() != Some("http") || !here {
                    return Err(format!(
                        "destination.URI must be http://{}:<port>",
                        HOSTS[0]
                    ));
                }
                let path = uri.path_and_query().map_or("/", |it| it.as_str());
                Self::Http {
                    port: uri.port_u16().unwrap_or(80),
                    path: path.to_owned(),
                }
            }
            "TCP" => Self::Tcp {
                port: requested.port.ok_or("destination.port is missing")?,
            },
            other => {
                return Err(format!(
                    "destination.protocol must be HTTP or TCP, not {other:?}"
                ));
            }
        };
        let port = destination.port();
        if port == 0 || RUNTIME_API.ends_with(&format!(":{port}")) {
            return Err(format!("destination port {port} is reserved"));
        }
        Ok(destination)
    }

    pub(crate) fn port(&self) -> u16 {
        match self {
            Destination::Http { port, .. } | Destination::Tcp { port } => *port,
        }
    }
}

#[cfg(test)]
mod tests;
