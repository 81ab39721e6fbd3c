//! What a policy sees.

use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Instant, StartKind};
use serde::{Deserialize, Serialize};

use crate::{Bytes, NodeId, Ticket, VersionId};

/// Something that happened, in the order in which it did.
///
/// The life of an instance: [`Starting`](Event::Starting), [`Started`](Event::Started), then
/// [`Idle`](Event::Idle) and [`Busy`](Event::Busy) in turn, and [`Gone`](Event::Gone) at any point. What a
/// handler takes is the time from `Busy` to the next `Idle`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A node has joined, or has other room than before.
    Node(Room),
    /// A version can be invoked from now on, or has other facts than before.
    Deployed(Deployed),
    /// A version can no longer be invoked.
    Retired(VersionId),
    /// Requests for a version came. What follows for each, [`Busy`](Event::Busy) or
    /// [`Waits`](Event::Waits), comes as an event of its own.
    Arrived(Arrived),
    /// A request found no idle instance. It is for the policy to say when a start is made for it
    /// ([`Action::Start`](crate::Action::Start)); an instance that becomes idle meanwhile serves it.
    Waits(Waits),
    /// A request that waited has an instance, or has been given up.
    Left(Ticket),
    /// An instance is being made.
    Starting(Starting),
    /// An instance is ready; what its start cost is known.
    Started(Started),
    /// An instance has nothing to do: its start or its request is over.
    Idle(Idle),
    /// What an idle instance takes was measured. Where nothing is, it takes what its reclamation gives back.
    Measured(Measured),
    /// An idle or started instance was given a request.
    Busy(InstanceId),
    /// An instance is no more, whatever it did before.
    Gone(InstanceId),
    /// A version has a zygote, template or spare on a node, and what that costs and saves was measured.
    Held(Held),
    /// A version has no longer what it had on that rung.
    Lost {
        /// Whose.
        version: VersionId,
        /// Where.
        node: NodeId,
        /// What.
        rung: Rung,
    },
    /// A version cannot have that rung on a node: its process cannot be frozen, or nothing of it is to be kept. Until it
    /// is deployed anew, orders for it come to nothing.
    Refused {
        /// Whose.
        version: VersionId,
        /// Where.
        node: NodeId,
        /// [`Rung::Template`].
        rung: Rung,
    },
    /// Part of one version's requests will go to another.
    Shift(Shift),
    /// Requests of one version will cause requests of another: a chain was declared.
    Calls(Calls),
    /// A schedule or a user has announced requests.
    Announced(Announced),
    /// Room is needed that a node does not have.
    Pressure {
        /// Where.
        node: NodeId,
        /// How much.
        shortage: Shortage,
        /// For a template of that version, which nobody waits for; otherwise for a start that somebody waits for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        template: Option<VersionId>,
    },
    /// Time has passed; due at the latest when [`Policy::wake_at`](crate::Policy::wake_at) says.
    Tick,
}

/// What a node has for instances, templates and zygotes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The node.
    pub node: NodeId,
    /// Memory.
    pub memory: Bytes,
    /// Instances.
    pub instances: u32,
}

/// What is known of a version before its first start.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Deployed {
    /// The version.
    pub version: VersionId,
    /// What it runs on: what is not measured yet is taken from others of its kind.
    pub runtime: Runtime,
    /// The most memory that an instance may use.
    pub memory: Bytes,
    /// How long its owner wants idle instances kept, where that was said.
    pub keep_alive: Option<Duration>,
    /// The version it takes the place of: what was learned of that one holds for this one until more is
    /// known.
    pub after: Option<VersionId>,
    /// How many versions like it it stands for: 1 on a node, and the row's weight, scaled so that the mean is
    /// 1, in a trace that is a sample of a population. Budgets and what is learned of all versions together
    /// count it so many times.
    pub weight: f32,
}

/// Kinds of runtimes, as far as they differ in what starts cost.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Runtime {
    /// CPython.
    Python,
    /// Node.js.
    Node,
    /// The JVM.
    Java,
    /// A program of the user's own.
    #[default]
    Native,
}

/// Requests for a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived {
    /// Whose.
    pub version: VersionId,
    /// How many came at this moment: one on a node, more where a trace counts by the minute.
    pub requests: u32,
    /// The request of another function that caused this one, where that is known.
    pub cause: Option<Cause>,
}

/// A request as the cause of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Version that called.
    pub version: VersionId,
    /// Distinguishes the caller's requests from one another.
    pub request: u64,
    /// From the calling request's arrival to this one's.
    pub after: Duration,
}

/// A request without an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// The request.
    pub ticket: Ticket,
    /// What it is for.
    pub version: VersionId,
}

/// An instance in the making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Starting {
    /// The instance.
    pub instance: InstanceId,
    /// Of that version.
    pub version: VersionId,
    /// On that node.
    pub node: NodeId,
    /// The request that it is made for; absent for what is made ahead.
    pub ticket: Option<Ticket>,
}

/// A start that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The instance.
    pub instance: InstanceId,
    /// What it came from.
    pub kind: StartKind,
    /// From the order of the start to the instance's being ready.
    pub took: Duration,
}

/// An instance that waits for its next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    /// The instance.
    pub instance: InstanceId,
    /// What its reclamation gives back of its node's room.
    pub memory: Bytes,
}

/// An idle instance, weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// The instance.
    pub instance: InstanceId,
    /// Memory of its own: what it shares with a template or with others apart.
    pub memory: Bytes,
}

/// Something kept for starts to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Whose.
    pub version: VersionId,
    /// Where.
    pub node: NodeId,
    /// [`Rung::Zygote`], [`Rung::Template`] or [`Rung::Spare`].
    pub rung: Rung,
    /// What giving it up gives back.
    pub memory: Bytes,
    /// What making it took.
    pub took: Duration,
}

/// Requests move from one version to another: an alias's weight or target changes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// From that version.
    pub from: VersionId,
    /// To that version.
    pub to: VersionId,
    /// The part of `from`'s requests that go to `to` from then on, from 0 to 1.
    pub part: f32,
    /// When it takes effect.
    pub at: Instant,
}

/// A call that a definition declares, such as a step of a state machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calls {
    /// Version that calls.
    pub caller: VersionId,
    /// Version that is called.
    pub callee: VersionId,
    /// The part of the caller's requests that make the call, from 0 to 1. With none, it is not declared any more.
    pub part: f32,
    /// From the caller's request to the callee's, where that is known.
    pub after: Option<Duration>,
}

/// Requests that will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// For that version.
    pub version: VersionId,
    /// So many at once. With none, what was announced for that time, or within a second of it, is taken back.
    pub requests: u32,
    /// Then.
    pub at: Instant,
}

/// Room that is missing. Both parts must be met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// Memory.
    pub memory: Bytes,
    /// Instances.
    pub instances: u32,
}
