//! Who may start an instance: turns in fair order, within the node's limits.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use pilotlight_model::function::FunctionSpec;
use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::{Instant, StartKind};

use super::effects::Effects;
use super::holdings::Background;
use super::orders::Purpose;
use super::room::Wanted;
use super::sharing::flow_of;
use super::state::State;

/// While requests wait for a turn, one start off the path is made after so many for them.
const BETWEEN: u32 = 8;

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
        if !self.fair.is_empty() {
            // What is provisioned was promised: requests wait for it, as far as they do not have to for long.
            self.admit_provisions(now, effects);
            if self.has_background_turn() && !self.is_short() {
                self.admit_background(now, effects);
            }
        }
        self.admit_requests(now, effects);
        if self.fair.is_empty() {
            self.admit_provisions(now, effects);
            self.admit_background(now, effects);
        }
    }

    /// Starts off the path have half of the turns, so that requests always find one soon. While requests wait for
    /// theirs, one in [`BETWEEN`] is such a start: what is kept for starts to come is made in the end.
    pub(super) fn has_background_turn(&self) -> bool {
        let turns = self.at_once.get();
        let may_begin = match self.fair.is_empty() {
            true => self.starting_background < turns.div_ceil(2),
            false => self.started_since >= BETWEEN,
        };
        self.starting < turns && may_begin
    }

    /// What is provisioned has those turns, and one at a time in any case, if that is not the only one.
    pub(super) fn has_provision_turn(&self) -> bool {
        let turns = self.at_once.get();
        self.has_background_turn()
            || (turns > 1 && self.starting < turns && self.starting_background == 0)
    }

    /// Admits starts in fair order until one has to wait. Nobody overtakes: a large function would otherwise wait
    /// for ever behind a stream of small ones.
    fn admit_requests(&mut self, now: Instant, effects: &mut Effects) {
        while let Some(next) = self.next_wanted(effects) {
            // A spare needs room, but no turn.
            if !next.spare && self.starting >= self.at_once.get()
                || !self.has_room(now, next.need, Wanted::Start, effects)
            {
                return;
            }
            if next.spare {
                self.grant_spare(next.ticket, &next.spec.key, effects);
                continue;
            }
            let takes = self.start_takes(&next.spec.key);
            let flow = flow_of(&next.spec.key);
            self.fair.take(flow, next.ticket.into(), takes);
            let cheapest = next.cold.map_or(StartKind::Spare, |cold| cold.cheapest());
            let purpose = Purpose::Request(next.ticket);
            let admitted = self.promise(now, purpose, next.spec, cheapest);
            effects.start.push(admitted);
        }
    }

    /// A spare or an instance that finds no room is not made; a template waits for room.
    fn admit_background(&mut self, now: Instant, effects: &mut Effects) {
        if self.draining {
            return;
        }
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
                // One at a time makes room, and no request waits for it.
                if waiting.is_empty() && self.fair.is_empty() {
                    let number = self.number(&order.spec);
                    self.has_room(now, need, Wanted::Template(number), effects);
                }
                // The policy may want none for what it would cost.
                match self.stands_below(&order) {
                    true => effects.dropped.push(order),
                    false => waiting.push(order),
                }
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
        let background = !matches!(purpose, Purpose::Request(_));
        self.starting_background += u32::from(background);
        self.started_since = match background {
            true => 0,
            false => self.started_since.saturating_add(1),
        };
        let memory_mb = purpose.memory_mb(&spec);
        let finishing = Arc::clone(&self.version(&spec).finishing);
        let rung = purpose.rung();
        let number = match purpose {
            Purpose::Provisioned => None,
            _ => self.number(&spec),
        };
        let instance = self.enroll(Some(spec.key.clone()), number, memory_mb, rung);
        if let Some(number) = number.filter(|_| rung.is_none()) {
            self.unsettle(number);
        }
        match &purpose {
            Purpose::Provisioned => self.set_provisioned(instance),
            Purpose::Request(ticket) => self.tell_starting(instance, Some(*ticket)),
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
