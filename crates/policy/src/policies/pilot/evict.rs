//! What gives way when a node is full: what is worth least for its memory.

use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Instant, StartKind};

use super::Pilot;
use super::mind::{GaveUp, Resting};
use crate::action::{Action, Because};
use crate::budget::Budget;
use crate::event::Shortage;
use crate::ranking::Ranking;
use crate::{Bytes, NodeId, VersionId};

/// What could give way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Part {
    /// An idle instance.
    Instance,
    /// The template, with its spare.
    Template,
}

/// What has given way.
#[derive(Debug, Clone, Copy)]
struct Given {
    /// What that gives back of the node's room.
    room: Bytes,
    /// What it took.
    memory: Bytes,
}

/// What could give way on a node, by what a byte of it saves.
pub(super) type Worth = Ranking<u32, (Part, VersionId)>;

/// Of what is worth nothing at all that is known: it is as if a request came once a year.
const LEAST_HAZARD: f32 = 2e-6;

impl Pilot {
    /// Writes down what a version's memory is worth, at that hazard per minute.
    pub(super) fn note_worth(&mut self, now: Instant, version: VersionId, hazard: f32) {
        let saves = self.saves(version);
        let floor = self.parameters.floor;
        let Some(mind) = self.minds.entry(version.0) else {
            return;
        };
        let forked = self.costs.start(mind.runtime, &mind.its, StartKind::Forked);
        // It saves what a spare saves, and starts take what is measured of them.
        let spare = self.costs.start(mind.runtime, &mind.its, StartKind::Spare);
        let value = hazard.max(LEAST_HAZARD) * (mind.days_between(now) + floor);
        let per_byte = |saves: f32, bytes: Bytes| value * saves.max(1e-6) / bytes.0.max(1) as f32;
        let alone = mind.template.is_none();
        let instance = if alone {
            saves
        } else {
            forked.saturating_sub(spare).as_secs_f32()
        };
        // What is short on a node is room; a budget of bytes is one of what is taken.
        let short = |resting: &Resting| match self.parameters.budget {
            Budget::Bytes(_) => resting.memory,
            Budget::Node | Budget::Shadow(_) => resting.room,
        };
        let memory = mind.idle.last().map_or(Bytes(1 << 20), short);
        mind.worth = [
            per_byte(saves, mind.template.unwrap_or(Bytes(1 << 20))),
            per_byte(instance, memory),
        ];
        self.rank(version);
    }

    /// Puts what a version has where it is worth to be among what could give way, on each node that it has something on.
    pub(super) fn rank(&mut self, version: VersionId) {
        let Some(mind) = self.minds.entry(version.0) else {
            return;
        };
        // Numbers of zero and more are in the order of their bits.
        let [template, instance] = mind.worth.map(|worth| worth.max(0.0).to_bits());
        if let Some(worths) = self.worth.entry(mind.home.0) {
            if mind.template.is_some() {
                worths.set((Part::Template, version), template);
            } else {
                worths.remove((Part::Template, version));
            }
        }
        let rests_on = |node: NodeId| mind.idle.iter().any(|resting| resting.node == node);
        let worth = &mut self.worth;
        mind.ranked.retain(|&node| {
            let stays = rests_on(node);
            if let Some(worths) = worth.entry(node.0).filter(|_| !stays) {
                worths.remove((Part::Instance, version));
            }
            stays
        });
        for resting in &mind.idle {
            if !mind.ranked.contains(&resting.node) {
                mind.ranked.push(resting.node);
            }
        }
        for node in &mind.ranked {
            if let Some(worths) = self.worth.entry(node.0) {
                worths.set((Part::Instance, version), instance);
            }
        }
    }

    pub(super) fn forget_worth(&mut self, version: VersionId) {
        for node in 0..self.worth.len() {
            if let Some(worths) = self.worth.entry(node) {
                worths.remove((Part::Template, version));
                worths.remove((Part::Instance, version));
            }
        }
    }

    /// A start needs room.
    pub(super) fn relieve(
        &mut self,
        now: Instant,
        node: NodeId,
        shortage: Shortage,
        actions: &mut Vec<Action>,
    ) {
        let (mut freed, mut ended) = (0u64, 0u32);
        while freed < shortage.memory.0 || ended < shortage.instances {
            // Instances are what is missing: templates are none.
            let instances_alone = freed >= shortage.memory.0;
            let Some(given) = self.give_way(now, node, instances_alone, actions) else {
                break;
            };
            freed = freed.saturating_add(given.room.0);
            ended += 1;
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
        loop {
            let worths = self.worth.entry(node.0)?;
            let (_, (part, version)) = worths.pop()?;
            if instances_alone && part == Part::Template {
                // It stays, and is ranked again when its version is next looked at.
                continue;
            }
            let Some(mind) = self.minds.entry(version.0) else {
                continue;
            };
            let given = match part {
                Part::Instance => {
                    let place = mind.idle.iter().position(|resting| resting.node == node);
                    let Some(place) = place else {
                        continue;
                    };
                    let resting = mind.idle.remove(place);
                    self.books.remove(resting.instance);
                    actions.push(Action::Reclaim {
                        instance: resting.instance,
                        because: Because::Pressure,
                    });
                    mind.forget(resting.instance);
                    Given {
                        room: resting.room,
                        memory: resting.memory,
                    }
                }
                Part::Template => {
                    let memory = mind.held();
                    mind.wanted = Rung::Zygote;
                    actions.push(Action::Hold {
                        version,
                        node,
                        rung: Rung::Zygote,
                        because: Because::Pressure,
                    });
                    Given {
                        room: memory,
                        memory,
                    }
                }
            };
            if mind.idle.is_empty() && (part == Part::Template || mind.template.is_none()) {
                mind.gave_up = Some(GaveUp {
                    at: now,
                    pressure: true,
                    next: None,
                });
            }
            self.account(version);
            if part == Part::Instance {
                self.rank(version);
            }
            return Some(given);
        }
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
