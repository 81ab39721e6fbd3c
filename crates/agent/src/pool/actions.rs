//! What the policy wants done, done in the pool's books. What follows from it beyond them is an effect.

use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::Instant;
use pilotlight_policy::node::Action;

use super::effects::Effects;
use super::members::{MemberPhase, Occupant};
use super::room::Room;
use super::state::State;

impl State {
    /// Does what the policy has asked for since the last time. Returns the memory, in MiB, of what is told to
    /// end.
    pub(super) fn apply(&mut self, effects: &mut Effects) -> u64 {
        let mut freed_mb = 0;
        for action in self.mind.take_wanted() {
            match action {
                Action::Reclaim(instance) => freed_mb += self.reclaim(instance, effects),
            }
        }
        freed_mb
    }

    /// Ends an idle instance. One that is not idle is left alone, whatever the policy holds of it: a running
    /// request is never given up.
    fn reclaim(&mut self, id: InstanceId, effects: &mut Effects) -> u64 {
        let Some(member) = self.members.get_mut(&id) else {
            return 0;
        };
        let (MemberPhase::Idle, Some(Occupant::Instance(instance))) =
            (member.phase, member.occupant.clone())
        else {
            return 0;
        };
        let memory_mb = member.memory_mb;
        if let Some(version) = self.versions.get_mut(&instance.spec.key) {
            version.idle.retain(|idle| idle.id != id);
        }
        tracing::debug!(instance = %id, version = %instance.spec.key, "instance reclaimed");
        self.stop(&instance, effects);
        memory_mb
    }

    /// Gives up what is kept until there is that room, or nothing if that is not enough.
    pub(super) fn give_up(
        &mut self,
        now: Instant,
        lacks: Room,
        spared: Duration,
        effects: &mut Effects,
    ) {
        for id in self.to_give_up(now, lacks, spared) {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            member.phase = MemberPhase::Ending;
            effects.stop.extend(member.occupant.clone());
            effects.given_up.extend(member.rung);
            if let Some(version) = member.key.as_ref().and_then(|it| self.versions.get_mut(it)) {
                version.spares.retain(|spare| spare.id != id);
            }
            tracing::debug!(process = %id, "given up for want of room");
        }
    }
}
