//! What a node holds and counts, as it is shown.

use std::collections::BTreeMap;

use super::{CallCounters, ForecastCounters};
use crate::ladder::{LadderCounters, Refusal, Rung, ZygoteStatus};
use crate::provisioned::{Provisioned, Usage};

/// What the platform counts per version on a node, for `pilot ls`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VersionCounts {
    /// Instances that run a request now.
    pub busy: u32,
    /// Instances that wait for one.
    pub idle: u32,
    /// Instances that start now.
    pub starting: u32,
    /// Instances forked ahead of time.
    pub spares: u32,
    /// Empty sandboxes that wait for a fork of the template.
    #[serde(default)]
    pub berths: u32,
    /// The highest rung of the ladder that the version stands on.
    pub rung: Rung,
    /// Memory that the template has for itself, in bytes.
    pub template_bytes: u64,
    /// Memory that the spares have for themselves, in bytes.
    pub spare_bytes: u64,
    /// Why the version has no template, if its process could not be one.
    pub refusal: Option<Refusal>,
    /// Why it has none although its process could be one, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_template: Option<String>,
    /// What it has of what is provisioned for it. Its instances are counted above too.
    #[serde(default)]
    pub provisioned: Option<Provisioned>,
}

/// A snapshot of a node.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct NodeStatus {
    /// Node name.
    pub node: String,
    /// Ready slots in the pool.
    pub slots: u32,
    /// Memory promised to instances, and held by what is kept for starts, in MiB.
    pub promised_mb: u64,
    /// Memory that may be promised, in MiB.
    pub capacity_mb: u64,
    /// Log lines that could not be written since the node started.
    pub dropped_log_lines: u64,
    /// Entries of the node's event log that could not be written since then.
    #[serde(default)]
    pub dropped_events: u64,
    /// What the policy's forecasts were worth since then, where it makes any.
    #[serde(default)]
    pub forecasts: Option<ForecastCounters>,
    /// The same of calls of functions by functions.
    #[serde(default)]
    pub calls: Option<CallCounters>,
    /// Counts by version, keyed by qualified ARN.
    pub versions: BTreeMap<String, VersionCounts>,
    /// The zygotes of the node's runtimes.
    #[serde(default)]
    pub zygotes: Vec<ZygoteStatus>,
    /// What the ladder has done since the node started.
    #[serde(default)]
    pub ladder: LadderCounters,
    /// What provisioned instances of all versions have done and cost since the node started.
    #[serde(default)]
    pub provisioned: Usage,
}
