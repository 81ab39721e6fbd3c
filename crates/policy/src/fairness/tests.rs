//! What fairness promises, on random floods.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

type Queue = Fair<u32, u32>;

/// Requests of accounts' versions, each with what its starts take in milliseconds.
#[derive(Default)]
struct Waiting {
    queue: Queue,
    of: BTreeMap<Ticket, (u32, u32)>,
    costs: BTreeMap<(u32, u32), u32>,
    count: u64,
}

impl Waiting {
    fn wait(&mut self, account: u32, version: u32) -> Ticket {
        let ticket = Ticket(self.count);
        self.count += 1;
        self.queue.wait(flow(&account, &version), ticket);
        self.of.insert(ticket, (account, version));
        ticket
    }

    /// Whoever's turn it is gets a start.
    fn next(&mut self) -> Option<(Ticket, u32, u32)> {
        let ticket = self.queue.first()?;
        let (account, version) = self.of.remove(&ticket).unwrap();
        let cost = self.costs.get(&(account, version)).copied().unwrap_or(1);
        assert!(self.queue.take(flow(&account, &version), ticket, cost * MS));
        Some((ticket, account, version))
    }

    /// Who gets starts before that request does, it not among them.
    fn before(&mut self, ticket: Ticket) -> Vec<(u32, u32)> {
        let next = std::iter::from_fn(|| self.next());
        next.take_while(|(next, ..)| *next != ticket)
            .map(|(_, account, version)| (account, version))
            .collect()
    }
}

fn flow<'a>(account: &'a u32, version: &'a u32) -> Flow<'a, u32, u32> {
    Flow { account, version }
}

fn party<'a>(account: &'a u32, version: &'a u32, share: u64, settled: bool) -> Party<'a, u32, u32> {
    Party {
        flow: flow(account, version),
        share,
        settled,
    }
}

#[test]
fn a_flood_costs_another_version_one_start_and_another_account_one() {
    for (account, version) in [(0, 1), (1, 0)] {
        let mut waiting = Waiting::default();
        for _ in 0..10_000 {
            waiting.wait(0, 0);
        }
        for _ in 0..50 {
            waiting.next();
        }
        let late = waiting.wait(account, version);
        assert!(waiting.before(late).len() <= 1);
    }
}

#[test]
fn who_waits_alone_is_served_in_order_of_arrival() {
    let mut waiting = Waiting::default();
    for version in [3, 1, 2, 1] {
        waiting.wait(0, version);
    }
    let order: Vec<u32> = std::iter::from_fn(|| waiting.next())
        .map(|(.., version)| version)
        .collect();
    assert_eq!(order, [3, 1, 2, 1]);
}

#[test]
fn where_room_is_short_who_holds_least_is_next() {
    let mut queue = Queue::default();
    queue.wait(flow(&0, &0), Ticket(0));
    queue.wait(flow(&1, &0), Ticket(1));
    queue.wait(flow(&1, &1), Ticket(2));
    assert_eq!(queue.neediest(), Some(Ticket(0)), "all hold nothing");
    queue.holds(flow(&0, &5), 10);
    queue.holds(flow(&1, &0), 5);
    assert_eq!(
        queue.neediest(),
        Some(Ticket(2)),
        "of the lesser account, the lesser version"
    );
    assert_eq!(queue.neediest_in(&0), Some(Ticket(0)));
    queue.lets_go(flow(&0, &5), 10);
    assert_eq!(queue.neediest(), Some(Ticket(0)));
    assert_eq!(queue.held(flow(&1, &0)), (5, 5));
}

#[test]
fn one_place_changes_hands_once_its_start_was_of_use() {
    let mut queue = Queue::default();
    queue.holds(flow(&0, &0), 1);
    for taker in [(0, 1), (1, 0)] {
        let (account, version) = taker;
        for (giver_settled, taker_settled) in [(false, false), (true, false), (false, true)] {
            assert!(!queue.gives_way(
                &party(&0, &0, 1, giver_settled),
                &party(&account, &version, 1, taker_settled)
            ));
        }
        assert!(queue.gives_way(&party(&0, &0, 1, true), &party(&account, &version, 1, true)));
    }
    assert!(!queue.gives_way(&party(&0, &0, 1, true), &party(&0, &0, 1, true)));
}

#[test]
fn room_too_little_for_a_large_one_is_left_to_it_while_it_has_less() {
    let mut queue = Queue::default();
    let (small, large) = (party(&0, &0, 1, true), party(&0, &1, 8, true));
    assert!(!queue.may_pass(&small, &large), "it holds nothing");
    queue.holds(flow(&0, &1), 8);
    queue.holds(flow(&0, &0), 15);
    assert!(queue.may_pass(&small, &large));
    queue.holds(flow(&0, &0), 1);
    assert!(
        !queue.may_pass(&small, &large),
        "one more would have to give way"
    );
    assert!(!queue.gives_way(&small, &large), "none has to now");
    queue.holds(flow(&0, &0), 1);
    assert!(queue.gives_way(&small, &large));
}

proptest! {
    /// Of accounts that all have requests waiting, none gets more than its share but for what one start of each
    /// takes; and so of the versions of each.
    #[test]
    fn shares_of_starting_are_fair(
        costs in proptest::collection::vec(proptest::collection::vec(1u32..200, 1..4), 2..5),
        turns in 10usize..400,
    ) {
        let mut waiting = Waiting::default();
        for (account, costs) in (0..).zip(&costs) {
            for (version, cost) in (0..).zip(costs) {
                waiting.costs.insert((account, version), *cost);
                (0..400).for_each(|_| { waiting.wait(account, version); });
            }
        }
        let mut served: Vec<Vec<u32>> = costs.iter().map(|costs| vec![0; costs.len()]).collect();
        for _ in 0..turns {
            let (_, account, version) = waiting.next().unwrap();
            served[account as usize][version as usize] += costs[account as usize][version as usize];
        }
        let dearest = *costs.iter().flatten().max().unwrap();
        let spread = |served: &[u32]| served.iter().max().unwrap() - served.iter().min().unwrap();
        for (served, costs) in served.iter().zip(&costs) {
            prop_assert!(spread(served) <= 2 * costs.iter().max().unwrap(), "{served:?}");
        }
        let accounts: Vec<u32> = served.iter().map(|served| served.iter().sum()).collect();
        prop_assert!(spread(&accounts) <= 2 * dearest, "{served:?}");
    }

    /// Whatever floods there are: a request of an account that had none is passed by one start of each other account
    /// at most, and one of a version that had none by one of each other version of its account.
    #[test]
    fn who_comes_late_is_passed_once_by_each(
        costs in proptest::collection::vec((0u32..4, 0u32..4, 1u32..500), 1..12),
        arrivals in proptest::collection::vec((0usize..12, 1usize..40), 1..40),
        taken in 0usize..300,
        of_its_own in any::<bool>(),
    ) {
        let mut waiting = Waiting::default();
        for (account, version, cost) in &costs {
            waiting.costs.insert((*account, *version), *cost);
        }
        for (number, (which, requests)) in arrivals.into_iter().enumerate() {
            let (account, version, _) = costs[which % costs.len()];
            (0..requests).for_each(|_| { waiting.wait(account, version); });
            (0..taken % (number + 2)).for_each(|_| { waiting.next(); });
        }
        let (account, version) = if of_its_own { (9, 0) } else { (costs[0].0, 9) };
        let late = waiting.wait(account, version);
        let before = waiting.before(late);
        for passed in 0..5 {
            let of_account = before.iter().filter(|flow| flow.0 == passed).count();
            prop_assert!(!of_its_own || of_account <= 1, "{before:?}");
            let of_version = before.iter().filter(|flow| **flow == (account, passed)).count();
            prop_assert!(of_version <= 1, "{before:?}");
        }
    }

    /// Nobody is lost, and nobody is served twice.
    #[test]
    fn every_request_has_one_turn(
        flows in proptest::collection::vec((0u32..3, 0u32..200), 1..300),
        leaves in proptest::collection::vec(0u64..300, 0..50),
    ) {
        let mut waiting = Waiting::default();
        for (account, version) in &flows {
            waiting.wait(*account, *version);
        }
        for ticket in leaves {
            let of = waiting.of.remove(&Ticket(ticket));
            let (account, version) = of.unwrap_or((0, 0));
            prop_assert_eq!(waiting.queue.left(flow(&account, &version), Ticket(ticket)), of.is_some());
        }
        prop_assert_eq!(waiting.queue.len(), waiting.of.len());
        while waiting.next().is_some() {}
        prop_assert!(waiting.of.is_empty() && waiting.queue.is_empty());
        prop_assert_eq!(waiting.queue.neediest(), None);
    }

    /// A node of so many places, full, on which all have more to do than it can: as its instances become free in any
    /// order, accounts come to hold as much as each other, and versions within them, as far as places can be parted;
    /// then nothing changes hands any more. Nobody has settled, so that nothing does for time alone.
    #[test]
    fn room_becomes_equal_and_stays(
        accounts in proptest::collection::vec(1u32..4, 1..4),
        places in 12u64..60,
        mut seed in any::<u64>(),
    ) {
        let flows: Vec<(u32, u32)> = (0..)
            .zip(&accounts)
            .flat_map(|(account, versions)| (0..*versions).map(move |version| (account, version)))
            .collect();
        let mut queue = Queue::default();
        for (ticket, (account, version)) in (0..).zip(&flows) {
            queue.wait(flow(account, version), Ticket(ticket));
        }
        // One has taken all of it.
        queue.holds(flow(&0, &0), places);
        let mut instances = vec![(0u32, 0u32); places as usize];
        let mut changes = 0;
        for round in 0..40 * places {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (seed >> 33) as usize % instances.len();
            let (account, version) = instances[at];
            let giver = party(&account, &version, 1, false);
            let others = [queue.neediest(), queue.neediest_in(&account)];
            let gives = others.into_iter().flatten().any(|ticket| {
                let (account, version) = flows[ticket.0 as usize];
                queue.gives_way(&giver, &party(&account, &version, 1, true))
            });
            if gives {
                queue.lets_go(flow(&account, &version), 1);
                let (account, version) = flows[queue.neediest().unwrap().0 as usize];
                queue.holds(flow(&account, &version), 1);
                instances[at] = (account, version);
                changes = round;
            }
        }
        let spread = |held: &[u64]| held.iter().max().unwrap() - held.iter().min().unwrap();
        let mut of_accounts = Vec::new();
        for (account, versions) in (0..).zip(&accounts) {
            let held: Vec<(u64, u64)> = (0..*versions).map(|version| queue.held(flow(&account, &version))).collect();
            let of_versions: Vec<u64> = held.iter().map(|held| held.1).collect();
            prop_assert!(spread(&of_versions) <= 2, "{account}: {held:?}, last change in {changes}");
            of_accounts.push(held[0].0);
        }
        prop_assert!(spread(&of_accounts) <= 2, "{of_accounts:?}");
        prop_assert!(changes < 20 * places, "{changes}");
    }
}
