//! The gateway through its front door: real sockets, with everything behind it faked.

mod auth;
mod door;
mod invoke;
mod otlp;
mod own;
mod support;
