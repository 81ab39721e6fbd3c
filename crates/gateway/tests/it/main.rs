//! The gateway through its front door: real sockets, with everything behind it faked.
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests are tests, which clippy does not see"
)]

mod admitted;
mod auth;
mod door;
mod inner;
mod invoke;
mod otlp;
mod own;
mod streaming;
mod support;
mod urls;
