//! The command line's way to the platform: one HTTP client, signed requests, errors as the API words them.

mod signer;

use std::future::Future;
use std::time::SystemTime;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use crate::cli::Target;
use crate::exit::Exit;
use signer::{Credentials, Signer};

/// Where a platform listens unless told otherwise.
const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:9000";
/// Bytes of an answer; the largest that the API gives are invocation answers of 6 MB.
const ANSWER_BYTES: usize = 64 << 20;
/// What RFC 3986 leaves as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A connection to one platform; copies share it.
#[derive(Clone)]
pub(crate) struct Client {
    endpoint: String,
    host: HeaderValue,
    signer: Signer,
    http: HttpClient<HttpConnector, Full<Bytes>>,
}

/// An answer of any status, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The platform said no.
#[derive(Debug, thiserror::Error)]
#[error("{kind}: {message}")]
pub(crate) struct ApiError {
    /// `x-amzn-ErrorType`, or the status.
    pub(crate) kind: String,
    message: String,
}

/// Where the platform is supposed to be cannot be reached by this client.
#[derive(Debug, thiserror::Error)]
#[error("endpoint '{0}' is not a URL with http, such as {DEFAULT_ENDPOINT}")]
pub(crate) struct InvalidTarget(String);

/// Runs a command that talks to a platform.
pub(crate) fn block_on(
    command: impl Future<Output = anyhow::Result<Exit>>,
) -> anyhow::Result<Exit> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the client")?
        .block_on(command)
}

/// One segment of a path or one value of a query, encoded.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

impl Client {
    /// A client of the platform that options and environment name.
    pub(crate) fn new(target: &Target) -> anyhow::Result<Self> {
        let from_env = |name| std::env::var(name).ok().filter(|url| !url.is_empty());
        let endpoint = target
            .endpoint
            .clone()
            .or_else(|| from_env("AWS_ENDPOINT_URL_LAMBDA"))
            .or_else(|| from_env("AWS_ENDPOINT_URL"))
            .unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        let uri: Uri = endpoint
            .parse()
            .map_err(|_| InvalidTarget(endpoint.clone()))?;
        let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            bail!(InvalidTarget(endpoint));
        };
        Ok(Self {
            host: HeaderValue::from_str(authority.as_str()).context("endpoint's host")?,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            signer: Signer::new(Credentials::from_env(), region()),
            http: HttpClient::builder(TokioExecutor::new()).build_http(),
        })
    }

    /// One request; `path` holds the query, both encoded. An answer of any status is `Ok`.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint));
        for (name, value) in headers {
            request = request.header(HeaderName::from_static(name), *value);
        }
        let mut request = request.body(body).context("request")?;
        request
            .headers_mut()
            .insert(http::header::HOST, self.host.clone());
        self.signer.sign(&mut request, SystemTime::now())?;
        let answer = self
            .http
            .request(request.map(Full::new))
            .await
            .with_context(|| {
                format!(
                    "no platform answers at {}: is `pilot up` running?",
                    self.endpoint
                )
            })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!(error))
            .context("the answer broke off")?
            .to_bytes();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    /// Reads a JSON document.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.call(Method::GET, path, &[], Bytes::new())
            .await?
            .json()
    }

    /// Sends one JSON document and reads another.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: &serde_json::Value,
    ) -> anyhow::Result<serde_json::Value> {
        let headers = [("content-type", "application/json")];
        self.call(method, path, &headers, Bytes::from(body.to_string()))
            .await?
            .json()
    }
}

impl Answer {
    /// The body, if the platform did as it was asked.
    pub(crate) fn ok(self) -> Result<Self, ApiError> {
        if self.status.is_success() {
            Ok(self)
        } else {
            Err(ApiError::read(&self))
        }
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn json<T: DeserializeOwned>(self) -> anyhow::Result<T> {
        let answer = self.ok()?;
        serde_json::from_slice(&answer.body)
            .context("the platform's answer is not what this client expects")
    }
}

impl ApiError {
    fn read(answer: &Answer) -> Self {
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |key: &str| body.get(key).and_then(|value| value.as_str());
        let message = text("message")
            .or_else(|| text("Message"))
            .unwrap_or("no reason given");
        Self {
            kind: answer
                .header("x-amzn-errortype")
                .map_or_else(|| answer.status.to_string(), str::to_owned),
            message: match text("Reason") {
                Some(reason) => format!("{message} ({reason})"),
                None => message.to_owned(),
            },
        }
    }

    /// Whether what was to be made is there already.
    pub(crate) fn is_conflict(&self) -> bool {
        self.kind == "ConflictException"
    }

    /// Whether what was named does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        self.kind == "ResourceNotFoundException"
    }

    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        matches!(
            self.kind.as_str(),
            "UnrecognizedClientException"
                | "InvalidSignatureException"
                | "MissingAuthenticationTokenException"
        )
        .then_some(
            "the platform wants access keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; \
             `pilot keys create` on its machine makes one",
        )
    }
}

fn region() -> String {
    ["AWS_REGION", "AWS_DEFAULT_REGION"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|region| !region.is_empty()))
        .unwrap_or_else(|| pilotlight_model::Region::default().to_string())
}
