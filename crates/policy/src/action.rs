//! What a policy wants done. Whoever drives it does it when it can; what it cannot do it leaves, and no
//! event says that it happened.

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::Instant;
use serde::{Deserialize, Serialize};

use crate::{NodeId, Ticket, VersionId};

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// End this idle instance. The policy counts it as gone from here on.
    Reclaim {
        /// The instance.
        instance: InstanceId,
        /// Why.
        because: Because,
    },
    /// Keep of this idle instance no more than that rung: [`Rung::Zygote`] for its runtime without user
    /// code. A node whose ladder has that rung already ends the instance.
    Strip {
        /// The instance.
        instance: InstanceId,
        /// What stays.
        rung: Rung,
    },
    /// From now on a version stands on that rung of a node for as long as no request lifts it higher:
    /// [`Rung::Cached`], [`Rung::Zygote`], [`Rung::Template`] or [`Rung::Spare`]. What it has above that
    /// is given up, idle instances apart; what it lacks up to that is made.
    Hold {
        /// Whose.
        version: VersionId,
        /// Where.
        node: NodeId,
        /// The rung.
        rung: Rung,
        /// Why.
        because: Because,
    },
    /// Start instances that no request waits for.
    PreStart {
        /// Of that version.
        version: VersionId,
        /// There.
        node: NodeId,
        /// So many.
        instances: u32,
        /// By then they should be ready.
        by: Instant,
        /// Why.
        because: Because,
    },
    /// Make a start for this request, on that node.
    Start {
        /// The request.
        ticket: Ticket,
        /// Where.
        node: NodeId,
    },
}

/// Why something is done, for people to see.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// Its time is over.
    Expired,
    /// Its room is needed.
    Pressure,
    /// Its memory saves more elsewhere.
    Worth,
    /// A request is expected.
    Forecast(Forecast),
}

/// An expected request.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// What says so.
    pub by: Source,
    /// The probability that a request comes in that time, from 0 to 1.
    pub confidence: f32,
    /// Not before.
    pub from: Instant,
    /// Not after.
    pub until: Instant,
}

/// Where a forecast comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The distribution of the times between requests.
    Gaps,
    /// A period and its phase.
    Period,
    /// A version that runs now, and calls this one.
    Call(VersionId),
    /// An alias that shifts requests from that version.
    Shift(VersionId),
    /// A schedule or a user.
    Announced,
}
