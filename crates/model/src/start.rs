//! The waterfall: how an invocation got its instance, and where the time went.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::function::VersionKey;
use crate::ids::{InstanceId, RequestId};
use crate::runtime::Runtime;

/// What an invocation's instance came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartKind {
    /// An idle instance was there.
    Warm,
    /// An instance was there that had been forked ahead of time and had served nobody yet.
    Spare,
    /// Forked from the version's template: neither runtime start nor user init was paid.
    Forked,
    /// Forked from the runtime's zygote: user init was paid.
    Zygote,
    /// Runtime start and user init were both paid.
    Booted,
}

impl StartKind {
    /// Every kind, cheapest first.
    pub const ALL: [StartKind; 5] = [
        StartKind::Warm,
        StartKind::Spare,
        StartKind::Forked,
        StartKind::Zygote,
        StartKind::Booted,
    ];

    /// The kind as it stands in traces, metrics and log lines.
    pub fn as_str(self) -> &'static str {
        match self {
            StartKind::Warm => "warm",
            StartKind::Spare => "spare",
            StartKind::Forked => "forked",
            StartKind::Zygote => "zygote",
            StartKind::Booted => "booted",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether the instance was ready before its request came.
    pub fn was_ready(self) -> bool {
        matches!(self, StartKind::Warm | StartKind::Spare)
    }
}

/// A start that an instance is to be made for, although one may be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cold {
    /// The cheapest kind but `warm` that the version has.
    Best,
    /// This kind, or where the version has none the next cheapest below it. Never `warm`.
    Kind(StartKind),
}

impl Cold {
    /// What a request for a cold start says: `true`, or the kind that is wanted.
    pub fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("true") {
            return Some(Cold::Best);
        }
        StartKind::from_name(name)
            .filter(|kind| *kind != StartKind::Warm)
            .map(Cold::Kind)
    }

    /// The cheapest kind of start that is meant.
    pub fn cheapest(self) -> StartKind {
        match self {
            Cold::Best => StartKind::Spare,
            Cold::Kind(kind) => kind,
        }
    }
}

impl fmt::Display for StartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One step of an invocation. Steps follow each other without a gap, so their durations add up to the
/// whole; a step that a start did not need is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Reading the request, authentication, name resolution and admission.
    Gateway,
    /// Waiting for a turn: concurrency, memory or start limits of the node.
    Queue,
    /// Choosing where the instance runs.
    Place,
    /// Taking a pre-built slot from the pool, or building one when the pool is empty.
    Slot,
    /// Writing the instance's limits to its control group.
    Cgroup,
    /// Putting runtime, layers, code and `/tmp` in place and switching the root.
    Mounts,
    /// Opening the instance's network.
    Network,
    /// Starting extensions, until all have registered, and waiting for them when the runtime is ready before they are.
    Extensions,
    /// Dropping privilege, installing the system call filter and executing the runtime.
    Spawn,
    /// Copying the parked process, zygote or template, into the sandbox.
    Fork,
    /// The copy's way to its first event: fresh random state, after-restore hooks.
    Restore,
    /// The runtime's own start, up to the first line of user code.
    RuntimeInit,
    /// The user's code outside the handler.
    UserInit,
    /// The handler, from the event's delivery to the answer, or to the first byte of one that it streams.
    Handler,
    /// The rest of an answer that is streamed, up to its last byte.
    Stream,
    /// Returning the answer to the client.
    Respond,
}

impl Phase {
    /// Every phase in the order in which they happen.
    pub const ALL: [Phase; 16] = [
        Phase::Gateway,
        Phase::Queue,
        Phase::Place,
        Phase::Slot,
        Phase::Cgroup,
        Phase::Mounts,
        Phase::Network,
        Phase::Extensions,
        Phase::Spawn,
        Phase::Fork,
        Phase::Restore,
        Phase::RuntimeInit,
        Phase::UserInit,
        Phase::Handler,
        Phase::Stream,
        Phase::Respond,
    ];

    /// The phase as it stands in traces and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Gateway => "gateway",
            Phase::Queue => "queue",
            Phase::Place => "place",
            Phase::Slot => "slot",
            Phase::Cgroup => "cgroup",
            Phase::Mounts => "mounts",
            Phase::Network => "network",
            Phase::Extensions => "extensions",
            Phase::Spawn => "spawn",
            Phase::Fork => "fork",
            Phase::Restore => "restore",
            Phase::RuntimeInit => "runtime_init",
            Phase::UserInit => "user_init",
            Phase::Handler => "handler",
            Phase::Stream => "stream",
            Phase::Respond => "respond",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A reading of the machine's monotonic clock (CLOCK_MONOTONIC) in nanoseconds. The same clock is read
/// inside instances, so that one waterfall spans both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instant(pub u64);

impl Instant {
    /// Time from `earlier` to here; zero if `earlier` is later.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A waterfall in the making: where each phase ended, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    begin: Instant,
    ends: Vec<(Phase, Instant)>,
}

impl Timeline {
    /// A timeline that begins when the request's first byte was read.
    pub fn begin(at: Instant) -> Self {
        Self {
            begin: at,
            ends: Vec::with_capacity(Phase::ALL.len()),
        }
    }

    /// The current phase was `phase`, and ended `at`. A reading that lies before the previous end (two
    /// clocks read in different processes) counts as that end, so that phases never overlap.
    pub fn end(&mut self, phase: Phase, at: Instant) {
        let at = at.max(self.last());
        match self.ends.last_mut() {
            Some((last, end)) if *last == phase => *end = at,
            _ => self.ends.push((phase, at)),
        }
    }

    /// When the timeline began.
    pub fn began(&self) -> Instant {
        self.begin
    }

    /// Where the last phase ended.
    pub fn last(&self) -> Instant {
        self.ends.last().map_or(self.begin, |(_, end)| *end)
    }

    /// The phases with their lengths, in order.
    pub fn phases(&self) -> Vec<(Phase, Duration)> {
        let mut from = self.begin;
        self.ends
            .iter()
            .map(|&(phase, end)| {
                let length = end.since(from);
                from = end;
                (phase, length)
            })
            .collect()
    }
}

/// One invocation's start as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartRecord {
    /// The invocation.
    pub request_id: RequestId,
    /// What was invoked.
    pub version: VersionKey,
    /// Node that ran it.
    pub node: String,
    /// Instance that ran it.
    pub instance: InstanceId,
    /// What the instance came from.
    pub kind: StartKind,
    /// What it really runs on, whatever the function's owner named. Records of older platforms lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_on: Option<Runtime>,
    /// Wall-clock time of the request, in milliseconds since 1970.
    pub at_ms: u64,
    /// Lengths of the phases in microseconds, in order.
    pub phases: Vec<PhaseLength>,
    /// From the request's first byte to the answer, in microseconds: the sum of `phases`.
    pub total_us: u64,
}

/// One bar of the waterfall.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PhaseLength {
    /// Which step.
    pub phase: Phase,
    /// Its length in microseconds.
    pub us: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_add_up_even_when_clocks_disagree() {
        let mut timeline = Timeline::begin(Instant(1_000));
        timeline.end(Phase::Gateway, Instant(3_000));
        timeline.end(Phase::Spawn, Instant(2_500));
        timeline.end(Phase::Handler, Instant(9_000));
        let sum: Duration = timeline.phases().iter().map(|(_, length)| *length).sum();
        assert_eq!(sum, timeline.last().since(timeline.began()));
        assert_eq!(timeline.phases()[1], (Phase::Spawn, Duration::ZERO));
    }
}
