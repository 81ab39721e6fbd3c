//! Why the last starts of a version were what they were, as its node remembers it.

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, FunctionName, Region};
use crate::ladder::Rung;
use crate::start::StartKind;

/// What a node remembers of the starts of the versions that a name means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhyAnswer {
    /// One, or the two that an alias splits invocations between.
    pub versions: Vec<WhyRoute>,
}

/// One of those versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhyRoute {
    /// The share of the invocations that it gets, from 0 to 1.
    pub weight: f64,
    /// What its node remembers.
    #[serde(flatten)]
    pub why: Why,
}

/// What a node remembers of the starts of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// Qualified ARN.
    pub version: String,
    /// The policy that the node decides by, with its parameters.
    pub policy: String,
    /// Requests since the last start, all of which found an idle instance.
    pub warm: u64,
    /// The last starts, newest first.
    pub starts: Vec<WhyStart>,
    /// What the policy expects and has expected of the version, where it forecasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecasts: Option<WhyForecasts>,
}

/// What a policy expects of a version, and what that was worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhyForecasts {
    /// The rung that the policy holds it on.
    pub rung: Rung,
    /// The request that something is kept for now.
    pub expected: Option<Expected>,
    /// The strongest period that its requests have.
    pub period: Option<Period>,
    /// Functions that it calls.
    pub calls: Vec<Calls>,
    /// The last requests that had to be told of, newest first, and what had been forecast of them.
    pub told: Vec<ToldRequest>,
    /// What its forecasts were worth.
    pub counters: ForecastCounters,
}

/// A forecast request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// What says so: `gaps` (times between requests), `period`, `call`, `shift` (of an alias) or `announced`.
    pub by: String,
    /// The probability that it comes in that time, from 0 to 1.
    pub confidence: f32,
    /// Not before, in milliseconds since 1970.
    pub from_ms: u64,
    /// Not after.
    pub until_ms: u64,
}

/// A period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Period {
    /// From one to the next, in milliseconds.
    pub every_ms: u64,
    /// How far requests are from it in the mean, in milliseconds.
    pub jitter_ms: u64,
    /// The share of times that had a request.
    pub confidence: f32,
}

/// Calls of another function, and what forecasts of them were worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calls {
    /// Qualified ARN.
    pub function: String,
    /// Whether a chain declares it.
    #[serde(default)]
    pub declared: bool,
    /// The part of the caller's requests that call it, as far as the policy believes.
    #[serde(default)]
    pub probability: f32,
    /// Calls at once, if any.
    #[serde(default)]
    pub fan_out: f32,
    /// When they are expected after the caller's request: not before, and not after, in milliseconds.
    #[serde(default)]
    pub from_ms: u64,
    /// The latter.
    #[serde(default)]
    pub until_ms: u64,
    /// How long after the caller's request they came: median and 90th percentile, in milliseconds.
    #[serde(default)]
    pub p50_ms: u64,
    /// The latter.
    #[serde(default)]
    pub p90_ms: u64,
    /// Calls that were seen, each of the caller's requests counted once.
    pub calls: u32,
    /// Times that the other was made ready for one.
    pub forecasts: u32,
    /// Those of them that a call met.
    pub hits: u32,
    /// `hits` of `forecasts`.
    #[serde(default)]
    pub precision: f32,
    /// `hits` of `calls`.
    #[serde(default)]
    pub recall: f32,
    /// From being ready to the call, in the mean, in milliseconds.
    pub lead_ms: u64,
    /// MB·s that the other was ready in vain.
    pub wasted_mb_s: f32,
}

/// Which calls of functions are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallsAsked {
    /// Of callers of that account,
    pub account: AccountId,
    /// and region.
    pub region: Region,
    /// Those that this function makes or gets; all unless given.
    pub function: Option<FunctionName>,
    /// Where a page before ended ([`CallsAnswer::next`]), or 0.
    pub from: u32,
    /// Most calls. A caller's are not parted, so that there may be a few more.
    pub limit: usize,
}

/// Which functions call which, as the node's policy has learned it: a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallsAnswer {
    /// The policy that the node decides by, with its parameters.
    pub policy: String,
    /// By caller, in the order in which the node got to know them, and of each the likeliest first.
    pub calls: Vec<CallsOf>,
    /// Where the next page begins; none behind the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u32>,
}

/// Calls of one function to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallsOf {
    /// Qualified ARN of the version that calls.
    pub caller: String,
    /// Whom, how, and what forecasts of it were worth.
    #[serde(flatten)]
    pub calls: Calls,
}

/// What forecasts of calls were worth, over all callers. Only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CallCounters {
    /// Calls of functions by functions.
    pub calls: u64,
    /// Times that a callee was made ready for one.
    pub forecasts: u64,
    /// Those that a call met.
    pub hits: u64,
    /// Time that callees were ready before their calls, over all hits, in seconds.
    pub lead_s: f64,
    /// MB·s that callees were ready in vain.
    pub wasted_mb_s: f64,
}

/// A request, as the policy tells of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToldRequest {
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// What its instance came from, once that is known.
    pub kind: Option<StartKind>,
    /// `never_seen`, `kept`, `foreseen`, `expired`, `pressure` or `burst`.
    pub why: String,
    /// What was forecast.
    pub forecast: Option<Expected>,
}

/// What forecasts were worth. Only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ForecastCounters {
    /// Forecasts that something was made ready for.
    pub forecasts: u64,
    /// Those in whose time a request came.
    pub hits: u64,
    /// Those in whose time none came.
    pub misses: u64,
    /// Memory-time kept for them in vain, in MB·s.
    pub wasted_mb_s: f64,
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
