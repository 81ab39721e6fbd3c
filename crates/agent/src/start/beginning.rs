//! What a start of an instance is for, and what follows from that.

use std::time::Duration;

use pilotlight_model::limits;

use crate::environment::Initialization;
use crate::pool::Ticket;

/// What a start is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum For {
    Request(Ticket),
    Spare,
    WarmUp,
    Provision,
}

impl For {
    /// The request that waits for it, if one does.
    pub(super) fn ticket(self) -> Option<Ticket> {
        match self {
            For::Request(ticket) => Some(ticket),
            For::Spare | For::WarmUp | For::Provision => None,
        }
    }

    /// Whether anything but a fork of the template will do.
    pub(super) fn pays_init(self) -> bool {
        !matches!(self, For::Spare)
    }

    /// How long its init may take before it is given up.
    pub(super) fn init_limit(self, timeout: Duration) -> Duration {
        match self {
            For::Request(_) | For::Spare | For::WarmUp => limits::INIT,
            For::Provision => limits::PROVISIONED_INIT.max(timeout),
        }
    }

    pub(super) fn initialization(self) -> Initialization {
        match self {
            For::Request(_) | For::Spare | For::WarmUp => Initialization::OnDemand,
            For::Provision => Initialization::Provisioned,
        }
    }
}
