//! What requests share: the node's starting, and its room where that is short. The rules are `policy`'s
//! (`fairness`); here is what they go by.

use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::ids::AccountId;
use pilotlight_model::limits;
use pilotlight_model::node::NodeError;
use pilotlight_model::start::{Cold, Instant, StartKind};
use pilotlight_policy::action::Because;
use pilotlight_policy::fairness::{Flow, Party, USE};
use pilotlight_policy::{VersionId, later};

use super::effects::Effects;
use super::happenings::versions::class;
use super::history::End;
use super::holdings::takes_spare;
use super::members::Member;
use super::numbers::Numbered;
use super::orders::Ticket;
use super::room::Room;
use super::state::State;
use crate::instance::Instance;
use crate::watch::TURN;

/// What a start takes of a version of which nothing is known.
const UNKNOWN: Duration = Duration::from_millis(100);
/// A version's start has been of use after so long, whatever it took.
const LONGEST_USE: Duration = limits::INIT;

/// A request's start that is the next to be made.
pub(super) struct Next {
    pub(super) ticket: Ticket,
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) cold: Option<Cold>,
    /// The version's spare will do.
    pub(super) spare: bool,
    pub(super) need: Room,
}

/// Of whom a version's requests are.
pub(super) fn flow_of(key: &VersionKey) -> Flow<'_, AccountId, VersionKey> {
    Flow {
        account: &key.account,
        version: key,
    }
}

impl State {
    /// The part of the node that an instance takes of what it takes most of, in 2^32nds: its memory or its place.
    pub(super) fn share(&self, memory_mb: u64) -> u64 {
        let memory = (memory_mb << 32) / self.capacity_mb.max(1);
        memory.max((1 << 32) / u64::from(self.limits.node_instances.max(1)))
    }

    /// Whose start is to be made next: that of whom turns say, where there is room for who holds least, too. Those
    /// that are not waited for any more, or can never be made, are sent away.
    pub(super) fn next_wanted(&mut self, effects: &mut Effects) -> Option<Next> {
        loop {
            let first = self.wanted(self.fair.first()?.into())?;
            let neediest = self.wanted(self.fair.neediest()?.into())?;
            let next = match self.goes_first(&first, &neediest) {
                true => first,
                false => neediest,
            };
            let waiting = self.waiting.get(&next.ticket)?;
            let too_large = u64::from(next.spec.memory_mb) > self.capacity_mb;
            if !too_large && !waiting.sender.is_closed() {
                return Some(next);
            }
            let waiting = self.take_waiting(next.ticket)?;
            if too_large {
                // Its memory was raised while it waited; it can never start here.
                effects.refuse.push((waiting.sender, NodeError::Overloaded));
            }
        }
    }

    fn goes_first(&self, first: &Next, neediest: &Next) -> bool {
        let mut both = first.need;
        both += neediest.need;
        first.ticket == neediest.ticket
            || self.fits(both)
            || (self.fits(first.need)
                && !self.fits(neediest.need)
                && self.fair.may_pass(&self.asks(first), &self.asks(neediest)))
    }

    fn wanted(&self, ticket: Ticket) -> Option<Next> {
        let waiting = self.waiting.get(&ticket)?;
        let (key, cold) = (&waiting.spec.key, waiting.cold);
        let newest = self.versions.get(key).map(|version| &version.spec);
        let spec = Arc::clone(newest.unwrap_or(&waiting.spec));
        let lacks = takes_spare(cold).then(|| self.spare_lacks(key)).flatten();
        Some(Next {
            ticket,
            cold,
            spare: lacks.is_some(),
            need: Room::instance(lacks.unwrap_or(spec.memory_mb.into())),
            spec,
        })
    }

    /// Whether the request that is to have room next finds none.
    pub(super) fn is_short(&self) -> bool {
        let neediest = self.fair.neediest();
        let neediest = neediest.and_then(|ticket| self.wanted(ticket.into()));
        neediest.is_some_and(|neediest| !self.fits(neediest.need))
    }

    /// Ends an instance that has become free, although its version has more requests, where others find no room and
    /// are to have it: what is provisioned, or another version's requests. Whether it did.
    pub(super) fn makes_way(&mut self, instance: &Arc<Instance>, effects: &mut Effects) -> bool {
        let key = &instance.spec.key;
        let shared = |it: &Member| !it.provisioned;
        if self.first_waiting(key).is_none()
            || !self.is_short()
            || !self.members.get(&instance.id).is_some_and(shared)
        {
            return false;
        }
        let giver = self.party(key, instance.spec.memory_mb.into());
        let takers = [self.fair.neediest(), self.fair.neediest_in(&key.account)];
        let takers = takers.into_iter().flatten();
        let ending = self.ending();
        let mut takers = takers.filter_map(|ticket| self.wanted(ticket.into()));
        let gives = self.is_provision_short(ending)
            || takers.any(|taker| {
                !self.fits_without(ending, taker.need)
                    && self.fair.gives_way(&giver, &self.asks(&taker))
            });
        if gives {
            tracing::debug!(instance = %instance.id, version = %key, "instance gives way");
            self.note_end(instance.id, End::reclaimed(Some(Because::Pressure)));
            self.stop(instance, effects);
        }
        gives
    }

    fn asks<'a>(&self, wanted: &'a Next) -> Party<'a, AccountId, VersionKey> {
        self.party(&wanted.spec.key, wanted.need.memory_mb)
    }

    fn party<'a>(&self, key: &'a VersionKey, memory_mb: u64) -> Party<'a, AccountId, VersionKey> {
        let numbered = self.mind.numbers.find(key);
        Party {
            flow: flow_of(key),
            share: self.share(memory_mb),
            settled: numbered.is_none_or(|it| it.settles <= self.now),
        }
    }

    /// What a version's next start is expected to take of a turn.
    pub(super) fn start_takes(&self, key: &VersionKey) -> Duration {
        let numbered = self.mind.numbers.find(key);
        numbered.map_or(UNKNOWN, |it| self.next_start(it)).min(TURN)
    }

    fn next_start(&self, numbered: &Numbered) -> Duration {
        let kind = match numbered.template {
            Some(_) => StartKind::Forked,
            None => StartKind::Zygote,
        };
        let runtime = class(&numbered.spec);
        self.costs.start(runtime, &numbered.its, kind)
    }

    /// A start of that version begins.
    pub(super) fn unsettle(&mut self, version: VersionId) {
        let numbered = self.mind.numbers.at(version);
        let Some(takes) = numbered.map(|it| self.next_start(it)) else {
            return;
        };
        let settles = settles(later(self.now, takes), takes);
        if let Some(numbered) = self.mind.numbers.at_mut(version) {
            numbered.settles = settles;
        }
    }

    /// A start is over that took so long.
    pub(super) fn learn_start(&mut self, version: VersionId, kind: StartKind, took: Duration) {
        let Some(numbered) = self.mind.numbers.at_mut(version) else {
            return;
        };
        numbered.started(took);
        if kind == StartKind::Spare {
            return;
        }
        let runtime = class(&numbered.spec);
        let rule = self.costs.start(runtime, &numbered.its, kind);
        self.costs.started(runtime, &mut numbered.its, kind, took);
        numbered.settles = settles(self.now, took);
        // It may have given its turn back already.
        self.at_once.over(self.starting + 1, took, rule);
    }
}

fn settles(from: Instant, took: Duration) -> Instant {
    later(from, took.saturating_mul(USE).min(LONGEST_USE))
}
