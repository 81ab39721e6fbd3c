//! What a node does by itself where its room is promised: it gives up what is kept for starts to come once its policy
//! has not given up enough, by the node's own code (`policy::giving_up`), and makes what a start missed.

use std::collections::VecDeque;
use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Instant, StartKind};
use pilotlight_policy::event::Shortage;
use pilotlight_policy::{Bytes, NodeId, VersionId, giving_up};

use super::World;
use super::seat::Holding;
use crate::options::Room;

/// A template does not take the room of what was used within this time, as on a node.
pub(super) const SPARED: Duration = Duration::from_secs(60);

/// Templates that starts have missed, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Missed(VecDeque<(VersionId, NodeId)>);

impl World<'_> {
    fn is_promised(&self) -> bool {
        self.options.room == Room::Promised
    }

    /// Gives up what is kept until there is so much room more, or nothing if that is not enough. What was used within
    /// the time `spared` stays.
    pub(super) fn give_up(&mut self, node: NodeId, memory: Bytes, spared: Duration) {
        if !self.is_promised() || memory.0 == 0 {
            return;
        }
        let shortage = Shortage {
            memory,
            instances: 0,
        };
        for id in giving_up::give_up(self.now, &self.kept(node), shortage, spared) {
            let (version, rung) = numbered(id);
            if rung == Rung::Template {
                // With what is forked from it, be that in the making.
                self.no_longer_expected(version, node);
                self.drop_holding(version, node, Rung::Spare);
            }
            self.drop_holding(version, node, rung);
        }
        self.tell_queued();
    }

    /// Templates and spares of a node.
    fn kept(&self, node: NodeId) -> Vec<giving_up::Holding> {
        let mut all = Vec::new();
        for version in (0..self.facts.all().len() as u32).map(VersionId) {
            let (seat, fact) = (self.seats.at(version, node), self.facts.of(version));
            for (holding, rung, memory, kind) in [
                (
                    seat.template,
                    Rung::Template,
                    fact.template,
                    StartKind::Zygote,
                ),
                (seat.spare, Rung::Spare, fact.spare, StartKind::Forked),
            ] {
                if holding == Holding::There {
                    all.push(giving_up::Holding {
                        instance: number(version, rung),
                        rung,
                        memory: Bytes(fact.weighted(memory.0)),
                        saves: Duration::from_nanos(self.facts.start_ns(version, kind, 0.5)),
                        last_used: Instant(seat.last_used),
                    });
                }
            }
        }
        all
    }

    /// A start of that kind was made: what it missed is to be made.
    pub(super) fn missed(&mut self, version: VersionId, node: NodeId, kind: StartKind) {
        let wanted = self.seats.at(version, node).wanted;
        match kind {
            _ if !self.is_promised() => {}
            StartKind::Zygote | StartKind::Booted if wanted >= Rung::Template => {
                self.order_template(version, node);
            }
            StartKind::Forked if wanted >= Rung::Spare => self.make(version, node, Rung::Spare),
            _ => {}
        }
    }

    /// There was no room for what a version has from its deploy on: it is made when there is.
    pub(super) fn lacks_room(&mut self, version: VersionId, node: NodeId, rungs: &[Rung]) {
        if let Some(&rung) = rungs.last().filter(|_| self.is_promised()) {
            self.seats.at_mut(version, node).wanted = rung;
            self.order_template(version, node);
        }
    }

    fn order_template(&mut self, version: VersionId, node: NodeId) {
        let template = (version, node);
        let fact = self.facts.of(version);
        let fits = !self.seats.is_too_much(fact.weighted(fact.room_to_make.0));
        if fits && !self.missed.0.contains(&template) {
            self.missed.0.push_back(template);
        }
    }

    /// Makes what was missed and has room. Of the others one on each node asks for some.
    pub(super) fn make_missed(&mut self) {
        let mut asked = Vec::new();
        for (version, node) in std::mem::take(&mut self.missed.0) {
            if self.seats.at(version, node).wanted < Rung::Template {
                continue;
            }
            let need = self.facts.of(version).room_to_make;
            let fits = self.seats.shortage(version, node, need, self.facts).0 == 0;
            if fits || !asked.contains(&node) {
                self.make(version, node, Rung::Template);
                asked.extend((!fits).then_some(node));
            }
            let seat = self.seats.at(version, node);
            if seat.wanted >= Rung::Template && seat.template == Holding::None {
                self.order_template(version, node);
            }
        }
    }
}

/// A version's template and spare as `policy::giving_up` tells them apart.
fn number(version: VersionId, rung: Rung) -> InstanceId {
    InstanceId(u64::from(version.0) * 2 + u64::from(rung == Rung::Spare))
}

fn numbered(id: InstanceId) -> (VersionId, Rung) {
    let rung = match id.0 % 2 {
        1 => Rung::Spare,
        _ => Rung::Template,
    };
    (VersionId((id.0 / 2) as u32), rung)
}
