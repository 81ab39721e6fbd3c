//! The places of a queue, and which of them each account has. Pure.

use std::collections::HashMap;
use std::sync::Arc;

/// How many events wait or run, in all and of each account.
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

impl Places {
    pub(crate) fn new(limits: PlaceLimits) -> Self {
        Self {
            limits,
            taken: 0,
            of: HashMap::new(),
        }
    }

    /// Takes a place, if there is one for that account: no account has more than are still free, so that
    /// however many fill the queue, one that comes anew finds a place.
    pub(crate) fn enter(&mut self, account: &str) -> bool {
        let free = self.limits.all.saturating_sub(self.taken);
        let has = self.of.get(account).copied().unwrap_or(0);
        let may = has < self.limits.account && has < free;
        if may {
            self.put(account);
        }
        may
    }

    /// Takes a place for an event that was accepted already.
    pub(crate) fn put(&mut self, account: &str) {
        self.taken += 1;
        match self.of.get_mut(account) {
            Some(has) => *has += 1,
            None => drop(self.of.insert(account.into(), 1)),
        }
    }

    /// Gives a place back.
    pub(crate) fn leave(&mut self, account: &str) {
        let Some(has) = self.of.get_mut(account) else {
            return;
        };
        self.taken -= 1;
        *has -= 1;
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

    /// How many are taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
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
        (0..).take_while(|_| places.enter(account)).count() as u64
    }

    #[test]
    fn an_account_that_fills_the_queue_leaves_places_for_others() {
        let mut queue = places(100, 100);
        assert_eq!(fill(&mut queue, "flood"), 50);
        assert_eq!(fill(&mut queue, "second"), 25);
        assert!(queue.enter("quiet"));
        assert!(!queue.enter("flood"));
        queue.leave("flood");
        assert!(!queue.enter("flood"), "it has more than its part");
        assert_eq!(queue.taken(), 75);
    }

    #[test]
    fn an_account_has_a_limit_of_its_own() {
        let mut queue = places(100, 10);
        assert_eq!(fill(&mut queue, "a"), 10);
        queue.leave("a");
        assert!(queue.enter("a") && !queue.enter("a"));
        assert_eq!(fill(&mut queue, "b"), 10);
    }

    #[test]
    fn what_an_earlier_run_accepted_counts() {
        let mut queue = places(4, 4);
        (0..5).for_each(|_| queue.put("a"));
        assert!(!queue.enter("a") && !queue.enter("b"));
        assert!(queue.is_over("a") && !queue.is_over("b"));
        (0..5).for_each(|_| queue.leave("a"));
        assert!(queue.of.is_empty() && queue.enter("b"));
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
                    true => drop(queue.enter(&name)),
                    false => queue.leave(&name),
                }
                prop_assert!(queue.taken() <= all);
                prop_assert_eq!(queue.taken(), queue.of.values().sum::<u64>());
                prop_assert!(queue.of.values().all(|has| *has <= account && *has > 0));
                // Each further account halves what is free at most: it takes as many as that to fill it.
                let full = queue.taken() == all;
                prop_assert!(!full || 1 << queue.of.len() > all);
            }
        }
    }
}
