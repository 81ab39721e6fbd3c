//! What idle instances take of memory: weighed now and then, off the path, for policies that reckon with it. What an
//! instance may use is all that is known of it before.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_policy::Bytes;

use super::Pool;
use super::holdings::SANDBOX_MB;
use super::members::{MemberPhase, Occupant, Told};
use super::state::State;
use crate::instance::Instance;

/// Between two rounds.
const EVERY: Duration = Duration::from_secs(2);
/// Instances weighed in one round. Each takes as long as the kernel looks through its page tables: about a millisecond
/// for 100 MB.
const AT_ONCE: usize = 32;
/// No instance is weighed again sooner.
const AGAIN: Duration = Duration::from_secs(60);

impl Pool {
    /// Weighs idle instances; never ends by itself, or at once where nobody asks.
    pub(crate) async fn keep_weights(self: Arc<Self>) {
        if !self.lock().mind.weighs() {
            return;
        }
        loop {
            tokio::time::sleep(EVERY).await;
            let instances = self.lock().take_unweighed();
            for instance in instances {
                let weighed = Arc::clone(&instance);
                let weigh = move || weighed.process().map(|process| process.private_bytes());
                if let Ok(Some(bytes)) = tokio::task::spawn_blocking(weigh).await {
                    self.decide(|state, _| state.tell_measured(instance.id, bytes));
                }
            }
        }
    }
}

impl State {
    /// An instance is idle, and is weighed soon unless it was of late.
    pub(super) fn weigh_soon(&mut self, id: InstanceId) {
        if !self.mind.weighs() {
            return;
        }
        let now = self.now;
        if let Some(member) = self.members.get_mut(&id)
            && !std::mem::replace(&mut member.is_weighed_soon, true)
        {
            match member.weighed {
                Some(at) if now.since(at) < AGAIN => member.is_weighed_soon = false,
                _ => self.unweighed.push_back(id),
            }
        }
    }

    /// The next that are idle still.
    fn take_unweighed(&mut self) -> Vec<Arc<Instance>> {
        let now = self.now;
        let mut taken = Vec::new();
        while taken.len() < AT_ONCE
            && let Some(id) = self.unweighed.pop_front()
        {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            member.is_weighed_soon = false;
            if let (MemberPhase::Idle, Some(Occupant::Instance(instance))) =
                (member.phase, &member.occupant)
            {
                member.weighed = Some(now);
                taken.push(Arc::clone(instance));
            }
        }
        taken
    }

    /// An instance has been weighed. One that has a request meanwhile may have taken more for that.
    fn tell_measured(&mut self, id: InstanceId, bytes: u64) {
        let idle = |told: Told| told == Told::Idle;
        if self
            .members
            .get(&id)
            .is_some_and(|member| idle(member.told))
        {
            self.tell_weight(id, Bytes(bytes + (SANDBOX_MB << 20)));
        }
    }
}

/// Instances that are to be weighed, each once.
pub(super) type Unweighed = VecDeque<InstanceId>;
