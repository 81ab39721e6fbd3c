//! The invocation path: authenticate, resolve, admit, hand to a node.
//!
//! Owns the HTTP front door, request authentication, the Invoke operations, function URLs, the books of
//! concurrency, Pilotlight's own read API and everything that makes an invocation visible (start records,
//! metrics, traces). Does not know how a name became a version
//! ([`Directory`](pilotlight_model::node::Directory)), how a function runs
//! ([`Node`](pilotlight_model::node::Node)), how events wait
//! ([`EventQueue`](pilotlight_model::node::EventQueue)), or any other operation of an API
//! ([`Api`](pilotlight_model::node::Api)).
//!
//! Invariants:
//! - the caller of every request is known before anything acts on its body;
//! - an invocation that was handed to a node holds its concurrency permit until the node is done with
//!   it, whether or not the client waits;
//! - nothing here grows without a limit: connections, heads, bodies, kept records, label values, spans.
#![forbid(unsafe_code)]

mod admission;
mod answer_body;
mod api;
mod auth;
mod body;
mod budget;
mod clock;
mod config;
mod door;
mod elsewhere;
mod eventstream;
mod front;
mod invoke;
mod metrics;
mod observed;
mod otlp;
mod own;
mod query;
mod record;
mod starts;
mod stream;
mod urls;

pub use admission::Admission;
pub use auth::{OpenListenRefused, authenticate, refuse_open_listen};
pub use config::{AccessKey, Config, Secret};
pub use door::Drained;
pub use front::Gateway;
pub use otlp::{Endpoint, InvalidEndpoint};
pub use record::Records;
