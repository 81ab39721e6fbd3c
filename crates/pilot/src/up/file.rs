//! The configuration file as it is written: every key may be left out, none may be unknown.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use pilotlight_model::AccountId;
use pilotlight_model::node::FunctionApi;
use serde::{Deserialize, Serialize};

use super::config::asynchronous::{AsyncTable, DestinationsTable};
use super::config::policy::PolicyTable;

/// The whole file. Tables stand last, as TOML wants it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) function_url_base: Option<String>,
    pub(crate) node_name: Option<String>,
    pub(crate) subnet: Option<String>,
    pub(crate) pool_size: Option<u32>,
    pub(crate) keep_alive_seconds: Option<u64>,
    pub(crate) drain_seconds: Option<u64>,
    pub(crate) log_format: Option<LogFormat>,
    pub(crate) log_filter: Option<String>,
    pub(crate) otlp_endpoint: Option<String>,
    pub(crate) hot_reload: Option<HotReload>,
    pub(crate) runtime_substitutes: Option<bool>,
    pub(crate) function_api: Option<FunctionApi>,
    pub(crate) limits: Option<LimitsTable>,
    pub(crate) policy: Option<PolicyTable>,
    #[serde(rename = "async")]
    pub(crate) asynchronous: Option<AsyncTable>,
    pub(crate) destinations: Option<DestinationsTable>,
    pub(crate) access_keys: Option<Vec<AccessKey>>,
}

/// `[limits]`: see [`pilotlight_model::Limits`] for what each means.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsTable {
    pub(crate) account_concurrency: Option<u32>,
    pub(crate) node_memory_mb: Option<u64>,
    pub(crate) node_instances: Option<u32>,
    pub(crate) concurrent_starts: Option<u32>,
    pub(crate) waiting_invocations: Option<u32>,
    pub(crate) queued_events: Option<u64>,
    pub(crate) log_group_bytes: Option<u64>,
    pub(crate) account_log_bytes: Option<u64>,
    pub(crate) functions: Option<u64>,
}

/// One of `[[access_keys]]`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessKey {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// Account that requests signed with the key act for.
    #[serde(default)]
    pub(crate) account: AccountId,
}

/// Which folders of this machine functions may be loaded from as they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum HotReload {
    /// Any or none.
    Switch(bool),
    /// Those in one of these.
    Within(Vec<PathBuf>),
}

/// How the platform's own log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}
