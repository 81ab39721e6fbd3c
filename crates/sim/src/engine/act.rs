//! What a policy orders, done.

use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Instant, StartKind};
use pilotlight_policy::action::Because;
use pilotlight_policy::event::{Held, Shortage};
use pilotlight_policy::{Action, Bytes, Event, NodeId, VersionId};

use super::facts::class_of;
use super::forecasts::source;
use super::own::SPARED;
use super::seat::{Holding, Part};
use super::{PreStart, Timer, World};
use crate::draw::Stream;
use crate::options::Ladder;

/// The share of a start's distribution by which one that is to be ready in time begins earlier.
const IN_TIME: f64 = 0.99;
/// Instances that one order starts ahead at most.
const MAX_AHEAD: u32 = 10_000;

impl World<'_> {
    /// Does one thing. What makes no sense (an instance that is not idle, a node that is not there) is left,
    /// as it is on a node.
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Reclaim { instance, .. } => self.reclaim(instance),
            Action::Strip { instance, rung } => self.strip(instance, rung),
            Action::Hold {
                version,
                node,
                rung,
                because,
            } if self.seats.exists(version, node) => self.hold(version, node, rung, because),
            Action::PreStart {
                version,
                node,
                instances,
                by,
                because,
            } if self.seats.exists(version, node) => {
                self.forecasts.made(self.now, version, because);
                let forecast = source(because);
                let order = PreStart {
                    version,
                    node,
                    instances,
                    forecast,
                };
                self.order(order, by);
            }
            Action::Hold { .. } | Action::PreStart { .. } => self.tally.ignored += 1,
            Action::Start { ticket, node } => {
                self.start_waiting(ticket, node);
            }
        }
    }

    /// An idle instance ends by itself.
    pub(super) fn end(&mut self, id: InstanceId) {
        self.reclaim(id);
        self.queue.push_back(Event::Gone(id));
    }

    fn reclaim(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get(id).filter(|it| it.part == Part::Idle) else {
            self.tally.ignored += 1;
            return;
        };
        self.instances.remove(id);
        self.forecasts.unused(
            instance.forecast,
            instance.version,
            instance.began,
            self.now,
            instance.weighs,
        );
        self.change_seat(instance.version, instance.node, |seat| {
            seat.remove(instance.kind, Part::Idle);
            // Mostly the one that has been idle longest.
            if let Some(place) = seat.idle.iter().position(|it| *it == id) {
                seat.idle.remove(place);
            }
        });
    }

    /// Where nodes have the zygote of its runtime, nothing of an instance is kept; where they have none of their
    /// own, the version holds one from here on.
    fn strip(&mut self, id: InstanceId, rung: Rung) {
        let instance = self.instances.get(id).filter(|it| it.part == Part::Idle);
        self.reclaim(id);
        if let Some(instance) = instance
            && rung >= Rung::Zygote
        {
            self.hold_zygote(instance.version, instance.node);
        }
    }

    fn hold_zygote(&mut self, version: VersionId, node: NodeId) {
        if self.options.zygotes {
            return;
        }
        let class = self.facts.of(version).class;
        let costs = class_of(self.facts.profile(), class);
        let mb = costs.memory.zygote_mb;
        if self.zygotes.hold(self.now, node, class, mb, version) {
            let ms = costs.start_ms.booted.p50;
            self.queue.push_back(Event::Held(Held {
                version,
                node,
                rung: Rung::Zygote,
                memory: Bytes((mb * f64::from(1 << 20)) as u64),
                took: Duration::from_nanos((ms * 1e6) as u64),
            }));
        }
    }

    /// A version holds its runtime's zygote no longer.
    pub(super) fn let_go_of_zygote(&mut self, version: VersionId, node: NodeId) -> bool {
        if self.options.zygotes {
            return false;
        }
        let class = self.facts.of(version).class;
        let mb = class_of(self.facts.profile(), class).memory.zygote_mb;
        self.zygotes.let_go(self.now, node, class, mb, version)
    }

    fn hold(&mut self, version: VersionId, node: NodeId, rung: Rung, because: Because) {
        self.forecasts.made(self.now, version, because);
        self.no_longer_expected(version, node);
        let source = source(because).map(|source| (source, self.now));
        self.seats.at_mut(version, node).forecast = source;
        self.stand_on(version, node, rung);
    }

    /// From now on a version stands on that rung: what it has above goes, what it lacks is made.
    pub(super) fn stand_on(&mut self, version: VersionId, node: NodeId, rung: Rung) {
        self.seats.at_mut(version, node).wanted = rung;
        match rung {
            Rung::Absent | Rung::Cached | Rung::Zygote => {
                self.drop_holding(version, node, Rung::Spare);
                self.drop_holding(version, node, Rung::Template);
                if rung == Rung::Zygote {
                    self.hold_zygote(version, node);
                } else if self.let_go_of_zygote(version, node) {
                    let rung = Rung::Zygote;
                    self.queue.push_back(Event::Lost {
                        version,
                        node,
                        rung,
                    });
                }
            }
            Rung::Template => {
                self.drop_holding(version, node, Rung::Spare);
                self.make(version, node, Rung::Template);
            }
            Rung::Spare => {
                self.make(version, node, Rung::Template);
                self.make(version, node, Rung::Spare);
            }
            Rung::Idle | Rung::Busy => self.tally.ignored += 1,
        }
    }

    /// What was held for a forecast, and no request came, was held in vain up to now.
    pub(super) fn no_longer_expected(&mut self, version: VersionId, node: NodeId) {
        let seat = self.seats.at_mut(version, node);
        if let Some((source, since)) = seat.forecast.take() {
            let fact = self.facts.of(version);
            let held =
                |holding: Holding, bytes: u64| if holding == Holding::None { 0 } else { bytes };
            let bytes = held(seat.template, fact.template.0) + held(seat.spare, fact.spare.0);
            self.forecasts
                .unused(Some(source), version, since, self.now, Bytes(bytes));
        }
    }

    /// A request came for a version: what was held for one has been of use.
    pub(super) fn expected(&mut self, version: VersionId) {
        for node in self.seats.nodes() {
            if self.seats.at(version, node).forecast.is_some() {
                self.no_longer_expected(version, node);
            }
        }
    }

    pub(super) fn drop_holding(&mut self, version: VersionId, node: NodeId, rung: Rung) {
        let mut was = Holding::None;
        self.change_seat(version, node, |seat| {
            was = std::mem::take(if rung == Rung::Spare {
                &mut seat.spare
            } else {
                &mut seat.template
            });
        });
        if was == Holding::There {
            self.queue.push_back(Event::Lost {
                version,
                node,
                rung,
            });
        }
    }

    /// Makes a template or a spare that is wanted and not there. Without room it is left.
    pub(super) fn make(&mut self, version: VersionId, node: NodeId, rung: Rung) {
        if rung == Rung::Template && !self.has_room_for_template(version, node) {
            self.tally.no_room += 1;
            return;
        }
        if !self.begin_to_make(version, node, rung) {
            return;
        }
        if self.is_instant() {
            self.made(version, node, rung);
        } else {
            let ready = Instant(self.now.0 + self.making_takes(version, rung));
            self.after(ready, Timer::Made(version, node, rung));
        }
    }

    /// Whether a template of that version has room, or the policy makes some for it, as it is asked to once no request
    /// waits for room. It may say instead that it wants none.
    fn has_room_for_template(&mut self, version: VersionId, node: NodeId) -> bool {
        let need = self.facts.of(version).room_to_make;
        let lacks = |world: &Self| world.seats.shortage(version, node, need, world.facts);
        let memory = lacks(self);
        if self.seats.at(version, node).template != Holding::None || memory.0 == 0 {
            return true;
        }
        if self.waiting.is_stuck_at(node) {
            return false;
        }
        self.tally.pressures += 1;
        let shortage = Shortage {
            memory,
            instances: 0,
        };
        self.tell(Event::Pressure {
            node,
            shortage,
            template: Some(version),
        });
        if self.seats.at(version, node).wanted >= Rung::Template {
            let memory = lacks(self);
            self.give_up(node, memory, SPARED);
        }
        lacks(self).0 == 0 && self.seats.at(version, node).wanted >= Rung::Template
    }

    /// Room is taken for a template or a spare. False where it is there, or cannot be.
    pub(super) fn begin_to_make(&mut self, version: VersionId, node: NodeId, rung: Rung) -> bool {
        if self.ladder(version) == Some(Ladder::Never) {
            self.tally.ignored += 1;
            return false;
        }
        let fact = self.facts.of(version);
        let (seat, need) = match rung {
            Rung::Template => (self.seats.at(version, node).template, fact.room_to_make),
            _ => (self.seats.at(version, node).spare, fact.spare),
        };
        let template = self.seats.at(version, node).template;
        if seat != Holding::None || (rung == Rung::Spare && template != Holding::There) {
            return false;
        }
        if self.waiting.is_stuck_at(node)
            || self.seats.shortage(version, node, need, self.facts).0 > 0
        {
            self.tally.no_room += 1;
            return false;
        }
        self.change_seat(version, node, |seat| {
            *(if rung == Rung::Spare {
                &mut seat.spare
            } else {
                &mut seat.template
            }) = Holding::Making;
        });
        true
    }

    /// A template takes a start and the user's initialisation, a spare a fork; in nanoseconds.
    fn making_takes(&self, version: VersionId, rung: Rung) -> u64 {
        let from = match rung {
            Rung::Template if self.options.zygotes => StartKind::Zygote,
            Rung::Template => StartKind::Booted,
            _ => StartKind::Forked,
        };
        let share = self
            .draw
            .unit(Stream::Start, u64::from(version.0), self.now.0);
        self.facts.start_ns(version, from, share)
    }

    /// A template or spare is ready.
    pub(super) fn made(&mut self, version: VersionId, node: NodeId, rung: Rung) {
        let mut is_new = false;
        self.change_seat(version, node, |seat| {
            let holding = if rung == Rung::Spare {
                &mut seat.spare
            } else {
                &mut seat.template
            };
            is_new = *holding == Holding::Making;
            if is_new {
                *holding = Holding::There;
            }
        });
        if !is_new {
            return;
        }
        let fact = self.facts.of(version);
        let held = Event::Held(Held {
            version,
            node,
            rung,
            memory: if rung == Rung::Spare {
                fact.spare
            } else {
                fact.template
            },
            took: Duration::from_nanos(self.making_takes(version, rung)),
        });
        if self.is_instant() {
            self.queue.push_back(held);
        } else {
            self.tell(held);
        }
        let wanted = self.seats.at(version, node).wanted;
        if rung == Rung::Template && wanted == Rung::Spare {
            self.make(version, node, Rung::Spare);
        }
    }

    /// Starts ahead begin so early that they are ready by then, but not before now.
    fn order(&mut self, order: PreStart, by: Instant) {
        let takes = if self.is_instant() {
            0
        } else {
            let kind = self.best_kind(order.version, order.node);
            self.facts.start_ns(order.version, kind, IN_TIME)
        };
        let at = Instant(by.0.saturating_sub(takes));
        if at <= self.now {
            self.pre_start(order);
        } else {
            self.after(at, Timer::PreStart(order));
        }
    }

    pub(super) fn pre_start(&mut self, order: PreStart) {
        let PreStart {
            version,
            node,
            instances,
            forecast,
        } = order;
        for _ in 0..instances.min(MAX_AHEAD) {
            if self.waiting.is_stuck_at(node) {
                self.tally.no_room += 1;
                break;
            }
            // The one that there can be may be there.
            if self.is_instant() && self.seats.at(version, node).all_instances() > 0 {
                self.tally.ignored += 1;
                break;
            }
            if self.start(version, node, None, forecast).is_none() {
                self.tally.no_room += 1;
                break;
            }
        }
        self.tell_queued();
    }
}
