//! How much of the room an account may hold, and a function of it. Pure.
//!
//! What runs is not interrupted, and may take a quarter of an hour: so nobody is given what the next that comes
//! anew would have to wait for ("dynamic thresholds", Choudhury and Hahne, 1998). An account holds at most
//! [`OF_FREE`] times what is free, and where another waits, at most its fair share; a lane at most [`OF_LEFT`]
//! times what its account could still be given. Both are judged as things would be afterwards, so that one more
//! account, and one more lane of the account, always fit behind it.

/// What an account may hold, as a multiple of what is free.
const OF_FREE: usize = 3;
/// What a lane may hold, as a multiple of what its account could still be given.
const OF_LEFT: usize = 2;

/// What there is, and how many want it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) all: usize,
    /// Of it, what nobody holds.
    pub(super) free: usize,
    /// Accounts that hold or want some of it.
    pub(super) accounts: usize,
    /// Whether more than one wants more.
    pub(super) contended: bool,
}

impl Room {
    /// Whether an account that holds so much may be given more.
    pub(super) fn has_for_account(&self, held: usize) -> bool {
        self.free > 0 && (held == 0 || self.given().could_be_held(held + 1))
    }

    /// Whether a lane that holds so much may be given more, where its account may.
    pub(super) fn has_for_lane(&self, account_held: usize, held: usize) -> bool {
        held == 0 || held < OF_LEFT * self.given().left_for(account_held + 1)
    }

    /// The same with one more held.
    fn given(self) -> Self {
        Self {
            free: self.free - 1,
            ..self
        }
    }

    fn could_be_held(&self, held: usize) -> bool {
        held <= (OF_FREE * self.free).min(self.most())
    }

    /// What an account that holds so much could be given besides, if nobody else took any: each takes one from
    /// what is free, too.
    fn left_for(&self, held: usize) -> usize {
        let of_free = (OF_FREE * self.free).saturating_sub(held) / (OF_FREE + 1);
        of_free.min(self.most().saturating_sub(held))
    }

    fn most(&self) -> usize {
        match self.contended {
            true => self.all.div_ceil(self.accounts.max(1)),
            false => self.all,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What lanes hold that want all there is, after taking turns: `accounts` with so many lanes each.
    fn filled(all: usize, accounts: &[usize]) -> Vec<Vec<usize>> {
        let mut held: Vec<Vec<usize>> = accounts.iter().map(|lanes| vec![0; *lanes]).collect();
        let mut more = true;
        while more {
            more = false;
            for account in 0..held.len() {
                let free = all - held.iter().flatten().sum::<usize>();
                let room = Room {
                    all,
                    free,
                    accounts: accounts.len(),
                    contended: accounts.len() > 1,
                };
                let of_account: usize = held[account].iter().sum();
                if !room.has_for_account(of_account) {
                    continue;
                }
                let lane = held[account]
                    .iter_mut()
                    .find(|lane| room.has_for_lane(of_account, **lane));
                if let Some(lane) = lane {
                    *lane += 1;
                    more = true;
                }
            }
        }
        held
    }

    #[test]
    fn who_is_alone_leaves_room_for_others() {
        assert_eq!(filled(128, &[1]), [[64]], "one function: half");
        let many = filled(128, &[200]);
        assert_eq!(many[0].iter().sum::<usize>(), 96, "many: three quarters");
        assert_eq!(filled(4, &[1]), [[2]]);
        assert_eq!(filled(1, &[1]), [[1]]);
    }

    #[test]
    fn two_that_want_everything_have_the_same_and_leave_some() {
        let held = filled(128, &[100, 100]);
        let of: Vec<usize> = held.iter().map(|lanes| lanes.iter().sum()).collect();
        assert!(of[0].abs_diff(of[1]) <= 1 && of[0] > 50, "{of:?}");
        assert!(of.iter().sum::<usize>() < 128);
    }

    proptest! {
        #[test]
        fn nobody_has_more_than_its_share_and_one_more_finds_room(
            all in 1..200_usize,
            lanes in prop::collection::vec(1..30_usize, 1..8),
        ) {
            let held = filled(all, &lanes);
            let fair = all.div_ceil(lanes.len());
            let taken: usize = held.iter().flatten().sum();
            for account in &held {
                let of_account: usize = account.iter().sum();
                prop_assert!(lanes.len() == 1 || of_account <= fair);
                // A further account, and beside a lane that is alone, a further lane.
                if all > lanes.len() {
                    prop_assert!(of_account >= 1);
                    prop_assert!(taken < all);
                }
                if lanes == [1] && of_account > 1 {
                    let room = Room { all, free: all - taken, accounts: 1, contended: false };
                    prop_assert!(room.has_for_account(of_account) && room.has_for_lane(of_account, 0));
                }
            }
        }
    }
}
