//! What the pool asks of the rest of the node, and what a request gets from it.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use pilotlight_model::function::FunctionSpec;
use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::node::NodeError;
use pilotlight_model::start::{Instant, StartKind};

use super::handles::{Lease, Turn};
use crate::instance::Instance;
use crate::warm_up::Expected;

/// Room of a spare until it has been measured.
const NEW_SPARE_MB: u64 = 8;

/// What the pool asks for, outside any lock.
pub(crate) enum Call {
    /// Make this start.
    Start(Box<StartOrder>),
    /// The version's spare has been taken.
    SpareTaken(Arc<FunctionSpec>),
    /// Something was given up for want of room.
    GivenUp(Rung),
    /// The version is to have what it lacks up to that rung.
    Raise(Arc<FunctionSpec>, Rung),
}

/// Leave to start one process.
pub(crate) struct StartOrder {
    pub(crate) instance: InstanceId,
    pub(crate) spec: Arc<FunctionSpec>,
    pub(crate) purpose: Purpose,
    /// The cheapest kind of start that is wanted.
    pub(crate) cheapest: StartKind,
    pub(crate) finishing: Arc<AtomicU32>,
    pub(crate) admitted: Instant,
    pub(crate) turn: Turn,
    pub(crate) lease: Lease,
}

/// What a start is for.
pub(crate) enum Purpose {
    /// The request that caused it.
    Request(Ticket),
    /// To wait, forked, for a request to come.
    Spare(Done),
    /// To become the version's template.
    Template(Done),
    /// To be idle, initialised, before a request comes.
    WarmUp(Expected),
    /// The same, because the policy wants it.
    Ahead,
    /// To serve, as one of those that are provisioned.
    Provisioned,
}

/// Dropped when a start off the path is over, whichever way, for those who wait for it.
pub(crate) type Done = Box<dyn Send>;

/// Names a waiting request; in order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(super) u64);

impl From<Ticket> for pilotlight_policy::Ticket {
    fn from(ticket: Ticket) -> Self {
        Self(ticket.0)
    }
}

impl From<pilotlight_policy::Ticket> for Ticket {
    fn from(ticket: pilotlight_policy::Ticket) -> Self {
        Self(ticket.0)
    }
}

/// What a waiting request gets.
pub(crate) enum Grant {
    /// This instance, for itself alone.
    Instance(Arc<Instance>, StartKind),
    /// Nothing.
    Refused(NodeError),
}

impl Purpose {
    /// What the started process is kept as, unless it serves.
    pub(super) fn rung(&self) -> Option<Rung> {
        match self {
            Purpose::Request(_) | Purpose::WarmUp(_) | Purpose::Ahead | Purpose::Provisioned => {
                None
            }
            Purpose::Spare(_) => Some(Rung::Spare),
            Purpose::Template(_) => Some(Rung::Template),
        }
    }

    /// Memory that the start takes, in MiB.
    pub(super) fn memory_mb(&self, spec: &FunctionSpec) -> u64 {
        match self {
            Purpose::Spare(_) => NEW_SPARE_MB.min(spec.memory_mb.into()),
            Purpose::Request(_)
            | Purpose::Template(_)
            | Purpose::WarmUp(_)
            | Purpose::Ahead
            | Purpose::Provisioned => spec.memory_mb.into(),
        }
    }
}
