//! Instances that the policy wants ready at a time to come, until their starts begin.

use std::collections::BTreeMap;
use std::time::Duration;

use pilotlight_model::start::Instant;
use pilotlight_policy::VersionId;

/// Wishes that wait at the same time; one more is not heard.
const MOST: usize = 4096;
/// How long a start takes of a version that has had none.
const UNKNOWN: Duration = Duration::from_secs(1);
/// By how much a start begins earlier than it would have to, for turns and a busy machine.
const SPARE_TIME: Duration = Duration::from_millis(50);

/// What waits for its time.
#[derive(Default)]
pub(super) struct Ahead {
    due: BTreeMap<(Instant, u64), (VersionId, u32)>,
    count: u64,
}

impl Ahead {
    /// So many instances of that version are wanted by then, whose starts take so long if that is known.
    pub(super) fn want(
        &mut self,
        version: VersionId,
        instances: u32,
        by: Instant,
        start: Option<Duration>,
    ) {
        let lead = start.map_or(UNKNOWN, |took| took + took / 2) + SPARE_TIME;
        let lead = u64::try_from(lead.as_nanos()).unwrap_or(u64::MAX);
        if self.due.len() < MOST && instances > 0 {
            self.count += 1;
            let begin = Instant(by.0.saturating_sub(lead));
            self.due.insert((begin, self.count), (version, instances));
        }
    }

    /// The first of them that is to begin by now.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(VersionId, u32)> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// When the next is to begin.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// The version is no more.
    pub(super) fn forget(&mut self, version: VersionId) {
        self.due.retain(|_, (of, _)| *of != version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn starts_begin_early_enough_and_no_earlier() {
        let mut ahead = Ahead::default();
        let start = Duration::from_millis(100);
        ahead.want(VersionId(1), 2, Instant(10 * SECOND), Some(start));
        ahead.want(VersionId(2), 1, Instant(9 * SECOND), None);
        let begin = Instant(10 * SECOND - 200_000_000);
        assert_eq!(ahead.next(), Some(Instant(8 * SECOND - 50_000_000)));
        assert_eq!(ahead.pop(begin), Some((VersionId(2), 1)));
        assert_eq!(ahead.pop(Instant(begin.0 - 1)), None);
        assert_eq!(ahead.pop(begin), Some((VersionId(1), 2)));
        assert_eq!(ahead.pop(begin), None);
    }

    #[test]
    fn what_is_gone_is_not_started_and_wishes_are_bounded() {
        let mut ahead = Ahead::default();
        for _ in 0..2 * MOST {
            ahead.want(VersionId(1), 1, Instant(0), None);
        }
        assert_eq!(ahead.due.len(), MOST);
        ahead.forget(VersionId(1));
        assert_eq!(ahead.next(), None);
    }
}
