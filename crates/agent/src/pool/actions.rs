//! What the policy wants done, done in the pool's books. What follows from it beyond them is an effect. What it
//! cannot know, the books do: that a request is running, a version retired, the node drained.

use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::Instant;
use pilotlight_policy::action::Because;
use pilotlight_policy::event::Shortage;
use pilotlight_policy::giving_up::{Holding, give_up};
use pilotlight_policy::{Action, Bytes, VersionId};

use super::effects::Effects;
use super::history::End;
use super::holdings::Background;
use super::members::{MemberPhase, Occupant, Told};
use super::orders::{Purpose, Ticket};
use super::room::Room;
use super::state::State;

/// How often in one decision the policy is heard on what comes of what it said before.
const ROUNDS: usize = 8;

impl State {
    /// Ends a decision: does what the policy says to it, and starts what may be started by that.
    pub(super) fn settle(&mut self, effects: &mut Effects) {
        self.tell_room();
        for _ in 0..ROUNDS {
            self.apply(effects);
            if std::mem::take(&mut effects.admit) {
                self.admit(self.now, effects);
            }
            if !self.mind.is_open() {
                return;
            }
        }
    }

    /// Does what the policy has asked for since the last time. Returns the room of what is told to end.
    pub(super) fn apply(&mut self, effects: &mut Effects) -> Room {
        let mut freed = Room::default();
        for action in self.mind.take_wanted() {
            match action {
                Action::Reclaim { instance, because } => {
                    freed += self.reclaim(instance, Some(because), effects);
                }
                // Every rung below is there without it.
                Action::Strip { instance, .. } => freed += self.reclaim(instance, None, effects),
                Action::Hold {
                    version,
                    rung,
                    because,
                    ..
                } => freed += self.stand(version, rung, because, effects),
                Action::PreStart {
                    version,
                    instances,
                    by,
                    ..
                } => self.want_ahead(version, instances, by, effects),
                Action::Start { ticket, .. } => {
                    effects.admit |= self.permit(Ticket(ticket.0));
                }
            }
        }
        freed
    }

    /// Ends an idle instance. One that is not idle is left alone, whatever the policy holds of it: a running
    /// request is never given up. The policy hears of it anew when it is idle.
    fn reclaim(&mut self, id: InstanceId, because: Option<Because>, effects: &mut Effects) -> Room {
        self.set_told(id, Told::Nothing);
        let Some(member) = self.members.get(&id) else {
            return Room::default();
        };
        let (MemberPhase::Idle, Some(Occupant::Instance(instance))) =
            (member.phase, member.occupant.clone())
        else {
            return Room::default();
        };
        let room = member.room();
        if let Some(version) = self.versions.get_mut(&instance.spec.key) {
            version.idle.retain(|idle| idle.id != id);
        }
        tracing::debug!(instance = %id, version = %instance.spec.key, ?because, "instance reclaimed");
        self.note_end(id, End::reclaimed(because));
        self.stop(&instance, effects);
        room
    }

    /// From now on a version stands on that rung while it serves nobody.
    fn stand(
        &mut self,
        version: VersionId,
        rung: Rung,
        because: Because,
        effects: &mut Effects,
    ) -> Room {
        let mut freed = Room::default();
        let Some(numbered) = self.mind.numbers.at_mut(version) else {
            return freed;
        };
        if rung >= Rung::Idle || self.draining {
            return freed;
        }
        numbered.stands = Some(rung);
        let spec = Arc::clone(&numbered.spec);
        let held = [
            (Rung::Spare, numbered.spare),
            (Rung::Template, numbered.template),
        ];
        for (of, id) in held {
            if let Some(id) = id.filter(|_| of > rung) {
                freed += self.let_go_of(id, effects);
                if because == Because::Pressure {
                    effects.given_up.push(of);
                }
            }
        }
        let above = |order: &Background| {
            order.spec.key == spec.key && order.purpose.rung().is_some_and(|of| of > rung)
        };
        let orders = std::mem::take(&mut self.background);
        let (dropped, kept): (Vec<_>, Vec<_>) = orders.into_iter().partition(above);
        self.background = kept.into();
        effects.dropped.extend(dropped);
        if rung >= Rung::Template {
            effects.raise.push((spec, rung));
        }
        freed
    }

    /// The policy wants instances to be ready by then.
    fn want_ahead(
        &mut self,
        version: VersionId,
        instances: u32,
        by: Instant,
        effects: &mut Effects,
    ) {
        let Some(numbered) = self.mind.numbers.at(version) else {
            return;
        };
        self.ahead.want(version, instances, by, numbered.start);
        self.start_ahead(effects);
    }

    /// Orders what is to be started ahead by now.
    pub(super) fn start_ahead(&mut self, effects: &mut Effects) {
        while let Some((version, instances)) = self.ahead.pop(self.now) {
            let Some(numbered) = self.mind.numbers.at(version) else {
                continue;
            };
            let spec = Arc::clone(&numbered.spec);
            for _ in 0..instances.min(self.limits.node_instances) {
                let order = Background {
                    spec: Arc::clone(&spec),
                    purpose: Purpose::Ahead,
                };
                self.order(order, effects);
            }
            effects.admit = true;
        }
    }

    /// Gives up what is kept until there is that room, or nothing if that is not enough. What was used within
    /// the time `spared` stays.
    pub(super) fn give_up(
        &mut self,
        now: Instant,
        lacks: Room,
        spared: Duration,
        effects: &mut Effects,
    ) {
        let shortage = Shortage {
            memory: Bytes::mib(lacks.memory_mb),
            instances: u32::try_from(lacks.held).unwrap_or(u32::MAX),
        };
        for id in give_up(now, &self.holdings(), shortage, spared) {
            let rung = self.members.get(&id).and_then(|member| member.rung);
            effects.given_up.extend(rung);
            self.let_go_of(id, effects);
            tracing::debug!(process = %id, "given up for want of room");
        }
    }

    /// Ends what is kept.
    fn let_go_of(&mut self, id: InstanceId, effects: &mut Effects) -> Room {
        let Some(member) = self.members.get(&id) else {
            return Room::default();
        };
        let (room, key) = (member.room(), member.key.clone());
        effects.stop.extend(member.occupant.clone());
        self.end_member(id);
        if let Some(version) = key.and_then(|key| self.versions.get_mut(&key)) {
            version.spares.retain(|spare| spare.id != id);
        }
        room
    }

    fn holdings(&self) -> Vec<Holding> {
        let members = self.members.iter();
        let held = members.filter(|(_, member)| member.phase == MemberPhase::Held);
        held.filter_map(|(&instance, member)| {
            let version = member.key.as_ref().and_then(|it| self.versions.get(it));
            let used = version.map_or(Instant(0), |version| version.last_used);
            Some(Holding {
                instance,
                rung: member.rung?,
                memory: Bytes::mib(member.memory_mb),
                saves: member.saves,
                last_used: used.max(member.last_used),
            })
        })
        .collect()
    }
}
