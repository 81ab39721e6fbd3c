//! Instances that the policy wants ready at a time to come, until their starts begin.

use std::collections::BTreeMap;
use std::time::Duration;

use pilotlight_model::start::Instant;
use pilotlight_policy::VersionId;

/// Wishes that wait at the same time; one more is not heard.
const MOST: usize = 4096;
/// How long a start takes of a version that has had none.
const UNKNOWN: Duration = Duration::from_secs(1);
/// Times that are no further apart are the same, said twice: they come from the wall clock. In nanoseconds.
const SAME: u64 = 1_000_000_000;
/// By how much a start begins earlier than it would have to, for turns and a busy machine.
const SPARE_TIME: Duration = Duration::from_millis(50);

/// What waits for its time.
#[derive(Default)]
pub(super) struct Ahead {
    due: BTreeMap<(Instant, u64), Wish>,
    count: u64,
}

#[derive(Clone, Copy)]
struct Wish {
    version: VersionId,
    instances: u32,
    by: Instant,
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
            let wish = Wish {
                version,
                instances,
                by,
            };
            self.due.insert((begin, self.count), wish);
        }
    }

    /// The first of them that is to begin by now.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(VersionId, u32)> {
        let first = self.due.first_entry()?;
        let is_due = first.key().0 <= now;
        is_due
            .then(|| first.remove())
            .map(|it| (it.version, it.instances))
    }

    /// When the next is to begin.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// The version is no more.
    pub(super) fn forget(&mut self, version: VersionId) {
        self.due.retain(|_, wish| wish.version != version);
    }

    /// What is wanted of the version by that time, or within a second of it, is not wanted any more.
    pub(super) fn take_back(&mut self, version: VersionId, by: Instant) {
        let meant = |wish: &Wish| wish.version == version && wish.by.0.abs_diff(by.0) < SAME;
        self.due.retain(|_, wish| !meant(wish));
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
    fn what_is_taken_back_is_not_started() {
        let mut ahead = Ahead::default();
        for by in [10, 20] {
            ahead.want(VersionId(1), 1, Instant(by * SECOND), None);
        }
        ahead.want(VersionId(2), 1, Instant(10 * SECOND), None);
        ahead.take_back(VersionId(1), Instant(10 * SECOND + 3_000_000));
        assert_eq!(ahead.pop(Instant(30 * SECOND)), Some((VersionId(2), 1)));
        assert_eq!(ahead.pop(Instant(30 * SECOND)), Some((VersionId(1), 1)));
        assert_eq!(ahead.pop(Instant(30 * SECOND)), None);
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
