//! What gives way when a node is full: what is worth least for its memory.

use pilotlight_model::ladder::Rung;
use pilotlight_model::start::Instant;

use super::Pilot;
use super::mind::GaveUp;
use super::worth::Part;
use crate::action::{Action, Because};
use crate::budget::Budget;
use crate::event::Shortage;
use crate::{Bytes, NodeId, VersionId};

/// How many times as much as all that goes for it a template must save that is made where room is short. Making it is
/// work, and so is making again what has gone; and two that are worth the same would make each other's room for ever.
const SAVES_MORE: f32 = 2.0;

/// What has given way.
#[derive(Debug, Clone, Copy)]
struct Given {
    part: Part,
    /// What that gives back of the node's room.
    room: Bytes,
    /// What it took.
    memory: Bytes,
}

impl Pilot {
    /// Room is missing. A request gets it, whatever it takes; a template is made where it saves enough more than all
    /// that would have to go for it. One that does not is not wanted now: the next look at its version may say
    /// otherwise.
    pub(super) fn pressed(
        &mut self,
        now: Instant,
        node: NodeId,
        shortage: Shortage,
        template: Option<VersionId>,
        actions: &mut Vec<Action>,
    ) {
        self.short_at = Some(now);
        let Some(version) = template else {
            return self.relieve(now, node, shortage, actions);
        };
        let saves = self.saves(version);
        let value = self.minds.get(version.0).map_or(0.0, |it| it.value * saves);
        if self.cost(node, shortage.memory, version) * SAVES_MORE <= value {
            return self.relieve(now, node, shortage, actions);
        }
        if let Some(mind) = self.minds.entry(version.0) {
            mind.wanted = Rung::Zygote;
            actions.push(Action::Hold {
                version,
                node,
                rung: Rung::Zygote,
                because: Because::Worth,
            });
        }
    }

    /// What would have to go for so much room saves, per minute, that a template of a version is made in: that part of
    /// it which the template goes on taking, since while its init runs it has room for more. What the version itself
    /// has idle goes for nothing: its template takes its place.
    fn cost(&self, node: NodeId, room: Bytes, version: VersionId) -> f32 {
        let Some(its) = self.minds.get(version.0) else {
            return f32::INFINITY;
        };
        let (mut freed, mut cost) = (0u64, 0.0f32);
        for (worth, part, of, there) in self.could_go(node) {
            // Of several instances, as many as it takes.
            let goes = match part {
                Part::Instance => there.0.min(room.0 - freed),
                Part::Spare | Part::Template => there.0,
            };
            freed = freed.saturating_add(goes);
            if of != version {
                cost += worth * goes as f32;
            }
            if freed >= room.0 {
                let lasting = its.its.template_memory(its.most).0 as f32 / freed.max(1) as f32;
                return cost * lasting.min(1.0);
            }
        }
        f32::INFINITY
    }

    /// What could go on a node, what is worth least first: what a byte of it saves per minute, what it is, and the room
    /// that it gives back, all idle instances of a version together.
    fn could_go(&self, node: NodeId) -> impl Iterator<Item = (f32, Part, VersionId, Bytes)> {
        let worths = self
            .worth
            .get(node.0)
            .into_iter()
            .flat_map(|worths| worths.iter());
        worths.filter_map(move |(worth, (part, version))| {
            let mind = self.minds.get(version.0)?;
            let there = match part {
                Part::Instance => {
                    let idle = mind.idle.iter().filter(|it| it.node == node);
                    idle.map(|it| it.room.0).sum()
                }
                Part::Spare => mind.spare.unwrap_or_default().0,
                // The spare is counted by itself.
                Part::Template => {
                    let grows = self.grows_without(version, node).0;
                    mind.template.unwrap_or_default().0.saturating_sub(grows)
                }
            };
            (there > 0).then_some((f32::from_bits(worth), part, version, Bytes(there)))
        })
    }

    /// Whether a node has so much room once what saves no more than a fork has gone.
    pub(super) fn makes_room(&self, node: NodeId, room: Bytes) -> bool {
        let free = self.books.free(node).0;
        let light = |part| part != Part::Template;
        free >= room.0 || self.would_free(node, room.0 - free, light)
    }

    /// Whether those parts give back so many bytes of a node's room.
    fn would_free(&self, node: NodeId, bytes: u64, parts: impl Fn(Part) -> bool) -> bool {
        let mut freed = 0u64;
        self.could_go(node).any(|(_, part, _, there)| {
            freed = freed.saturating_add(if parts(part) { there.0 } else { 0 });
            freed >= bytes
        })
    }

    /// A start needs room. Idle instances go in any case, so that what waits for room gets it in the end; what is held
    /// for starts goes only if that is enough: until what is busy is done, it would be of no use.
    fn relieve(
        &mut self,
        now: Instant,
        node: NodeId,
        shortage: Shortage,
        actions: &mut Vec<Action>,
    ) {
        let enough = self.would_free(node, shortage.memory.0, |_| true);
        let (mut freed, mut ended) = (0u64, 0u32);
        while freed < shortage.memory.0 || ended < shortage.instances {
            let instances_alone = !enough || freed >= shortage.memory.0;
            let Some(given) = self.give_way(now, node, instances_alone, actions) else {
                break;
            };
            freed = freed.saturating_add(given.room.0);
            ended += u32::from(given.part == Part::Instance);
        }
    }

    /// Gives up what is worth least on a node.
    fn give_way(
        &mut self,
        now: Instant,
        node: NodeId,
        instances_alone: bool,
        actions: &mut Vec<Action>,
    ) -> Option<Given> {
        let mut all = self.could_go(node);
        let (_, part, version, room) =
            all.find(|(_, part, ..)| !instances_alone || *part == Part::Instance)?;
        drop(all);
        let mind = self.minds.entry(version.0)?;
        let mut given = Given {
            part,
            room,
            memory: room,
        };
        let hold = |rung| Action::Hold {
            version,
            node,
            rung,
            because: Because::Pressure,
        };
        match part {
            Part::Instance => {
                let place = mind.idle.iter().position(|resting| resting.node == node)?;
                let resting = mind.idle.remove(place);
                self.books.remove(resting.instance);
                actions.push(Action::Reclaim {
                    instance: resting.instance,
                    because: Because::Pressure,
                });
                mind.forget(resting.instance);
                (given.room, given.memory) = (resting.room, resting.memory);
            }
            Part::Spare => {
                mind.wanted = Rung::Template;
                mind.spare = None;
                actions.push(hold(Rung::Template));
            }
            Part::Template => {
                mind.wanted = Rung::Zygote;
                (mind.template, mind.spare) = (None, None);
                actions.push(hold(Rung::Zygote));
            }
        }
        if !mind.is_ready() {
            mind.gave_up = Some(GaveUp {
                at: now,
                pressure: true,
                next: None,
            });
        }
        self.account(version);
        self.rank(version);
        Some(given)
    }

    /// Keeps what is kept within a budget in bytes.
    pub(super) fn keep_within(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Budget::Bytes(most) = self.parameters.budget else {
            return;
        };
        let mut over = self.ledger.bytes() - most.0 as f64;
        for node in self.books.nodes().collect::<Vec<_>>() {
            while over > 0.0 {
                let Some(given) = self.give_way(now, node, false, actions) else {
                    break;
                };
                over -= given.memory.0 as f64;
            }
        }
    }
}
