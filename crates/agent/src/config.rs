//! How a node is set up, and why it could not be started.

use std::io;
use std::path::PathBuf;

use pilotlight_model::limits::Limits;
use pilotlight_policy::policies::{SpecError, on_node};

use crate::event_log::{self, EventLog, EventLogConfig, EventLogWriter};

/// How a node is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the node, as traces and `pilot ls` show it.
    pub node: String,
    /// Folder of the platform's data; the node's logs are in `logs` below it.
    pub data_dir: PathBuf,
    /// What the node may use.
    pub limits: Limits,
    /// File that instances see as `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// The policy by which it keeps what it keeps, as [`by_name`](pilotlight_policy::policies::by_name) takes it:
    /// unless one is named, idle instances are kept for a fixed time, that of `limits`.
    pub policy: Option<String>,
    /// Where it is written down what the policy is told and orders.
    pub event_log: Option<EventLogConfig>,
}

impl Config {
    /// The policy, as [`by_name`](pilotlight_policy::policies::by_name) takes it, with what a node has for what was
    /// not named.
    pub(crate) fn policy_name(&self) -> String {
        let keep_alive = self.limits.keep_alive.as_millis();
        match &self.policy {
            Some(named) => on_node(named),
            None => format!("fixed:{keep_alive}ms"),
        }
    }

    /// Begins the node's event log, if it is to have one.
    pub(crate) fn begin_event_log(
        &self,
        policy: &str,
    ) -> Result<Option<(EventLog, EventLogWriter)>, AgentError> {
        let Some(log) = &self.event_log else {
            return Ok(None);
        };
        event_log::begin(log, policy)
            .map(Some)
            .map_err(|source| AgentError::EventLog {
                path: log.path.clone(),
                source,
            })
    }
}

/// Why a node could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The log store cannot be opened.
    #[error("cannot open the log store in {}", folder.display())]
    Logs {
        /// Where it should be.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The machine does not say how much memory it has.
    #[error("cannot read the machine's memory from /proc/meminfo")]
    Memory(#[source] io::Error),
    /// The event log cannot be written.
    #[error("cannot write the event log {}", path.display())]
    EventLog {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no such policy.
    #[error("cannot make the policy")]
    Policy(#[source] SpecError),
}
