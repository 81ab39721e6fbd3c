//! Telemetry: what an instance's log has and more, for extensions that subscribe to it (Telemetry API, 2022-07-01, and its
//! predecessor, the Logs API, 2020-08-15).
//! Source: "Accessing real-time telemetry data for extensions using the Telemetry API" of the AWS Lambda developer guide.
//!
//! Events come from the instance's log, in its order. Each subscriber has a bounded buffer and a task that brings
//! batches of it to the address that it gave, which lies inside the instance's own network, always.

pub(crate) mod api;
mod buffer;
mod delivery;
mod hub;
mod subscription;

pub(crate) use hub::Hub;
pub(crate) use subscription::{Api, Subscription};

use crate::logs::Source;
use crate::platform_events::PlatformEvent;

/// Something that subscribers may want to know.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    Event(PlatformEvent),
    Line(Source, String),
}
