//! What the pool shows of itself.

use std::collections::BTreeMap;

use pilotlight_model::ladder::Rung;
use pilotlight_model::node::VersionCounts;

use super::Pool;
use super::members::{Member, MemberPhase};
use super::state::State;

impl Pool {
    /// Memory promised, memory that may be promised, and what every version has.
    pub(crate) fn counts(&self) -> (u64, u64, BTreeMap<String, VersionCounts>) {
        let state = self.lock();
        (state.taken.memory_mb, state.capacity_mb, state.counts())
    }

    /// Requests that wait for a start.
    #[cfg(test)]
    pub(crate) fn starts_waiting(&self) -> usize {
        self.lock().fair.len()
    }

    /// Starts off the path that wait for a turn.
    #[cfg(test)]
    pub(crate) fn ordered(&self) -> usize {
        self.lock().background.len()
    }
}

impl State {
    /// What each version has, by qualified ARN, and the highest rung that this makes.
    fn counts(&self) -> BTreeMap<String, VersionCounts> {
        let mut counts: BTreeMap<String, VersionCounts> = BTreeMap::new();
        for member in self.members.values() {
            // What is on its way out is nobody's any more.
            if let Some(key) = &member.key
                && member.phase != MemberPhase::Ending
            {
                count(member, counts.entry(key.to_string()).or_default());
            }
        }
        for (key, provisioned) in self.provisions.shown(self.now) {
            let counts = counts.entry(key.to_string()).or_default();
            counts.provisioned = Some(provisioned);
        }
        counts
    }
}

fn count(member: &Member, counts: &mut VersionCounts) {
    let rung = match (member.phase, member.rung) {
        (MemberPhase::Busy, _) => {
            counts.busy += 1;
            Rung::Busy
        }
        (MemberPhase::Idle, _) => {
            counts.idle += 1;
            Rung::Idle
        }
        (MemberPhase::Held, Some(Rung::Spare)) => {
            counts.spares += 1;
            counts.spare_bytes += member.bytes;
            Rung::Spare
        }
        (MemberPhase::Held, _) => {
            counts.template_bytes += member.bytes;
            Rung::Template
        }
        (MemberPhase::Starting | MemberPhase::Ending, rung) => {
            counts.starting += u32::from(rung.is_none());
            Rung::Cached
        }
    };
    counts.rung = counts.rung.max(rung);
}
