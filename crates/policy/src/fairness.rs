//! In which order waiting starts are made, and how many at once: a flood on one function costs another at
//! most a stated factor.
//!
//! Start-time fair queueing (Goyal, Vin and Cheng, IEEE/ACM ToN 1997) over flows, each the requests of one
//! version: a request's tag is the later of the queue's own time and the end of its flow's last one, and
//! the lowest tag goes first. Of `n` flows with requests waiting, each gets at least `1/n` of the node's
//! starting, so that a request of a flow that has no other waiting is passed by at most one of each other
//! flow, whatever these have waiting.
//!
//! How many starts are made at once follows what they take: as long as starts beside others take about
//! what they take alone, one more is let in for each round; when they take twice as long, half as many.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::{Ticket, VersionId};

/// Starts at once, at least and at most.
const FEWEST: f32 = 2.0;
const MOST: f32 = 64.0;
/// Starts at once, at first.
const FIRST: f32 = 16.0;
/// How many times what it takes alone a start may take before fewer are made at once.
const CROWDED: f32 = 2.0;

/// The queue of one node.
#[derive(Debug, Clone)]
pub struct Turns {
    waiting: BTreeSet<(u64, Ticket)>,
    tags: BTreeMap<Ticket, (u64, VersionId)>,
    /// Where each flow's last request ends, for flows that are ahead of the queue's time.
    ends: BTreeMap<VersionId, u64>,
    time: u64,
    under_way: u32,
    at_once: f32,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            waiting: BTreeSet::new(),
            tags: BTreeMap::new(),
            ends: BTreeMap::new(),
            time: 0,
            under_way: 0,
            at_once: FIRST,
        }
    }
}

impl Turns {
    /// A request waits for a start that is expected to take so long.
    pub fn wait(&mut self, ticket: Ticket, version: VersionId, takes: Duration) {
        let end = self.ends.get(&version).copied().unwrap_or(0);
        let tag = end.max(self.time);
        let cost = u64::try_from(takes.as_nanos())
            .unwrap_or(u64::MAX)
            .clamp(1, 1 << 40);
        self.ends.insert(version, tag.saturating_add(cost));
        self.waiting.insert((tag, ticket));
        self.tags.insert(ticket, (tag, version));
    }

    /// A request waits no more. False where it did not.
    pub fn left(&mut self, ticket: Ticket) -> bool {
        let Some((tag, _)) = self.tags.remove(&ticket) else {
            return false;
        };
        self.waiting.remove(&(tag, ticket))
    }

    /// The request whose turn it is, if another start may be made now.
    pub fn take(&mut self) -> Option<(Ticket, VersionId)> {
        if self.under_way >= self.at_once as u32 {
            return None;
        }
        let (tag, ticket) = self.waiting.pop_first()?;
        let (_, version) = self.tags.remove(&ticket)?;
        self.time = self.time.max(tag);
        if self.waiting.is_empty() {
            self.ends.clear();
        } else if self.ends.len() > 2 * self.tags.len() + 64 {
            let time = self.time;
            self.ends.retain(|_, end| *end > time);
        }
        Some((ticket, version))
    }

    /// A start has begun.
    pub fn begun(&mut self) {
        self.under_way += 1;
    }

    /// A start is over that took so long, and would have taken `alone`; or it came to nothing.
    pub fn over(&mut self, took: Option<(Duration, Duration)>) {
        let full = self.under_way as f32 + 1.0 > self.at_once;
        self.under_way = self.under_way.saturating_sub(1);
        let Some((took, alone)) = took else {
            return;
        };
        if took.as_secs_f32() > CROWDED * alone.as_secs_f32() + 1e-3 {
            // Once for each round of starts that are under way.
            self.at_once *= 0.5f32.powf(1.0 / self.at_once);
        } else if full {
            self.at_once += 1.0 / self.at_once;
        }
        self.at_once = self.at_once.clamp(FEWEST, MOST);
    }

    /// Requests that wait.
    pub fn len(&self) -> usize {
        self.tags.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// Starts that are made at once now.
    pub fn at_once(&self) -> u32 {
        self.at_once as u32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_flood_costs_another_one_start() {
        let mut turns = Turns::default();
        for ticket in 0..10_000 {
            turns.wait(Ticket(ticket), VersionId(0), 100 * MS);
        }
        for _ in 0..50 {
            let _ = turns.take();
        }
        turns.wait(Ticket(20_000), VersionId(1), 100 * MS);
        let order: Vec<u32> = (0..2)
            .filter_map(|_| turns.take())
            .map(|(_, version)| version.0)
            .collect();
        assert!(order.contains(&1), "{order:?}");
    }

    #[test]
    fn crowded_starts_make_fewer_at_once() {
        let mut turns = Turns::default();
        for _ in 0..200 {
            turns.begun();
            turns.over(Some((500 * MS, 100 * MS)));
        }
        assert_eq!(turns.at_once(), 2);
        for round in 0..40 {
            let at_once = turns.at_once();
            for _ in 0..at_once {
                turns.begun();
            }
            for _ in 0..at_once {
                turns.over(Some((100 * MS, 100 * MS)));
            }
            assert!(turns.at_once() >= at_once, "{round}");
        }
        assert!(turns.at_once() > 4, "{}", turns.at_once());
    }

    proptest! {
        /// Of flows that all have requests waiting, none gets more than its share and one start's cost.
        #[test]
        fn shares_are_fair(costs in proptest::collection::vec(1u32..200, 2..6), turns_taken in 10usize..400) {
            let mut turns = Turns::default();
            let mut ticket = 0;
            for (flow, cost) in costs.iter().enumerate() {
                for _ in 0..600 {
                    turns.wait(Ticket(ticket), VersionId(flow as u32), *cost * MS);
                    ticket += 1;
                }
            }
            let mut served = vec![0u64; costs.len()];
            for _ in 0..turns_taken {
                let (_, version) = turns.take().unwrap();
                served[version.0 as usize] += u64::from(costs[version.0 as usize]);
            }
            let dearest = u64::from(*costs.iter().max().unwrap());
            let (least, most) = (served.iter().min().unwrap(), served.iter().max().unwrap());
            prop_assert!(most - least <= 2 * dearest, "{served:?}");
        }

        /// Nobody is lost, and nobody is served twice.
        #[test]
        fn every_request_has_one_turn(flows in proptest::collection::vec(0u32..5, 1..100), leaves in proptest::collection::vec(0usize..100, 0..20)) {
            let mut turns = Turns::default();
            for (ticket, flow) in flows.iter().enumerate() {
                turns.wait(Ticket(ticket as u64), VersionId(*flow), MS);
            }
            let mut expected: BTreeSet<u64> = (0..flows.len() as u64).collect();
            for ticket in leaves {
                prop_assert_eq!(turns.left(Ticket(ticket as u64)), expected.remove(&(ticket as u64)));
            }
            while let Some((ticket, _)) = turns.take() {
                prop_assert!(expected.remove(&ticket.0));
            }
            prop_assert!(expected.is_empty() && turns.is_empty());
        }
    }
}
