//! Whose start is made next on a node, and who gives way where its room is short: a flood on one function costs
//! another at most a stated factor, and one of an account another account.
//!
//! Requests that wait for a start are in flows: each version's is one, among those of its account. Where there is
//! room, start-time fair queueing (Goyal, Vin and Cheng, IEEE/ACM ToN 1997) orders them, accounts first and then
//! the versions of each: a flow's tag is the later of the queue's own time and the end of what the flow had last,
//! the lowest tag goes first, and has added to it what its start takes. Of `n` accounts with requests waiting, each
//! gets `1/n` of the node's starting, whatever the others have waiting, and each version its part of its account's:
//! an account with one request waiting that had no start lately is passed by one start of each other account at
//! most, and a version by one of each other version of its account.
//!
//! Where there is no room for the first of that order and for who holds least of the node, who holds least goes
//! first: of accounts the one, and of its versions the one. Room comes back when requests end, and an instance
//! whose version has more waiting would go on with those for ever. So it gives way ([`Fair::gives_way`]) where its
//! account, or within its account its version, holds more even without it than the other would then have: shares
//! become equal, and stay. Who holds nothing at all gets room in any case, where that is no waste: after its start a
//! version keeps what it has, and does not ask again, until that has been of use for [`USE`] times what the start
//! took.
//!
//! What a decision takes grows with the logarithm of the flows that wait. A flow takes about 200 bytes and its
//! name while it waits or holds something, and until the next tidying after that.

mod at_once;
mod level;

pub use at_once::AtOnce;

use std::collections::BTreeSet;
use std::hash::Hash;
use std::time::Duration;

use crate::Ticket;
use level::Level;

/// How many times what its start took a version keeps its room, and asks for none: at most a fifth of the time of
/// what passes between versions that have enough to do is spent on starts.
pub const USE: u32 = 4;

/// A flow: an account's version.
#[derive(Debug)]
pub struct Flow<'a, A, V> {
    /// The account.
    pub account: &'a A,
    /// Its version.
    pub version: &'a V,
}

impl<A, V> Clone for Flow<'_, A, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, V> Copy for Flow<'_, A, V> {}

/// Someone who could give way, or be given way to.
#[derive(Debug)]
pub struct Party<'a, A, V> {
    /// Who.
    pub flow: Flow<'a, A, V>,
    /// The share of the node that its instance takes, or would take.
    pub share: u64,
    /// Its last start has been of use for [`USE`] times what it took.
    pub settled: bool,
}

/// The requests that wait for a start, and the shares of the node that all flows hold. Shares are in any unit in
/// which they can be added.
#[derive(Debug)]
pub struct Fair<A, V> {
    accounts: Level<A, Level<V, BTreeSet<Ticket>>>,
    waiting: usize,
}

impl<A, V> Default for Fair<A, V> {
    fn default() -> Self {
        Self {
            accounts: Level::default(),
            waiting: 0,
        }
    }
}

impl<A: Eq + Hash + Clone, V: Eq + Hash + Clone> Fair<A, V> {
    /// A request waits for a start.
    pub fn wait(&mut self, flow: Flow<'_, A, V>, ticket: Ticket) {
        let account = self.accounts.enter(flow.account);
        let versions = self.accounts.at_mut(account);
        let version = versions.enter(flow.version);
        if versions.at_mut(version).insert(ticket) {
            self.waiting += 1;
        }
        versions.wait(version, ticket);
        self.accounts.wait(account, ticket);
    }

    /// A request waits for a start no more. False where it did not.
    pub fn left(&mut self, flow: Flow<'_, A, V>, ticket: Ticket) -> bool {
        self.remove(flow, ticket, None)
    }

    /// A request gets its start, which is expected to take so long of what starts share.
    pub fn take(&mut self, flow: Flow<'_, A, V>, ticket: Ticket, takes: Duration) -> bool {
        self.remove(flow, ticket, Some(takes))
    }

    fn remove(&mut self, flow: Flow<'_, A, V>, ticket: Ticket, takes: Option<Duration>) -> bool {
        let Some(account) = self.accounts.number(flow.account) else {
            return false;
        };
        let versions = self.accounts.at_mut(account);
        let Some(version) = versions.number(flow.version) else {
            return false;
        };
        let tickets = versions.at_mut(version);
        if !tickets.remove(&ticket) {
            return false;
        }
        let (last, cost) = (tickets.is_empty(), takes.map(cost));
        versions.served(version, cost, last);
        let last = versions.is_quiet();
        self.accounts.served(account, cost, last);
        self.waiting -= 1;
        true
    }

    /// Whose turn it is.
    pub fn first(&self) -> Option<Ticket> {
        let versions = self.accounts.at(self.accounts.first()?);
        versions.at(versions.first()?).first().copied()
    }

    /// Whose turn it is where room is short: who holds least, and among equals whose turn it would be.
    pub fn neediest(&self) -> Option<Ticket> {
        self.neediest_of(self.accounts.neediest()?)
    }

    /// The same among the requests of one account.
    pub fn neediest_in(&self, account: &A) -> Option<Ticket> {
        self.neediest_of(self.accounts.number(account)?)
    }

    fn neediest_of(&self, account: u32) -> Option<Ticket> {
        let versions = self.accounts.at(account);
        versions.at(versions.neediest()?).first().copied()
    }

    /// A flow holds so much more of the node.
    pub fn holds(&mut self, flow: Flow<'_, A, V>, share: u64) {
        let account = self.accounts.enter(flow.account);
        let versions = self.accounts.at_mut(account);
        let version = versions.enter(flow.version);
        versions.hold(version, share);
        self.accounts.hold(account, share);
    }

    /// A flow holds so much less of it.
    pub fn lets_go(&mut self, flow: Flow<'_, A, V>, share: u64) {
        let Some(account) = self.accounts.number(flow.account) else {
            return;
        };
        let versions = self.accounts.at_mut(account);
        if let Some(version) = versions.number(flow.version) {
            versions.let_go(version, share);
        }
        self.accounts.let_go(account, share);
    }

    /// What an account and a version of it hold.
    pub fn held(&self, flow: Flow<'_, A, V>) -> (u64, u64) {
        let Some(account) = self.accounts.number(flow.account) else {
            return (0, 0);
        };
        let versions = self.accounts.at(account);
        let version = versions.number(flow.version);
        (
            self.accounts.held(account),
            version.map_or(0, |version| versions.held(version)),
        )
    }

    /// Whether a start of `first`, whose turn it is, may take room that is too little for the `neediest`: never
    /// while that one holds nothing, and only what would not have to give way to it at once.
    pub fn may_pass(&self, first: &Party<'_, A, V>, neediest: &Party<'_, A, V>) -> bool {
        let (has, other) = self.compared(first.flow, neediest.flow);
        other > 0 && has < other.saturating_add(neediest.share)
    }

    /// Whether an instance that has become free gives way to a request that finds no room, rather than serve the
    /// next of its own version.
    pub fn gives_way(&self, giver: &Party<'_, A, V>, taker: &Party<'_, A, V>) -> bool {
        if giver.flow.account == taker.flow.account && giver.flow.version == taker.flow.version {
            return false;
        }
        let (held, has) = self.compared(giver.flow, taker.flow);
        let rest = held.saturating_sub(giver.share);
        let stays_equal = rest >= has.saturating_add(taker.share);
        if has == 0 {
            taker.settled && (giver.settled || stays_equal)
        } else {
            stays_equal
        }
    }

    /// What both hold as versions, where they are of one account, and else as accounts.
    fn compared(&self, one: Flow<'_, A, V>, other: Flow<'_, A, V>) -> (u64, u64) {
        let same = one.account == other.account;
        let level = |(account, version): (u64, u64)| if same { version } else { account };
        (level(self.held(one)), level(self.held(other)))
    }

    /// Requests that wait.
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }
}

fn cost(takes: Duration) -> u64 {
    u64::try_from(takes.as_nanos())
        .unwrap_or(u64::MAX)
        .clamp(1, 1 << 40)
}

#[cfg(test)]
mod tests;
