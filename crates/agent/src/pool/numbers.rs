//! The numbers by which the policy knows versions: dense, given anew once their version has gone, and so many
//! at most. Nothing here waits or does anything.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::Instant;
use pilotlight_policy::VersionId;
use pilotlight_policy::costs::Measured;

use super::history::History;
use super::members::Told;

/// Versions that have a number at the same time. One more takes that of a version that has not been asked for in
/// a while and has nothing on the node; the policy forgets what it learned of that one. About 500 bytes each, and as much
/// again with a history.
const MOST: usize = 1 << 17;

/// Versions with their numbers.
pub(super) struct Numbers {
    by_key: HashMap<VersionKey, VersionId>,
    entries: Vec<Option<Numbered>>,
    free: Vec<VersionId>,
    most: usize,
    /// Where the search for a number to be taken away goes on.
    hand: usize,
}

/// A version that has a number.
pub(super) struct Numbered {
    /// The newest that the policy knows of.
    pub(super) spec: Arc<FunctionSpec>,
    /// The highest rung that the policy wants it to stand on while it serves nobody, once it has said so.
    pub(super) stands: Option<Rung>,
    /// What the policy knows it to hold.
    pub(super) template: Option<InstanceId>,
    pub(super) spare: Option<InstanceId>,
    /// What a start takes: the longest there was, the older the less it counts.
    pub(super) start: Option<Duration>,
    /// What its starts take, by kind.
    pub(super) its: Measured,
    /// Until then its last start has not been of much use yet.
    pub(super) settles: Instant,
    /// Instances, provisioned ones apart, that have requests, and that are being made.
    pub(super) busy: u32,
    pub(super) starting: u32,
    pub(super) history: History,
    /// Asked for since the hand passed by.
    recent: bool,
}

impl Numbers {
    pub(super) fn new() -> Self {
        Self::with_room_for(MOST)
    }

    fn with_room_for(most: usize) -> Self {
        Self {
            by_key: HashMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            most,
            hand: 0,
        }
    }

    /// One more than the highest number that was given.
    pub(super) fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    /// The number of a version, if it has one.
    pub(super) fn of(&self, key: &VersionKey) -> Option<VersionId> {
        self.by_key.get(key).copied()
    }

    /// The version that has a number.
    pub(super) fn at(&self, number: VersionId) -> Option<&Numbered> {
        self.entries.get(number.0 as usize)?.as_ref()
    }

    /// The same, to be changed.
    pub(super) fn at_mut(&mut self, number: VersionId) -> Option<&mut Numbered> {
        self.entries.get_mut(number.0 as usize)?.as_mut()
    }

    /// What is kept of a version, if it has a number.
    pub(super) fn find(&self, key: &VersionKey) -> Option<&Numbered> {
        self.at(self.of(key)?)
    }

    /// Whether the next version needs the number of another.
    pub(super) fn is_full(&self) -> bool {
        self.free.is_empty() && self.entries.len() >= self.most
    }

    /// Gives a version a number, which it has not got yet.
    pub(super) fn give(&mut self, spec: &Arc<FunctionSpec>) -> Option<VersionId> {
        let number = match self.free.pop() {
            Some(number) => number,
            None if self.is_full() => return None,
            None => {
                let number = VersionId(u32::try_from(self.entries.len()).ok()?);
                self.entries.push(None);
                number
            }
        };
        self.entries[number.0 as usize] = Some(Numbered {
            spec: Arc::clone(spec),
            stands: None,
            template: None,
            spare: None,
            start: None,
            its: Measured::default(),
            settles: Instant(0),
            busy: 0,
            starting: 0,
            history: History::default(),
            recent: true,
        });
        self.by_key.insert(spec.key.clone(), number);
        Some(number)
    }

    /// Takes the number of a version back.
    pub(super) fn take_back(&mut self, number: VersionId) {
        let entry = self.entries.get_mut(number.0 as usize);
        if let Some(numbered) = entry.and_then(Option::take) {
            self.by_key.remove(&numbered.spec.key);
            self.free.push(number);
        }
    }

    /// The number of a version that may go: not asked for since the hand passed it last, and not `needed`.
    pub(super) fn dispensable(
        &mut self,
        needed: impl Fn(&VersionKey) -> bool,
    ) -> Option<VersionId> {
        for _ in 0..2 * self.entries.len() {
            let at = self.hand;
            self.hand = (at + 1) % self.entries.len();
            if let Some(numbered) = &mut self.entries[at]
                && !std::mem::take(&mut numbered.recent)
                && !needed(&numbered.spec.key)
            {
                return Some(VersionId(u32::try_from(at).ok()?));
            }
        }
        None
    }
}

impl Numbered {
    /// A request came for it.
    pub(super) fn asked_for(&mut self) {
        self.recent = true;
    }

    /// A start took so long.
    pub(super) fn started(&mut self, took: Duration) {
        let before = self.start.unwrap_or_default();
        self.start = Some(took.max(before * 9 / 10));
    }

    /// One of its instances is told to do something else than before.
    pub(super) fn count(&mut self, before: Told, after: Told) {
        for (told, by) in [(before, -1), (after, 1)] {
            let count = match told {
                Told::Busy => &mut self.busy,
                Told::Starting => &mut self.starting,
                Told::Nothing | Told::Idle => continue,
            };
            *count = count.saturating_add_signed(by);
        }
    }

    /// What it holds on that rung, as the policy knows it.
    pub(super) fn held(&mut self, rung: Rung) -> Option<&mut Option<InstanceId>> {
        match rung {
            Rung::Template => Some(&mut self.template),
            Rung::Spare => Some(&mut self.spare),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::spec;

    fn named(name: &str) -> Arc<FunctionSpec> {
        let mut spec = spec();
        spec.key.name = name.parse().unwrap();
        Arc::new(spec)
    }

    fn three() -> Numbers {
        let mut numbers = Numbers::with_room_for(3);
        let given = ["a", "b", "c"].map(|name| numbers.give(&named(name)));
        assert_eq!(given, [0, 1, 2].map(|number| Some(VersionId(number))));
        numbers
    }

    #[test]
    fn numbers_are_dense_and_given_again() {
        let mut numbers = three();
        assert!(numbers.is_full());
        assert_eq!(numbers.give(&named("d")), None);
        numbers.take_back(VersionId(1));
        assert_eq!(numbers.of(&named("b").key), None);
        assert_eq!(numbers.give(&named("d")), Some(VersionId(1)));
        assert_eq!(numbers.of(&named("d").key), Some(VersionId(1)));
    }

    #[test]
    fn what_was_asked_for_lately_or_is_needed_keeps_its_number() {
        let mut numbers = three();
        let a = named("a").key.clone();
        assert_eq!(numbers.dispensable(|key| *key == a), Some(VersionId(1)));
        numbers.at_mut(VersionId(2)).unwrap().asked_for();
        assert_eq!(numbers.dispensable(|key| *key == a), Some(VersionId(1)));
        assert_eq!(numbers.dispensable(|_| true), None);
    }
}
