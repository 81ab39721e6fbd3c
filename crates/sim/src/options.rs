//! Every modelling choice, with its default. `docs/simulate.md` gives reasons.

use std::time::Duration;

use pilotlight_policy::Bytes;
use serde::Serialize;

use crate::profile::ClassName;

/// How a trace is run.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What instances there are and how exactly time is followed.
    pub model: Model,
    /// Seed of all draws.
    pub seed: u64,
    /// Memory of an instance where the trace does not say.
    pub memory: Bytes,
    /// It has that memory whatever the trace says.
    pub same_memory: bool,
    /// The runtime of all functions; otherwise the trace's, and drawn by the profile's shares where it has none.
    pub runtime: Option<ClassName>,
    /// The cluster.
    pub cluster: Cluster,
    /// What instances take of a node's memory.
    pub room: Room,
    /// Which comes first of what happens at the same moment.
    pub ties: Ties,
    /// What a minute with several requests counts as in the share of a function's arrivals.
    pub minute: Minute,
    /// When policies learn of functions.
    pub deploy: Deploy,
    /// Whether a node has a zygote of each runtime, as ours have.
    pub zygotes: bool,
    /// What a version has of the ladder from its deploy on; as the trace says unless given, and nothing where
    /// that does not.
    pub ladder: Option<Ladder>,
    /// When in their minute requests come; concurrent model.
    pub arrivals: Arrivals,
    /// How long a handler runs where the trace does not say; concurrent model.
    pub duration: Duration,
    /// Requests of a function in one minute up to which each is followed; of more, the instances are that
    /// they need. Concurrent model.
    pub each_up_to: u32,
    /// The fixed keep-alive whose wasted memory all others are related to, in whole minutes.
    pub reference: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            model: Model::Single,
            seed: 1,
            memory: Bytes::mib(170),
            same_memory: false,
            runtime: None,
            cluster: Cluster::default(),
            room: Room::Weighed,
            ties: Ties::Arrivals,
            minute: Minute::One,
            deploy: Deploy::Begin,
            zygotes: true,
            ladder: None,
            arrivals: Arrivals::Uniform,
            duration: Duration::from_millis(670),
            each_up_to: 10,
            reference: Duration::from_secs(600),
        }
    }
}

/// Nodes, all alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster {
    /// How many.
    pub nodes: u32,
    /// Memory of each; without limit where there is none.
    pub memory: Option<Bytes>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            nodes: 1,
            memory: None,
        }
    }
}

/// What instances take of the memory that a node has; what they weigh is counted either way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Room {
    /// What they weigh: what is shared with a template is there once.
    #[default]
    Weighed,
    /// All that their function may use, shared or not, and a template while it is made as much: what a node of ours
    /// promises.
    Promised,
}

/// What is simulated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Model {
    /// One instance for each function, and time by the minute: a request is cold if the instance is not
    /// there when its minute begins, and takes no time.
    #[default]
    Single,
    /// Arrivals within their minute, handlers that take their time, as many instances as it takes.
    Concurrent,
}

/// Which comes first of what happens at the same moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Ties {
    /// Requests: one that comes exactly when a keep-alive ends is warm.
    #[default]
    Arrivals,
    /// The policy's tick: it is cold.
    Ticks,
}

/// What a minute with several requests counts as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Minute {
    /// One arrival, cold or not.
    #[default]
    One,
    /// Its requests, of which the first alone can be cold.
    Requests,
}

/// When policies learn of functions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Deploy {
    /// Of all of them when the trace begins: they were deployed before.
    #[default]
    Begin,
    /// Of each just before its first request.
    First,
}

/// What a version has of the ladder before a policy says anything about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Ladder {
    /// Nothing, whatever the policy says: templates are switched off.
    Never,
    /// Nothing.
    None,
    /// A template.
    Template,
    /// A template and a spare, as on a node that has room.
    Spare,
}

/// When in their minute requests come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// At equal distances, from a place in the minute that is drawn.
    #[default]
    Uniform,
    /// Each at a moment of its own that is drawn: a Poisson process, given how many there are.
    Poisson,
    /// All at once, at the beginning of the minute.
    Once,
}
