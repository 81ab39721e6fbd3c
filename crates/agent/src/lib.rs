//! One node: instances, slots, runtimes, logs.
//!
//! [`Agent`] is the node's handle. Behind it: `pool` decides which request gets which instance and what
//! may be started, `start` carries one instance from its order to its end, `launch` makes its process and
//! `watch` looks after it, `ladder` keeps what starts are forked from, `instance` is where the invocation
//! and the runtime meet, `runtime_api` is the protocol between them, `logs` keeps what
//! instances say, `roots` what they see, `compile` prepares byte code, [`images`] builds what runtimes
//! run in, and `launcher` is the seam to the machine.
#![forbid(unsafe_code)]

mod agent;
mod clock;
mod compile;
mod config;
mod environment;
mod event_log;
mod extensions;
mod failure;
pub mod images;
mod instance;
mod invoke;
mod ladder;
mod launch;
mod launcher;
mod live;
mod log_stream;
mod logs;
mod memory;
mod platform_events;
mod pool;
mod program;
mod roots;
mod runtime;
mod runtime_api;
mod shift;
mod start;
mod telemetry;
mod tries;
mod warm_up;
mod watch;

pub use agent::Agent;
pub use config::{AgentError, Config};
pub use event_log::EventLogConfig;
pub use runtime::RuntimeImage;

#[cfg(test)]
mod tests;
