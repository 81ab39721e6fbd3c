//! The flows of one level: accounts, or the versions of one.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::Ticket;

/// Flows that are known before the first tidying.
const FEW: usize = 64;

/// Flows by name, with what each is made of; those that wait by whose turn it is, and by what they hold.
#[derive(Debug)]
pub(super) struct Level<K, C> {
    numbers: HashMap<K, u32>,
    flows: Vec<Flow<C>>,
    free: Vec<u32>,
    by_tag: BTreeSet<(u64, Ticket, u32)>,
    by_need: BTreeSet<(u64, u64, Ticket, u32)>,
    /// The tag of what was served last.
    time: u64,
    /// The highest tag.
    latest: u64,
    tidy_at: usize,
}

#[derive(Debug)]
struct Flow<C> {
    /// Where what it has waiting begins, or what it had ended.
    tag: u64,
    /// Since that request it has had some waiting.
    since: Option<Ticket>,
    held: u64,
    of: C,
}

impl<K, C> Default for Level<K, C> {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            flows: Vec::new(),
            free: Vec::new(),
            by_tag: BTreeSet::new(),
            by_need: BTreeSet::new(),
            time: 0,
            latest: 0,
            tidy_at: FEW,
        }
    }
}

impl<K: Eq + Hash + Clone, C: Default> Level<K, C> {
    pub(super) fn number(&self, key: &K) -> Option<u32> {
        self.numbers.get(key).copied()
    }

    /// The number of a flow, which is new if need be.
    pub(super) fn enter(&mut self, key: &K) -> u32 {
        if let Some(number) = self.number(key) {
            return number;
        }
        self.tidy();
        let flow = Flow {
            tag: 0,
            since: None,
            held: 0,
            of: C::default(),
        };
        let number = match self.free.pop() {
            Some(number) => {
                self.flows[number as usize] = flow;
                number
            }
            None => {
                self.flows.push(flow);
                (self.flows.len() - 1) as u32
            }
        };
        self.numbers.insert(key.clone(), number);
        number
    }

    pub(super) fn at(&self, number: u32) -> &C {
        &self.flows[number as usize].of
    }

    pub(super) fn at_mut(&mut self, number: u32) -> &mut C {
        &mut self.flows[number as usize].of
    }

    pub(super) fn held(&self, number: u32) -> u64 {
        self.flows[number as usize].held
    }

    /// A flow has a request waiting.
    pub(super) fn wait(&mut self, number: u32, ticket: Ticket) {
        if self.flows[number as usize].since.is_none() {
            let time = self.time;
            self.change(number, |flow| {
                flow.tag = flow.tag.max(time);
                flow.since = Some(ticket);
            });
        }
    }

    /// One of a flow's requests waits no more: it was served at that cost, or went. `last` if no other waits.
    pub(super) fn served(&mut self, number: u32, cost: Option<u64>, last: bool) {
        if cost.is_some()
            && let Some((tag, ..)) = self.by_tag.first()
        {
            self.time = self.time.max(*tag);
        }
        self.change(number, |flow| {
            flow.tag = flow.tag.saturating_add(cost.unwrap_or(0));
            if last {
                flow.since = None;
            }
        });
        if self.by_tag.is_empty() {
            // Nobody was kept waiting by what was: it is forgotten.
            self.time = self.latest;
        }
    }

    pub(super) fn hold(&mut self, number: u32, share: u64) {
        self.change(number, |flow| flow.held = flow.held.saturating_add(share));
    }

    pub(super) fn let_go(&mut self, number: u32, share: u64) {
        self.change(number, |flow| flow.held = flow.held.saturating_sub(share));
    }

    pub(super) fn first(&self) -> Option<u32> {
        self.by_tag.first().map(|(.., number)| *number)
    }

    pub(super) fn neediest(&self) -> Option<u32> {
        self.by_need.first().map(|(.., number)| *number)
    }

    /// Whether no flow has anything waiting.
    pub(super) fn is_quiet(&self) -> bool {
        self.by_tag.is_empty()
    }

    fn change(&mut self, number: u32, change: impl FnOnce(&mut Flow<C>)) {
        let flow = &mut self.flows[number as usize];
        if let Some(since) = flow.since {
            self.by_tag.remove(&(flow.tag, since, number));
            self.by_need.remove(&(flow.held, flow.tag, since, number));
        }
        change(flow);
        self.latest = self.latest.max(flow.tag);
        if let Some(since) = flow.since {
            self.by_tag.insert((flow.tag, since, number));
            self.by_need.insert((flow.held, flow.tag, since, number));
        }
    }

    /// Forgets flows that are as good as new, once there are twice as many as were left the last time.
    fn tidy(&mut self) {
        if self.numbers.len() < self.tidy_at {
            return;
        }
        let (flows, free, time) = (&self.flows, &mut self.free, self.time);
        self.numbers.retain(|_, number| {
            let flow = &flows[*number as usize];
            let known = flow.since.is_some() || flow.held > 0 || flow.tag > time;
            if !known {
                free.push(*number);
            }
            known
        });
        self.tidy_at = 2 * self.numbers.len() + FEW;
    }
}
