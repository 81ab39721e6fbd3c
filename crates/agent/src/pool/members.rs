//! Members of the pool: every process whose room is taken, from its admission to its end.

use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::function::VersionKey;
use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::Instant;
use pilotlight_policy::VersionId;
use tokio::sync::Notify;

use super::effects::Effects;
use super::history::End;
use super::room::Room;
use super::sharing::flow_of;
use super::state::State;
use crate::instance::Instance;

pub(super) struct Member {
    /// Absent for what belongs to no version.
    pub(super) key: Option<VersionKey>,
    /// By which the policy knows its version; absent for what is out of the policy's hands.
    pub(super) number: Option<VersionId>,
    /// What the policy was told last that it does, as an instance.
    pub(super) told: Told,
    /// When its room was taken.
    pub(super) since: Instant,
    pub(super) memory_mb: u64,
    pub(super) phase: MemberPhase,
    /// Made to be one of those that are provisioned.
    pub(super) provisioned: bool,
    /// What it is kept as; absent for what serves.
    pub(super) rung: Option<Rung>,
    /// Memory of its own, and time that it saves, as measured.
    pub(super) bytes: u64,
    pub(super) saves: Duration,
    pub(super) last_used: Instant,
    /// When it was weighed as an idle instance, and whether it soon will be.
    pub(super) weighed: Option<Instant>,
    pub(super) is_weighed_soon: bool,
    /// Absent until the start order has been taken up.
    pub(super) occupant: Option<Occupant>,
}

/// What the policy knows of an instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Told {
    /// That it is none, or is no more.
    #[default]
    Nothing,
    Starting,
    Idle,
    Busy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberPhase {
    Starting,
    Idle,
    Busy,
    /// Kept for starts to come.
    Held,
    /// Told to stop; its room comes back when it is gone.
    Ending,
}

/// Who has a room, and can be told to leave it.
#[derive(Clone)]
pub(crate) enum Occupant {
    Instance(Arc<Instance>),
    Zygote(Arc<Notify>),
}

impl Occupant {
    pub(super) fn stop(&self) {
        match self {
            Occupant::Instance(instance) => instance.stop(),
            Occupant::Zygote(stop) => stop.notify_one(),
        }
    }
}

impl Member {
    pub(super) fn room(&self) -> Room {
        Room::of(self.rung, self.memory_mb)
    }

    /// Memory, in MiB, that is out of the policy's hands.
    fn apart_mb(&self) -> u64 {
        match self.number {
            Some(_) => 0,
            None => self.memory_mb,
        }
    }

    /// Memory, in MiB, of what serves requests on demand: that is shared out. What is provisioned is its owner's.
    fn shared_mb(&self) -> Option<u64> {
        let shared = self.rung.is_none() && !self.provisioned && self.phase != MemberPhase::Ending;
        shared.then_some(self.memory_mb)
    }
}

impl State {
    /// A new member, with its room.
    pub(super) fn enroll(
        &mut self,
        key: Option<VersionKey>,
        number: Option<VersionId>,
        memory_mb: u64,
        rung: Option<Rung>,
    ) -> InstanceId {
        self.last_instance += 1;
        let id = InstanceId(self.last_instance);
        if let Some(version) = key.as_ref().and_then(|key| self.versions.get_mut(key)) {
            version.members += 1;
        }
        let member = Member {
            key,
            number,
            told: Told::Nothing,
            since: self.now,
            memory_mb,
            phase: MemberPhase::Starting,
            provisioned: false,
            rung,
            bytes: 0,
            saves: Duration::ZERO,
            last_used: self.now,
            weighed: None,
            is_weighed_soon: false,
            occupant: None,
        };
        self.taken += member.room();
        self.apart_mb += member.apart_mb();
        self.share_out(&member, None);
        self.members.insert(id, member);
        id
    }

    /// The instance that a start order made. False if it is to end at once.
    pub(super) fn attach(&mut self, instance: &Arc<Instance>) -> bool {
        if let Some(member) = self.members.get_mut(&instance.id) {
            member.occupant = Some(Occupant::Instance(Arc::clone(instance)));
        }
        // It may have been deleted between the order and now, when there was no instance to tell.
        if self.is_retired(&instance.spec) {
            instance.retire();
        }
        let ending = |member: &Member| member.phase == MemberPhase::Ending;
        let ending = self.members.get(&instance.id).is_some_and(ending);
        !self.killing && !ending && !self.is_outdated(instance)
    }

    /// A member takes that much room from now on.
    pub(super) fn set_memory(&mut self, id: InstanceId, memory_mb: u64) {
        self.change(id, |member| member.memory_mb = memory_mb);
    }

    /// The member is one of those that are provisioned.
    pub(super) fn set_provisioned(&mut self, id: InstanceId) {
        self.change(id, |member| member.provisioned = true);
    }

    /// Changes a member, and with it what is summed up over all of them.
    fn change(&mut self, id: InstanceId, change: impl FnOnce(&mut Member)) {
        let Some(mut member) = self.members.remove(&id) else {
            return;
        };
        self.taken -= member.room();
        self.apart_mb -= member.apart_mb();
        let shared = member.shared_mb();
        change(&mut member);
        self.taken += member.room();
        self.apart_mb += member.apart_mb();
        self.share_out(&member, shared);
        self.members.insert(id, member);
    }

    /// A member has its share of what is shared out, and had `before`.
    fn share_out(&mut self, member: &Member, before: Option<u64>) {
        let after = member.shared_mb();
        let Some(key) = member.key.as_ref().filter(|_| after != before) else {
            return;
        };
        if let Some(memory_mb) = after {
            self.fair.holds(flow_of(key), self.share(memory_mb));
        }
        if let Some(memory_mb) = before {
            self.fair.lets_go(flow_of(key), self.share(memory_mb));
        }
    }

    /// What was to be kept serves instead.
    pub(super) fn adopt(&mut self, id: InstanceId) {
        self.change(id, |member| member.rung = None);
        self.tell_starting(id, None);
    }

    pub(super) fn set_busy(&mut self, instance: InstanceId) {
        if let Some(member) = self.members.get_mut(&instance)
            && member.phase != MemberPhase::Ending
        {
            member.phase = MemberPhase::Busy;
            if let Some(key) = &member.key {
                self.provisions.given(key, instance, self.now);
            }
            self.tell_busy(instance);
        }
    }

    pub(super) fn stop(&mut self, instance: &Arc<Instance>, effects: &mut Effects) {
        self.end_member(instance.id);
        effects.stop.push(Occupant::Instance(Arc::clone(instance)));
    }

    /// The member is on its way out.
    pub(super) fn end_member(&mut self, id: InstanceId) {
        self.tell_gone(id);
        self.tell_lost(id);
        self.change(id, |member| member.phase = MemberPhase::Ending);
    }

    /// The member's processes are gone.
    pub(super) fn gone(&mut self, instance: InstanceId) {
        let served = |member: &Member| matches!(member.told, Told::Idle | Told::Busy);
        if self.members.get(&instance).is_some_and(served) {
            self.note_end(instance, End::Itself);
        }
        self.tell_gone(instance);
        self.tell_lost(instance);
        self.change(instance, |member| member.phase = MemberPhase::Ending);
        let Some(member) = self.members.remove(&instance) else {
            return;
        };
        let now = self.now;
        self.taken -= member.room();
        self.apart_mb -= member.apart_mb();
        let Some(key) = member.key else {
            return;
        };
        self.provisions.gone(&key, instance, now);
        if let Some(version) = self.versions.get_mut(&key) {
            version.members -= 1;
            version.idle.retain(|idle| idle.id != instance);
            version.spares.retain(|spare| spare.id != instance);
        }
        self.forget_if_unused(&key);
    }
}
