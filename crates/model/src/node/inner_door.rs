//! The way from an instance to the platform's API. Its node offers an address that nobody but the instance's own
//! processes can connect to; whoever serves that address knows by it who calls, whatever a request says of itself.

use std::fmt;
use std::net::TcpListener;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{BoxFuture, Cause};
use crate::function::VersionKey;

/// Where an inner door is found inside a sandbox.
pub const INNER_DOOR: &str = "127.0.0.1:9002";

/// What functions may do with the API of the platform that they run on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FunctionApi {
    /// Nothing: there is no inner door.
    None,
    /// Invoke functions of their own account, and those of others that let their account in.
    #[default]
    Invoke,
    /// All that an access key of their account may.
    Account,
}

/// Whose inner door it is.
#[derive(Debug, Clone)]
pub struct Inhabitant {
    /// The version that the instance runs. Who comes through its door acts for that one's account.
    pub version: VersionKey,
    /// Whether a connection ends with its first answer: a process that keeps one open cannot become a template.
    pub one_answer: bool,
    /// Tells for which of its requests the instance calls.
    pub serving: Arc<dyn Serving>,
}

/// Knows which request an instance has.
pub trait Serving: fmt::Debug + Send + Sync + 'static {
    /// The request that it has now. An instance has one at a time: what its processes do is done for that one.
    fn request(&self) -> Option<Cause>;
}

/// Serves inner doors.
pub trait InnerDoor: Send + Sync + 'static {
    /// Serves what connects to that listener, which does not block, as calls of the inhabitant. Never resolves; dropping
    /// the future closes the door and every connection.
    fn serve_inside(&self, inhabitant: Inhabitant, listener: TcpListener)
    -> BoxFuture<'static, ()>;
}
