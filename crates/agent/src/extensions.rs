//! Extensions: programs beside a runtime, and parts of it, that follow an instance's life (Extensions API, 2020-01-01).
//! Source: "Lambda Extensions API" of the AWS Lambda developer guide; refusals as AWS's Runtime Interface Emulator words
//! them.
//!
//! External extensions come in layers: whatever stands in `/opt/extensions` is started before the runtime. Internal ones
//! are registered by the runtime's own process. An instance's start is over, and so is each of its requests, when its
//! runtime and all of its extensions have asked for more.

pub(crate) mod api;
mod beside;
mod registry;

pub(crate) use beside::{
    Accompaniment, Beside, Companions, INTERNAL_SHUTDOWN, RUNTIME_SHUTDOWN, SHUTDOWN, Shutdown,
};
pub(crate) use registry::{Event, Events, MAX_EXTENSIONS, Refusal, Registry, Subscribed};
