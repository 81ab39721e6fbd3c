//! The ladder: how near to answering a version stands on a node, what that costs, and why it stands no
//! higher.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a version stands on a node. Each rung costs memory and saves time; the highest that it has is
/// the one that counts.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Rung {
    /// Nothing of it is on the node.
    #[default]
    Absent,
    /// Its code is on the node, mounted.
    Cached,
    /// Its runtime's zygote is there to be forked.
    Zygote,
    /// It has a template.
    Template,
    /// It has an instance forked ahead of time.
    Spare,
    /// It has an idle instance.
    Idle,
    /// It runs requests now.
    Busy,
}

impl Rung {
    /// Every rung, lowest first.
    pub const ALL: [Rung; 7] = [
        Rung::Absent,
        Rung::Cached,
        Rung::Zygote,
        Rung::Template,
        Rung::Spare,
        Rung::Idle,
        Rung::Busy,
    ];

    /// The rung as it stands in lists and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Rung::Absent => "absent",
            Rung::Cached => "cached",
            Rung::Zygote => "zygote",
            Rung::Template => "template",
            Rung::Spare => "spare",
            Rung::Idle => "idle",
            Rung::Busy => "busy",
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a process cannot be a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Refusal {
    /// A word of a closed set, such as `open_connection` or `running_thread`: the label of metrics.
    pub reason: Cow<'static, str>,
    /// What exactly was found, for the user.
    pub detail: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.detail {
            "" => f.write_str(&self.reason),
            detail => write!(f, "{}: {detail}", self.reason),
        }
    }
}

/// The zygote of one runtime on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZygoteStatus {
    /// Name of the runtime.
    pub runtime: String,
    /// Whether it can be forked now.
    pub ready: bool,
    /// Empty sandboxes that wait for a fork of it.
    #[serde(default)]
    pub berths: u32,
    /// Memory of its own, in bytes.
    pub bytes: u64,
    /// Why there is none.
    pub note: Option<String>,
}

/// What the ladder has done since the node started; every number only grows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LadderCounters {
    /// Processes forked, for requests and ahead of them.
    pub forks: u64,
    /// Microseconds that these forks took, from the empty sandbox to the running process.
    pub fork_us: u64,
    /// Processes that could not become templates, by reason.
    pub refusals: BTreeMap<String, u64>,
    /// What was given up for want of memory, by rung.
    pub given_up: BTreeMap<String, u64>,
}
