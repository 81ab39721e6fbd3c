//! The places of a queue, and which of them each account has. Pure.

use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of an event that one place holds: a larger event takes several, so that the places bound the disk, too.
const PLACE_BYTES: usize = 64 * 1024;

/// The places of events that wait or run, in all and of each account.
#[derive(Debug)]
pub(crate) struct Places {
    limits: PlaceLimits,
    taken: u64,
    of: HashMap<Arc<str>, u64>,
}

/// How many there can be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlaceLimits {
    /// In all.
    pub(crate) all: u64,
    /// Of one account.
    pub(crate) account: u64,
}

/// What follows an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Following {
    /// Which of it has places.
    pub(crate) fits: Vec<bool>,
    /// Places that are held for it and the event.
    pub(crate) held: u64,
}

impl Places {
    pub(crate) fn new(limits: PlaceLimits) -> Self {
        Self {
            limits,
            taken: 0,
            of: HashMap::new(),
        }
    }

    /// Takes the places of an event of that size, if there are so many for that account: none has more than are
    /// still free, so that however many fill the queue, one that comes anew finds a place.
    pub(crate) fn enter(&mut self, account: &str, bytes: usize) -> bool {
        self.take(account, self.needed(bytes))
    }

    /// Takes the places of an event that was accepted already.
    pub(crate) fn put(&mut self, account: &str, bytes: usize) {
        self.add(account, self.needed(bytes));
    }

    /// Gives the places of an event back.
    pub(crate) fn leave(&mut self, account: &str, bytes: usize) {
        self.give_back(account, self.needed(bytes));
    }

    /// Hands the places of an event on to what follows it, in order, with as many more as it needs where there are
    /// so many.
    pub(crate) fn follow(
        &mut self,
        account: &str,
        bytes: usize,
        followers: impl Iterator<Item = Option<usize>>,
    ) -> Following {
        let mut held = self.needed(bytes);
        let mut spare = held;
        let fits = followers.map(|follower| {
            let Some(bytes) = follower else { return false };
            let needed = self.needed(bytes);
            let more = needed.saturating_sub(spare);
            let fits = more == 0 || self.take(account, more);
            if fits {
                held += more;
                spare = spare.saturating_sub(needed);
            }
            fits
        });
        let fits = fits.collect();
        Following { fits, held }
    }

    /// Of places that are held, keeps those of events of these sizes.
    pub(crate) fn keep(&mut self, account: &str, held: u64, sizes: &[usize]) {
        let kept: u64 = sizes.iter().map(|bytes| self.needed(*bytes)).sum();
        self.give_back(account, held.saturating_sub(kept));
    }

    /// Never more than an account may have: any event finds room in an empty queue.
    fn needed(&self, bytes: usize) -> u64 {
        let most = self.limits.account.min(self.limits.all.div_ceil(2));
        let places = u64::try_from(bytes.div_ceil(PLACE_BYTES)).unwrap_or(u64::MAX);
        places.min(most).max(1)
    }

    fn take(&mut self, account: &str, places: u64) -> bool {
        let free = self.limits.all.saturating_sub(self.taken);
        let has = self.of.get(account).copied().unwrap_or(0) + places;
        let may = has <= self.limits.account && has <= free;
        if may {
            self.add(account, places);
        }
        may
    }

    fn add(&mut self, account: &str, places: u64) {
        self.taken += places;
        match self.of.get_mut(account) {
            Some(has) => *has += places,
            None => drop(self.of.insert(account.into(), places)),
        }
    }

    fn give_back(&mut self, account: &str, places: u64) {
        let Some(has) = self.of.get_mut(account) else {
            return;
        };
        let places = places.min(*has);
        self.taken -= places;
        *has -= places;
        if *has == 0 {
            self.of.remove(account);
        }
    }

    /// Whether an account has more than its limit, by what [`Places::put`] took.
    pub(crate) fn is_over(&self, account: &str) -> bool {
        self.of
            .get(account)
            .is_some_and(|has| *has > self.limits.account)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places(all: u64, account: u64) -> Places {
        Places::new(PlaceLimits { all, account })
    }

    fn fill(places: &mut Places, account: &str) -> u64 {
        (0..).take_while(|_| places.enter(account, 0)).count() as u64
    }

    #[test]
    fn an_account_that_fills_the_queue_leaves_places_for_others() {
        let mut queue = places(100, 100);
        assert_eq!(fill(&mut queue, "flood"), 50);
        assert_eq!(fill(&mut queue, "second"), 25);
        assert!(queue.enter("quiet", 0));
        assert!(!queue.enter("flood", 0));
        queue.leave("flood", 0);
        assert!(!queue.enter("flood", 0), "it has more than its part");
        assert_eq!(queue.taken, 75);
    }

    #[test]
    fn an_account_has_a_limit_of_its_own() {
        let mut queue = places(100, 10);
        assert_eq!(fill(&mut queue, "a"), 10);
        queue.leave("a", 0);
        assert!(queue.enter("a", 0) && !queue.enter("a", 0));
        assert_eq!(fill(&mut queue, "b"), 10);
    }

    #[test]
    fn what_an_earlier_run_accepted_counts() {
        let mut queue = places(4, 4);
        (0..5).for_each(|_| queue.put("a", 0));
        assert!(!queue.enter("a", 0) && !queue.enter("b", 0));
        assert!(queue.is_over("a") && !queue.is_over("b"));
        (0..5).for_each(|_| queue.leave("a", 0));
        assert!(queue.of.is_empty() && queue.enter("b", 0));
    }

    #[test]
    fn a_large_event_takes_several_and_fits_all_the_same() {
        let mut queue = places(100, 40);
        assert!(queue.enter("a", 64 * 1024) && queue.enter("a", 64 * 1024 + 1));
        assert_eq!(queue.taken, 3);
        assert!(queue.enter("a", 37 * 64 * 1024));
        assert!(!queue.enter("a", 1));
        queue.leave("a", 37 * 64 * 1024);
        assert_eq!(queue.taken, 3);
        let mut small = places(3, 3);
        assert!(small.enter("a", 1 << 20), "in an empty queue any does");
        assert_eq!(small.taken, 2);
    }

    #[test]
    fn followers_take_over_what_their_event_had() {
        const K64: usize = 64 * 1024;
        let mut queue = places(100, 4);
        (0..4).for_each(|_| queue.put("a", 1));
        // One in its place; the second would need another.
        let both = queue.follow("a", 1, [Some(1), Some(1)].into_iter());
        assert_eq!((both.fits, both.held), (vec![true, false], 1));
        queue.keep("a", both.held, &[1]);
        assert_eq!(queue.taken, 4);
        // A larger one does not fit, and the one behind it does.
        let larger = queue.follow("a", 1, [Some(K64 + 1), None, Some(1)].into_iter());
        assert_eq!((larger.fits, larger.held), (vec![false, false, true], 1));
        queue.keep("a", larger.held, &[]);
        assert_eq!(queue.taken, 3);
        let larger = queue.follow("a", 1, [Some(K64 + 1)].into_iter());
        assert_eq!((larger.fits, larger.held), (vec![true], 2));
        assert_eq!(queue.taken, 4);
        queue.keep("a", larger.held, &[1]);
        assert_eq!(queue.taken, 3);
    }

    proptest! {
        #[test]
        fn the_limits_hold_and_nobody_is_kept_out_by_one_other(
            all in 1..40_u64,
            account in 1..40_u64,
            steps in prop::collection::vec((0..4_u8, any::<bool>()), 0..200),
        ) {
            let mut queue = places(all, account);
            for (name, enters) in steps {
                let name = name.to_string();
                match enters {
                    true => drop(queue.enter(&name, 0)),
                    false => queue.leave(&name, 0),
                }
                prop_assert!(queue.taken <= all);
                prop_assert_eq!(queue.taken, queue.of.values().sum::<u64>());
                prop_assert!(queue.of.values().all(|has| *has <= account && *has > 0));
                // Each further account halves what is free at most: it takes as many as that to fill it.
                let full = queue.taken == all;
                prop_assert!(!full || 1 << queue.of.len() > all);
            }
        }
    }
}
