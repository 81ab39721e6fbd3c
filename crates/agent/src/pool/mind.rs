//! The node's policy, as the pool drives it: the one place where what happens in the pool is put in the
//! policy's terms. What the policy wants done is kept here until [`State::apply`] does it.

use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::Instant;
use pilotlight_policy::node::ladder::{Holding, give_up};
use pilotlight_policy::node::{Action, Event, Idle, KeepAlive, Policy, Shortage};

use super::members::MemberPhase;
use super::room::Room;
use super::state::State;

pub(super) struct Mind {
    policy: KeepAlive,
    /// Said by the policy, and not done yet.
    wanted: Vec<Action>,
    /// When the clock rings that the policy is woken by.
    rings_at: Option<Instant>,
}

impl Mind {
    pub(super) fn new() -> Self {
        Self {
            policy: KeepAlive::new(),
            wanted: Vec::new(),
            rings_at: None,
        }
    }

    /// An instance has nothing to do from now on. Its function wants it kept for that long.
    pub(super) fn idle(
        &mut self,
        now: Instant,
        instance: InstanceId,
        memory_mb: u64,
        keep_alive: Duration,
    ) {
        let idle = Idle {
            instance,
            memory_mb,
            keep_alive,
        };
        self.observe(now, Event::Idle(idle));
    }

    /// An idle instance is given a request, or is taken for something else.
    pub(super) fn busy(&mut self, now: Instant, instance: InstanceId) {
        self.observe(now, Event::Busy(instance));
    }

    /// An instance is no more, or is told to end.
    pub(super) fn gone(&mut self, now: Instant, instance: InstanceId) {
        self.observe(now, Event::Gone(instance));
    }

    /// A start needs room that the node lacks, and that idle instances may have.
    pub(super) fn lacks_room(&mut self, now: Instant, lacks: Room) {
        let shortage = Shortage {
            memory_mb: lacks.memory_mb,
            instances: lacks.instances,
        };
        self.observe(now, Event::Pressure(shortage));
    }

    /// The clock has rung, or may have: it is set anew.
    pub(super) fn tick(&mut self, now: Instant) {
        self.observe(now, Event::Tick);
        self.rings_at = self.policy.wake_at();
    }

    /// When the clock rings.
    pub(super) fn rings_at(&self) -> Option<Instant> {
        self.rings_at
    }

    /// Sets the clock to when the policy wants to be woken, where that is earlier; whether it was.
    pub(super) fn set_clock(&mut self) -> bool {
        let wake_at = self.policy.wake_at();
        let earlier = match (wake_at, self.rings_at) {
            (Some(wake_at), Some(rings_at)) => wake_at < rings_at,
            (wake_at, rings_at) => wake_at.is_some() && rings_at.is_none(),
        };
        if earlier {
            self.rings_at = wake_at;
        }
        earlier
    }

    /// What the policy wants done, which whoever takes it does.
    pub(super) fn take_wanted(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.wanted)
    }

    fn observe(&mut self, now: Instant, event: Event) {
        self.wanted.extend(self.policy.observe(now, event));
    }
}

impl State {
    /// What of all that is kept for starts to come the policy gives up for that room: nothing where that is
    /// not enough. What was used within the time `spared` stays.
    pub(super) fn to_give_up(
        &self,
        now: Instant,
        lacks: Room,
        spared: Duration,
    ) -> Vec<InstanceId> {
        let shortage = Shortage {
            memory_mb: lacks.memory_mb,
            instances: lacks.held,
        };
        give_up(now, &self.holdings(), shortage, spared)
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
                memory_mb: member.memory_mb,
                saves: member.saves,
                last_used: used.max(member.last_used),
            })
        })
        .collect()
    }
}
