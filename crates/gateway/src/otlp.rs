//! Traces of invocations for an OpenTelemetry collector: OTLP over HTTP in its JSON encoding.
//! Source: "OpenTelemetry Protocol Specification 1.x", OTLP/HTTP.
//!
//! Written here and not with `opentelemetry-otlp`, whose smallest form brings Protocol Buffers and gRPC
//! types along for what is one POST request. Nothing here is on the request path: spans wait in a
//! bounded queue, and when that is full, or the collector does not take them, they are counted and
//! dropped.

mod spans;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::record::Finished;

/// Invocations that may wait for export.
const QUEUE: usize = 4_096;
/// Invocations of one request.
const BATCH: usize = 256;
/// A batch that is not full is sent after this.
const LINGER: Duration = Duration::from_secs(1);
/// How long the collector may take.
const ANSWER: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 3;
/// Before the second attempt; doubles.
const BACK_OFF: Duration = Duration::from_millis(500);
/// Bytes of an answer that are read to keep its connection.
const ANSWER_BYTES: usize = 64 * 1024;
/// Where a collector takes traces if its URL has no path.
const TRACES: &str = "/v1/traces";

/// URL of a collector that takes OTLP over HTTP: `http://host:port`, with `/v1/traces` unless it has a
/// path of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Uri);

/// Why a text is not an [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a collector's URL: http://host:port[/path] is needed")]
pub struct InvalidEndpoint {
    /// The text that was given.
    pub text: String,
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let invalid = || InvalidEndpoint {
            text: text.to_owned(),
        };
        let uri: Uri = text.parse().map_err(|_| invalid())?;
        let mut parts = uri.into_parts();
        // Collectors stand beside the node or behind a local agent; TLS is that agent's.
        if parts.scheme.as_ref() != Some(&http::uri::Scheme::HTTP) || parts.authority.is_none() {
            return Err(invalid());
        }
        if parts.path_and_query.as_ref().is_none_or(|path| path == "/") {
            parts.path_and_query = Some(http::uri::PathAndQuery::from_static(TRACES));
        }
        Uri::from_parts(parts).map(Self).map_err(|_| invalid())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Handle of the running exporter, which ends when its last handle is dropped.
#[derive(Clone)]
pub(crate) struct Exporter {
    queue: mpsc::Sender<Message>,
    dropped: Counter,
}

enum Message {
    Export(Arc<Finished>),
    Flush(oneshot::Sender<()>),
}

impl Exporter {
    /// Starts it on the current runtime.
    pub(crate) fn start(endpoint: &Endpoint, node: &str, dropped: Counter) -> Self {
        let (queue, messages) = mpsc::channel(QUEUE);
        let service = Service {
            endpoint: endpoint.0.clone(),
            node: node.to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            dropped: dropped.clone(),
        };
        tokio::spawn(service.run(messages));
        Self { queue, dropped }
    }

    /// Takes an invocation, or drops it when the queue is full. Never waits.
    pub(crate) fn export(&self, finished: Arc<Finished>) {
        if self.queue.try_send(Message::Export(finished)).is_err() {
            self.dropped.inc();
        }
    }

    /// Waits until what was taken so far has been sent or given up, within a limit.
    pub(crate) async fn flush(&self, limit: Duration) {
        let (done, flushed) = oneshot::channel();
        let flush = async {
            if self.queue.send(Message::Flush(done)).await.is_ok() {
                // An error means that the exporter is gone, and with it what there was to wait for.
                let _ = flushed.await;
            }
        };
        if timeout(limit, flush).await.is_err() {
            tracing::warn!("trace exporter did not flush in time");
        }
    }
}

struct Service {
    endpoint: Uri,
    node: String,
    client: Client<HttpConnector, Full<Bytes>>,
    dropped: Counter,
}

impl Service {
    async fn run(self, mut messages: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH);
        while let Some(first) = messages.recv().await {
            let deadline = Instant::now() + LINGER;
            let mut next = Some(first);
            let mut flushed = Vec::new();
            while let Some(message) = next.take() {
                match message {
                    Message::Export(finished) => batch.push(finished),
                    Message::Flush(done) => {
                        flushed.push(done);
                        break;
                    }
                }
                if batch.len() < BATCH {
                    next = timeout_at(deadline, messages.recv()).await.unwrap_or(None);
                }
            }
            if !batch.is_empty() {
                self.deliver(&batch).await;
                batch.clear();
            }
            for done in flushed {
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
        }
    }

    /// Sends one batch, again if the collector says that it may be tried again.
    async fn deliver(&self, batch: &[Arc<Finished>]) {
        let body = Bytes::from(spans::encode(batch, &self.node).to_string());
        let mut pause = BACK_OFF;
        for attempt in 1..=ATTEMPTS {
            match timeout(ANSWER, self.post(body.clone())).await {
                Ok(Ok(status)) if status.is_success() => return,
                Ok(Ok(status)) if !may_repeat(status) => {
                    tracing::warn!(%status, "collector refused spans");
                    break;
                }
                Ok(Ok(status)) => tracing::debug!(%status, attempt, "collector is busy"),
                Ok(Err(error)) => tracing::debug!(%error, attempt, "collector not reached"),
                Err(_) => tracing::debug!(attempt, "collector did not answer"),
            }
            if attempt < ATTEMPTS {
                sleep(pause).await;
                pause *= 2;
            }
        }
        tracing::warn!(invocations = batch.len(), "spans dropped");
        self.dropped.inc_by(batch.len() as u64);
    }

    async fn post(&self, body: Bytes) -> Result<StatusCode, hyper_util::client::legacy::Error> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.clone();
        let json = http::HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        let response = self.client.request(request).await?;
        let status = response.status();
        // Read so that the connection can be used again; what it says is not needed.
        let _ = Limited::new(response.into_body(), ANSWER_BYTES)
            .collect()
            .await;
        Ok(status)
    }
}

/// The statuses that the protocol names as retryable.
fn may_repeat(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_http_urls() {
        let read = |text: &str| text.parse::<Endpoint>().map(|it| it.0.to_string());
        assert_eq!(read("http://a:4318").unwrap(), "http://a:4318/v1/traces");
        assert_eq!(read("http://a/").unwrap(), "http://a/v1/traces");
        assert_eq!(read("http://a/x?y=z").unwrap(), "http://a/x?y=z");
        for bad in [
            "",
            "a:4318",
            "https://a",
            "/v1/traces",
            "ftp://a",
            "http://",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
