//! Why the last starts of a version were what they were, as its node remembers it.

use serde::{Deserialize, Serialize};

use crate::start::StartKind;

/// What a node remembers of the starts of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// Qualified ARN.
    pub version: String,
    /// The policy that the node decides by, with its parameters.
    pub policy: String,
    /// Requests since the last start, all of which found an idle instance.
    pub warm: u64,
    /// The last starts, newest first.
    pub starts: Vec<WhyStart>,
}

/// A request that found no idle instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyStart {
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// What its instance came from; [`StartKind::Warm`] where one became idle while it waited.
    pub kind: StartKind,
    /// How long it waited for it, in microseconds.
    pub waited_us: u64,
    /// Requests between the start before and this one, all of which found an idle instance.
    pub warm_before: u64,
    /// Why none was idle.
    pub reason: WhyReason,
}

/// Why no instance was idle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyReason {
    /// The request asked for a start of its own.
    Asked,
    /// The version has had no instance on the node since the node heard of it.
    First,
    /// All were in use.
    Burst {
        /// Instances with requests.
        busy: u32,
        /// Instances that were being made.
        starting: u32,
    },
    /// The last one was ended by the policy.
    Reclaimed {
        /// How long before the request, in milliseconds.
        before_ms: u64,
        /// `expired`: its time was over; `pressure`: its room was needed; `worth`: its memory saved more elsewhere;
        /// `forecast`: nothing was expected before a later time.
        because: String,
    },
    /// The last one ended because the version changed, or its code did.
    Changed {
        /// How long before the request, in milliseconds.
        before_ms: u64,
    },
    /// The last one ended by itself: its process exited, its handler timed out, or it failed.
    Ended {
        /// How long before the request, in milliseconds.
        before_ms: u64,
    },
}
