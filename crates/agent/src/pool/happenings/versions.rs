//! Versions, as the policy hears of them: by numbers that the pool gives.

use std::sync::Arc;

use pilotlight_model::Runtime;
use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::ids::{InstanceId, Version};
use pilotlight_model::ladder::Rung;
use pilotlight_policy::event::{self, Deployed};
use pilotlight_policy::{Bytes, Event, VersionId};

use super::NODE;
use crate::pool::members::Member;
use crate::pool::state::State;

impl State {
    /// The policy's number of a version, which it hears of if that is news.
    pub(in crate::pool) fn number(&mut self, spec: &Arc<FunctionSpec>) -> Option<VersionId> {
        let number = match self.mind.numbers.of(&spec.key) {
            Some(number) => {
                let numbered = self.mind.numbers.at_mut(number)?;
                if numbered.spec.revision >= spec.revision {
                    return Some(number);
                }
                numbered.spec = Arc::clone(spec);
                numbered.stands = None;
                number
            }
            None => {
                self.make_number_free();
                let number = self.mind.numbers.give(spec)?;
                self.mind.name(number, &spec.key);
                number
            }
        };
        let deployed = Deployed {
            version: number,
            runtime: class(spec),
            memory: Bytes::mib(spec.memory_mb.into()),
            keep_alive: spec.keep_alive,
            after: before(&spec.key).and_then(|key| self.mind.numbers.of(&key)),
            weight: 1.0,
        };
        self.tell(Event::Deployed(deployed));
        Some(number)
    }

    /// Where all numbers are given, the policy forgets a version that has nothing here.
    fn make_number_free(&mut self) {
        if !self.mind.numbers.is_full() {
            return;
        }
        let versions = &self.versions;
        let needed = |key: &VersionKey| versions.contains_key(key);
        if let Some(number) = self.mind.numbers.dispensable(needed) {
            self.take_number_back(number);
        }
    }

    fn take_number_back(&mut self, number: VersionId) {
        self.ahead.forget(number);
        self.traces.forget(number);
        self.mind.numbers.take_back(number);
        self.tell(Event::Retired(number));
    }

    /// No template can be made of a version as it is in that revision.
    pub(in crate::pool) fn tell_refused(&mut self, spec: &Arc<FunctionSpec>) {
        let Some(version) = self.number(spec) else {
            return;
        };
        let numbered = self.mind.numbers.at(version);
        if numbered.is_some_and(|it| it.spec.revision == spec.revision) {
            self.tell(Event::Refused {
                version,
                node: NODE,
                rung: Rung::Template,
            });
        }
    }

    /// A version has been retired: what is left of it is none of the policy's business.
    pub(in crate::pool) fn tell_retired(&mut self, key: &VersionKey) {
        let Some(number) = self.mind.numbers.of(key) else {
            return;
        };
        let of =
            |(id, member): (&InstanceId, &Member)| (member.number == Some(number)).then_some(*id);
        let mut members: Vec<InstanceId> = self.members.iter().filter_map(of).collect();
        members.sort_unstable();
        for id in members {
            self.tell_gone(id);
            self.tell_lost(id);
            if let Some(member) = self.members.get_mut(&id) {
                member.number = None;
                self.apart_mb += member.memory_mb;
            }
        }
        let version = self.versions.get(key);
        let waiting = version.map_or_else(Vec::new, |it| it.waiting.iter().copied().collect());
        for ticket in waiting {
            self.tell_left(ticket);
            self.permit(ticket);
        }
        self.take_number_back(number);
    }
}

/// The version that was published before.
fn before(key: &VersionKey) -> Option<VersionKey> {
    let Version::Number(number) = key.version else {
        return None;
    };
    Some(VersionKey {
        version: Version::Number(number.checked_sub(1)?),
        ..key.clone()
    })
}

pub(in crate::pool) fn class(spec: &FunctionSpec) -> event::Runtime {
    match spec.runtime.image() {
        Runtime::Python311 => event::Runtime::Python,
        Runtime::Nodejs20x => event::Runtime::Node,
        Runtime::Java17 => event::Runtime::Java,
        Runtime::ProvidedAl2023 => event::Runtime::Native,
    }
}
