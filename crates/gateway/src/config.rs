//! What the gateway is told at its start. Every default stands here.

use std::fmt;
use std::time::{Duration, SystemTime};

use pilotlight_model::ids::AccountId;
use pilotlight_model::limits::DEFAULT_DRAIN;
use pilotlight_model::node::FunctionApi;

use crate::otlp::Endpoint;

/// Configuration of a [`crate::Gateway`].
#[derive(Debug, Clone)]
pub struct Config {
    /// Who may call. Empty means open mode: no signature is verified, and the listener must be on
    /// loopback ([`crate::refuse_open_listen`]). Of two keys with the same id the later one counts.
    pub access_keys: Vec<AccessKey>,
    /// Connections that are served at the same time; further ones wait in the listener's backlog.
    pub connections: usize,
    /// A connection is closed when this has passed since it was opened, or since its last answer,
    /// without a whole request head having arrived.
    pub head_timeout: Duration,
    /// Bytes of a request's head; more is answered 431.
    pub head_bytes: usize,
    /// A request's body may take this long, and one second more for every 64 KiB that have arrived.
    pub body_timeout: Duration,
    /// A client that takes nothing of its answer for this long is cut off.
    pub stall_timeout: Duration,
    /// Bytes of request bodies over 64 KiB that may be in memory together; further ones wait.
    pub body_bytes: usize,
    /// How long the requests in flight may go on after the shutdown signal.
    pub drain: Duration,
    /// Start records that are kept for `/pilotlight/v1/starts`.
    pub kept_starts: usize,
    /// Functions that have a metric label of their own; those that come later share `_other`.
    pub metric_functions: usize,
    /// Collector that gets a trace of every invocation.
    pub otlp_endpoint: Option<Endpoint>,
    /// What functions may do here.
    pub function_api: FunctionApi,
    /// Connections through the inner doors of all instances together; further ones wait.
    pub inner_connections: usize,
    /// The same of one instance.
    pub inner_instance_connections: usize,
    /// Bytes of functions' requests and answers, of those over 64 KiB, that may be in memory together.
    pub inner_bytes: usize,
    /// The same of one instance.
    pub inner_instance_bytes: usize,
    /// Wall clock: signatures are judged by it.
    pub now: fn() -> SystemTime,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            access_keys: Vec::new(),
            connections: 4_096,
            head_timeout: Duration::from_secs(60),
            head_bytes: 32 * 1024,
            body_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(120),
            body_bytes: 512 * 1024 * 1024,
            drain: DEFAULT_DRAIN,
            kept_starts: 10_000,
            metric_functions: 1_000,
            otlp_endpoint: None,
            function_api: FunctionApi::default(),
            inner_connections: 4_096,
            inner_instance_connections: 64,
            inner_bytes: 512 * 1024 * 1024,
            inner_instance_bytes: 64 * 1024 * 1024,
            now: SystemTime::now,
        }
    }
}

/// One pair of credentials.
#[derive(Debug, Clone)]
pub struct AccessKey {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: Secret,
    /// Account that requests signed with it act for.
    pub account: AccountId,
}

/// A text that no log may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
