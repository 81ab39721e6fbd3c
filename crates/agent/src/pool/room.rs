//! The node's room: what its members take of it, what a start needs, and how room is made.

use std::ops::{AddAssign, SubAssign};
use std::time::Duration;

use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::Instant;
use pilotlight_policy::VersionId;

use super::effects::Effects;
use super::members::{Member, MemberPhase};
use super::orders::Purpose;
use super::state::State;

/// What of a node cannot be provisioned: one part of so many. Requests on demand, of all accounts, always have that.
const ON_DEMAND: u64 = 10;

/// A new template does not take the room of what was used within this time, unless the policy says so: two versions
/// that do not fit beside each other would make each other's for ever.
const SPARED: Duration = Duration::from_secs(60);

/// What room is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A start.
    Start,
    /// A template, which nobody waits for, and the number of its version, where the policy has a say in it.
    Template(Option<VersionId>),
}

impl Wanted {
    fn template(self) -> Option<VersionId> {
        match self {
            Wanted::Start => None,
            Wanted::Template(number) => number,
        }
    }

    fn spares(self) -> Duration {
        match self {
            Wanted::Start => Duration::ZERO,
            Wanted::Template(_) => SPARED,
        }
    }
}

/// An amount of room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) memory_mb: u64,
    /// Places of those that serve requests, or will.
    pub(super) instances: u64,
    /// Places of those that are kept for starts of a version to come.
    pub(super) held: u64,
}

impl Room {
    /// Of one more instance.
    pub(super) fn instance(memory_mb: u64) -> Self {
        Self::of(None, memory_mb)
    }

    /// Of what is kept as that rung, or serves.
    pub(super) fn of(rung: Option<Rung>, memory_mb: u64) -> Self {
        let (instances, held) = match rung {
            // There is one for each runtime, and that is bound enough.
            Some(Rung::Zygote) => (0, 0),
            Some(_) => (0, 1),
            None => (1, 0),
        };
        Self {
            memory_mb,
            instances,
            held,
        }
    }
}

impl AddAssign for Room {
    fn add_assign(&mut self, other: Self) {
        self.memory_mb += other.memory_mb;
        self.instances += other.instances;
        self.held += other.held;
    }
}

impl SubAssign for Room {
    fn sub_assign(&mut self, other: Self) {
        self.memory_mb -= other.memory_mb;
        self.instances -= other.instances;
        self.held -= other.held;
    }
}

impl State {
    pub(super) fn fits(&self, need: Room) -> bool {
        self.fits_without(Room::default(), need)
    }

    /// Whether that fits when so much has gone.
    pub(super) fn fits_without(&self, gone: Room, need: Room) -> bool {
        let limit = self.places();
        self.taken.memory_mb + need.memory_mb <= self.capacity_mb + gone.memory_mb
            && self.taken.instances + need.instances <= limit + gone.instances
            && self.taken.held + need.held <= limit + gone.held
    }

    /// Whether that fits now. If not, and idle instances or what is kept could make room, they are
    /// reclaimed, and the start is admitted when they are gone. What is kept and was used within the time
    /// that `wanted` spares stays.
    pub(super) fn has_room(
        &mut self,
        now: Instant,
        need: Room,
        wanted: Wanted,
        effects: &mut Effects,
    ) -> bool {
        if self.fits(need) {
            return true;
        }
        let (ending, limit) = (self.ending(), self.places());
        let mut lacks = Room {
            memory_mb: (self.taken.memory_mb + need.memory_mb)
                .saturating_sub(self.capacity_mb + ending.memory_mb),
            instances: (self.taken.instances + need.instances)
                .saturating_sub(limit + ending.instances),
            held: (self.taken.held + need.held).saturating_sub(limit + ending.held),
        };
        // Idle instances first: for what they are promised they save the least.
        if lacks.memory_mb > 0 || lacks.instances > 0 {
            self.tell_pressure(lacks, wanted.template());
            let freed = self.apply(effects);
            if wanted
                .template()
                .is_some_and(|it| self.wants_less(it, Rung::Template))
            {
                return false;
            }
            lacks.memory_mb = lacks.memory_mb.saturating_sub(freed.memory_mb);
            lacks.held = lacks.held.saturating_sub(freed.held);
        }
        if lacks.memory_mb > 0 || lacks.held > 0 {
            self.give_up(now, lacks, wanted.spares(), effects);
        }
        false
    }

    /// Whether a template of that version and a spare have room, with nothing given up.
    pub(super) fn has_room_to_hold(&self, spec: &FunctionSpec) -> bool {
        // While its init runs, a template takes all that its function may use.
        self.fits(Room {
            memory_mb: spec.memory_mb.into(),
            held: 2,
            instances: 0,
        })
    }

    /// Whether a template of that version has been ordered, and finds no room even when what ends has gone. While it
    /// waits for its turn, what could give way to it has not been asked yet.
    pub(super) fn is_short_of_room(&self, key: &VersionKey) -> bool {
        let ordered = self
            .background
            .iter()
            .find(|order| matches!(order.purpose, Purpose::Template(_)) && order.spec.key == *key);
        let in_turn = ordered.filter(|_| self.has_background_turn());
        in_turn.is_some_and(|order| !self.fits_without(self.ending(), order.need()))
    }

    /// Whether the version has a spare, and room for it to run.
    pub(super) fn has_room_for_spare(&self, key: &VersionKey) -> bool {
        let lacks = self.spare_lacks(key);
        lacks.is_some_and(|memory_mb| self.fits(Room::instance(memory_mb)))
    }

    /// Memory that the version's spare needs beyond what it has, to run.
    pub(super) fn spare_lacks(&self, key: &VersionKey) -> Option<u64> {
        let spare = self.versions.get(key)?.spares.last()?;
        let member = self.members.get(&spare.id)?;
        Some(u64::from(spare.spec.memory_mb).saturating_sub(member.memory_mb))
    }

    /// Whether that would fit if all went that can be reclaimed, and leave something to requests on demand.
    pub(super) fn can_be_provisioned(&self, need: Room) -> bool {
        let limit = self.places();
        let mut stays = need;
        for member in self.members.values() {
            if member.stays() {
                stays += member.room();
            }
        }
        self.may_be_provisioned(need)
            && stays.memory_mb <= self.capacity_mb
            && stays.instances <= limit
    }

    /// Whether that would leave something to requests on demand.
    pub(super) fn may_be_provisioned(&self, need: Room) -> bool {
        let limit = self.places();
        let mut provisioned = need;
        for member in self.members.values() {
            if member.provisioned && member.phase != MemberPhase::Ending {
                provisioned += member.room();
            }
        }
        provisioned.memory_mb <= self.capacity_mb - self.capacity_mb / ON_DEMAND
            && provisioned.instances <= limit - limit / ON_DEMAND
    }

    /// Places that the node has for instances, and as many for what is kept.
    fn places(&self) -> u64 {
        self.limits.node_instances.max(1).into()
    }

    /// The room of what is on its way out.
    pub(super) fn ending(&self) -> Room {
        let mut sum = Room::default();
        for member in self.members.values() {
            if member.phase == MemberPhase::Ending {
                sum += member.room();
            }
        }
        sum
    }
}

impl Member {
    /// Whether no want of room ends it.
    fn stays(&self) -> bool {
        match self.phase {
            MemberPhase::Starting | MemberPhase::Busy => true,
            MemberPhase::Held | MemberPhase::Ending => false,
            MemberPhase::Idle => self.provisioned,
        }
    }
}
