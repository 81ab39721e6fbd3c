//! `[policy]`: what the node keeps for requests to come, and where it is written down.

use std::path::PathBuf;

use pilotlight_agent::EventLogConfig;
use pilotlight_policy::policies::by_name;
use serde::{Deserialize, Serialize};

use super::check::in_range;
use super::{InvalidConfig, value};

/// The policy unless another, or a keep-alive, is asked for.
const USUAL: &str = "pilot:node";
/// Bytes of the event log unless something else is said.
const EVENT_LOG_BYTES: u64 = 256 << 20;
/// Less would hold nothing worth reading.
const LEAST_EVENT_LOG_BYTES: u64 = 64 << 10;

/// What the node keeps, and what it tells of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyConfig {
    /// The policy; absent, a fixed keep-alive of the `keep_alive_seconds` that were asked for.
    pub(crate) name: Option<String>,
    /// The event log, where there is to be one.
    pub(crate) event_log: Option<PathBuf>,
    /// Bytes that it may take.
    pub(crate) event_log_bytes: u64,
}

/// The table as it is written.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyTable {
    name: Option<String>,
    event_log: Option<PathBuf>,
    event_log_bytes: Option<u64>,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            name: Some(USUAL.to_owned()),
            event_log: None,
            event_log_bytes: EVENT_LOG_BYTES,
        }
    }
}

impl PolicyConfig {
    /// The same, overridden by what a file says; `fixed` where it asks for a keep-alive, and for no policy.
    pub(super) fn with(self, table: Option<PolicyTable>, fixed: bool) -> Self {
        let table = table.unwrap_or_default();
        Self {
            name: table.name.or(self.name.filter(|_| !fixed)),
            event_log: table.event_log.or(self.event_log),
            event_log_bytes: table.event_log_bytes.unwrap_or(self.event_log_bytes),
        }
    }

    /// Refuses what cannot work.
    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        if let Some(Err(error)) = self.name.as_deref().map(by_name) {
            return Err(value("policy.name", error.to_string()));
        }
        in_range(
            "policy.event_log_bytes",
            self.event_log_bytes,
            LEAST_EVENT_LOG_BYTES..=u64::MAX,
        )
    }

    /// The table that would give it.
    pub(super) fn to_table(&self) -> PolicyTable {
        PolicyTable {
            name: self.name.clone(),
            event_log: self.event_log.clone(),
            event_log_bytes: Some(self.event_log_bytes),
        }
    }

    /// Where the node writes its event log, if it is to.
    pub(crate) fn event_log(&self) -> Option<EventLogConfig> {
        self.event_log.as_ref().map(|path| EventLogConfig {
            path: path.clone(),
            bytes: self.event_log_bytes,
        })
    }
}
