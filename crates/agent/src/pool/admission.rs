//! Who may start an instance: turns in order of arrival, within the node's limits.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use pilotlight_model::function::FunctionSpec;
use pilotlight_model::ids::InstanceId;
use pilotlight_model::node::NodeError;
use pilotlight_model::start::{Instant, StartKind};

use super::effects::Effects;
use super::holdings::{Background, takes_spare};
use super::orders::Purpose;
use super::room::Room;
use super::state::State;

/// A new template does not take the room of what was used within this time: two versions that do not fit
/// beside each other would make each other's for ever.
const SPARED: Duration = Duration::from_secs(60);

/// A start that may begin.
pub(super) struct Admitted {
    pub(super) instance: InstanceId,
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) purpose: Purpose,
    pub(super) cheapest: StartKind,
    pub(super) finishing: Arc<AtomicU32>,
    pub(super) at: Instant,
}

impl State {
    /// Admits what may start now: requests first, then what nobody waits for.
    pub(super) fn admit(&mut self, now: Instant, effects: &mut Effects) {
        self.admit_requests(now, effects);
        if self.starts_wanted.is_empty() && !self.draining {
            self.admit_provisions(now, effects);
            self.admit_background(now, effects);
        }
    }

    /// Starts off the path have half of the turns, so that requests always find one soon.
    pub(super) fn has_background_turn(&self) -> bool {
        let turns = self.limits.concurrent_starts.max(1);
        self.starting < turns && self.starting_background < turns.div_ceil(2)
    }

    /// Admits starts in order of arrival until one has to wait. Nobody overtakes: a large function
    /// would otherwise wait for ever behind a stream of small ones.
    fn admit_requests(&mut self, now: Instant, effects: &mut Effects) {
        while let Some(&ticket) = self.starts_wanted.first() {
            let Some(waiting) = self.waiting.get(&ticket) else {
                self.starts_wanted.remove(&ticket);
                continue;
            };
            if waiting.sender.is_closed() {
                self.take_waiting(ticket);
                continue;
            }
            let cold = waiting.cold;
            let request = Arc::clone(&waiting.spec);
            let spec = Arc::clone(&self.version(&request).spec);
            if u64::from(spec.memory_mb) > self.capacity_mb {
                // Its memory was raised while it waited; it can never start here.
                if let Some(waiting) = self.take_waiting(ticket) {
                    effects.refuse.push((waiting.sender, NodeError::Overloaded));
                }
                continue;
            }
            // A spare needs room, but no turn.
            if takes_spare(cold)
                && let Some(memory_mb) = self.spare_lacks(&spec.key)
            {
                if !self.has_room(now, Room::instance(memory_mb), Duration::ZERO, effects) {
                    return;
                }
                self.grant_spare(ticket, &spec.key, effects);
                continue;
            }
            if self.starting >= self.limits.concurrent_starts.max(1)
                || !self.has_room(
                    now,
                    Room::instance(spec.memory_mb.into()),
                    Duration::ZERO,
                    effects,
                )
            {
                return;
            }
            self.starts_wanted.remove(&ticket);
            let cheapest = cold.map_or(StartKind::Spare, |cold| cold.cheapest());
            let admitted = self.promise(now, Purpose::Request(ticket), spec, cheapest);
            effects.start.push(admitted);
        }
    }

    /// A spare or an instance that finds no room is not made; a template waits for room.
    fn admit_background(&mut self, now: Instant, effects: &mut Effects) {
        let (mut orders, mut waiting) = (std::mem::take(&mut self.background), Vec::new());
        while self.has_background_turn()
            && let Some(order) = orders.pop_front()
        {
            let need = order.need();
            let template = matches!(order.purpose, Purpose::Template(_));
            if self.fits(need) {
                let Background { spec, purpose } = order;
                let admitted = self.promise(now, purpose, spec, StartKind::Spare);
                effects.start.push(admitted);
            } else if !template {
                effects.dropped.push(order);
            } else {
                // One at a time makes room.
                if waiting.is_empty() {
                    self.has_room(now, need, SPARED, effects);
                }
                waiting.push(order);
            }
        }
        for order in waiting.into_iter().rev() {
            orders.push_front(order);
        }
        // The policy may have ordered more.
        orders.append(&mut self.background);
        self.background = orders;
    }

    pub(super) fn turn_over(&mut self, background: bool) {
        self.starting -= 1;
        self.starting_background -= u32::from(background);
    }

    pub(super) fn promise(
        &mut self,
        now: Instant,
        purpose: Purpose,
        spec: Arc<FunctionSpec>,
        cheapest: StartKind,
    ) -> Admitted {
        self.starting += 1;
        self.starting_background += u32::from(!matches!(purpose, Purpose::Request(_)));
        let memory_mb = purpose.memory_mb(&spec);
        let finishing = Arc::clone(&self.version(&spec).finishing);
        let rung = purpose.rung();
        let number = match purpose {
            Purpose::Provisioned => None,
            _ => self.number(&spec),
        };
        let instance = self.enroll(Some(spec.key.clone()), number, memory_mb, rung);
        match (&purpose, self.members.get_mut(&instance)) {
            (Purpose::Provisioned, Some(member)) => member.provisioned = true,
            (Purpose::Request(ticket), _) => self.tell_starting(instance, Some(*ticket)),
            _ if rung.is_none() => self.tell_starting(instance, None),
            _ => {}
        }
        Admitted {
            instance,
            spec,
            purpose,
            cheapest,
            finishing,
            at: now,
        }
    }
}
