//! What each part of what a version has is worth for its memory, and in which order the parts give way.

use std::time::Duration;

use pilotlight_model::start::{Instant, StartKind};

use super::Pilot;
use super::mind::{Mind, Resting};
use crate::budget::Budget;
use crate::ranking::Ranking;
use crate::{Bytes, NodeId, VersionId};

/// What could give way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Part {
    /// An idle instance.
    Instance,
    /// The spare; its template stays.
    Spare,
    /// The template, with its spare.
    Template,
}

impl Part {
    const ALL: [Part; 3] = [Part::Instance, Part::Spare, Part::Template];
}

/// What could give way on a node, by what a byte of it saves.
pub(super) type Worth = Ranking<u32, (Part, VersionId)>;

/// Of what is worth nothing at all that is known: it is as if a request came once a year.
const LEAST_HAZARD: f32 = 2e-6;
/// What is worth nothing at all is still kept rather than nothing.
const LEAST_SAVED: Duration = Duration::from_micros(1);

impl Pilot {
    /// Writes down what a second saved is worth to a version, at that hazard per minute. It is to be ranked after that.
    pub(super) fn note_value(&mut self, now: Instant, version: VersionId, hazard: f32) {
        let floor = self.parameters.floor;
        if let Some(mind) = self.minds.entry(version.0) {
            mind.value = hazard.max(LEAST_HAZARD) * (mind.days_between(now) + floor);
        }
    }

    /// Ranks a version that is not looked at yet: by what is expected of one that has just had a request, if it has, or
    /// has just been deployed, which is as good.
    pub(super) fn rank_new(&mut self, now: Instant, version: VersionId) {
        let is_new = |mind: &&Mind| mind.is_young(now) || mind.value <= 0.0;
        let new = self.minds.get(version.0).filter(is_new);
        if let Some(hazard) = new.map(|mind| self.soon_hazard(mind)) {
            self.note_value(now, version, hazard);
        }
        self.rank(version);
    }

    /// Puts what a version has where it is worth to be among what could give way, on each node that it has something on.
    pub(super) fn rank(&mut self, version: VersionId) {
        let Some(mind) = self.minds.get(version.0) else {
            return;
        };
        let saves = self.saves(version);
        let instance = mind.idle.last();
        let instance = instance.map_or(0, |it| bits(self.idle_worth(mind, it, saves)));
        let template = mind.template.map(|it| bits(per_byte(mind, saves, it)));
        let spare = mind.spare.filter(|_| mind.template.is_some());
        let spare = spare.map(|it| bits(per_byte(mind, self.fork_saves(mind), it)));
        let Some(mind) = self.minds.entry(version.0) else {
            return;
        };
        if let Some(worths) = self.worth.entry(mind.home.0) {
            for (part, worth) in [(Part::Template, template), (Part::Spare, spare)] {
                match worth {
                    Some(worth) => worths.set((part, version), worth),
                    None => {
                        worths.remove((part, version));
                    }
                }
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

    /// What a byte of an idle instance saves: beside a template no more than a fork takes, otherwise all.
    fn idle_worth(&self, mind: &Mind, resting: &Resting, saves: f32) -> f32 {
        let saves = match mind.template {
            Some(_) => self.fork_saves(mind),
            None => saves,
        };
        // What is short on a node is room; a budget of bytes is one of what is taken.
        let short = match self.parameters.budget {
            Budget::Bytes(_) => resting.memory,
            Budget::Node | Budget::Shadow(_) => resting.room,
        };
        per_byte(mind, saves, short)
    }

    /// Seconds that an instance which is there saves beside its template.
    pub(super) fn fork_saves(&self, mind: &Mind) -> f32 {
        let forked = self.costs.start(mind.runtime, &mind.its, StartKind::Forked);
        // It saves what a spare saves, and starts take what is measured of them.
        let spare = self.costs.start(mind.runtime, &mind.its, StartKind::Spare);
        forked.saturating_sub(spare).as_secs_f32()
    }

    /// Nothing of a version could give way any more.
    pub(super) fn forget_worth(&mut self, version: VersionId) {
        for node in 0..self.worth.len() {
            if let Some(worths) = self.worth.entry(node) {
                for part in Part::ALL {
                    worths.remove((part, version));
                }
            }
        }
    }

    /// What instances take more once their template has gone, which shares its memory with them: nothing where each is
    /// promised all that it may use in any case.
    pub(super) fn grows_without(&self, version: VersionId, node: NodeId) -> Bytes {
        let Some(mind) = self.minds.get(version.0) else {
            return Bytes(0);
        };
        let forks = self.books.instances_of(version);
        let forks = forks.filter(|(id, at)| at.node == node && !mind.whole.contains(id));
        let grows = mind.most.0.saturating_sub(mind.fork_room().0);
        Bytes(grows.saturating_mul(forks.count() as u64))
    }
}

/// Numbers of zero and more are in the order of their bits.
fn bits(worth: f32) -> u32 {
    worth.max(0.0).to_bits()
}

fn per_byte(mind: &Mind, saves: f32, bytes: Bytes) -> f32 {
    mind.value * saves.max(LEAST_SAVED.as_secs_f32()) / bytes.0.max(1) as f32
}
