//! Who may start an instance: turns in order of arrival, within the node's limits, with room made by
//! reclaiming idle instances.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use pilotlight_model::function::FunctionSpec;
use pilotlight_model::ids::InstanceId;
use pilotlight_model::node::NodeError;
use pilotlight_model::start::Instant;
use pilotlight_policy::{Event, Policy, Shortage};

use super::Ticket;
use super::state::{Effects, Member, MemberPhase, State};

/// A start that may begin.
pub(super) struct Admitted {
    pub(super) instance: InstanceId,
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) ticket: Ticket,
    pub(super) finishing: Arc<AtomicU32>,
    pub(super) at: Instant,
}

impl State {
    /// Admits starts in order of arrival until one has to wait. Nobody overtakes: a large function
    /// would otherwise wait for ever behind a stream of small ones.
    pub(super) fn admit(&mut self, now: Instant, effects: &mut Effects) {
        while let Some(&ticket) = self.starts_wanted.first() {
            let Some(waiting) = self.waiting.get(&ticket) else {
                self.starts_wanted.remove(&ticket);
                continue;
            };
            if waiting.sender.is_closed() {
                self.take_waiting(ticket);
                continue;
            }
            let request = Arc::clone(&waiting.spec);
            let spec = Arc::clone(&self.version(&request).spec);
            if u64::from(spec.memory_mb) > self.capacity_mb {
                // Its memory was raised while it waited; it can never start here.
                if let Some(waiting) = self.take_waiting(ticket) {
                    effects.refuse.push((waiting.sender, NodeError::Overloaded));
                }
                continue;
            }
            if self.starting >= self.limits.concurrent_starts.max(1)
                || !self.has_room(now, u64::from(spec.memory_mb), effects)
            {
                return;
            }
            self.starts_wanted.remove(&ticket);
            let admitted = self.promise(now, ticket, spec);
            effects.start.push(admitted);
        }
    }

    /// Whether an instance of that size fits now. If not, and idle instances could make room, they are
    /// reclaimed, and the start is admitted when they are gone.
    fn has_room(&mut self, now: Instant, memory_mb: u64, effects: &mut Effects) -> bool {
        let instances = self.members.len() as u64 + 1;
        let limit = u64::from(self.limits.node_instances.max(1));
        if self.promised_mb + memory_mb <= self.capacity_mb && instances <= limit {
            return true;
        }
        let (ending, ending_mb) = self.ending();
        let shortage = Shortage {
            memory_mb: (self.promised_mb + memory_mb).saturating_sub(self.capacity_mb + ending_mb),
            instances: instances.saturating_sub(limit + ending),
        };
        if shortage != Shortage::default() {
            let actions = self.policy.observe(now, Event::Pressure(shortage));
            self.act(actions, effects);
        }
        false
    }

    /// Instances on their way out, and the memory that they will give back.
    fn ending(&self) -> (u64, u64) {
        self.members
            .values()
            .filter(|member| member.phase == MemberPhase::Ending)
            .fold((0, 0), |(count, mb), member| {
                (count + 1, mb + member.memory_mb)
            })
    }

    fn promise(&mut self, now: Instant, ticket: Ticket, spec: Arc<FunctionSpec>) -> Admitted {
        self.last_instance += 1;
        let instance = InstanceId(self.last_instance);
        let memory_mb = u64::from(spec.memory_mb);
        self.promised_mb += memory_mb;
        self.starting += 1;
        self.members.insert(
            instance,
            Member {
                key: spec.key.clone(),
                memory_mb,
                phase: MemberPhase::Starting,
                instance: None,
            },
        );
        let version = self.version(&spec);
        version.members += 1;
        let finishing = Arc::clone(&version.finishing);
        Admitted {
            instance,
            spec,
            ticket,
            finishing,
            at: now,
        }
    }
}
