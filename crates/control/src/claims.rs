//! Concurrency that functions have for themselves, in memory: what every invocation is admitted by. The
//! catalog's writer changes it in commit order, as the rest of the index.

use std::collections::HashMap;

use pilotlight_model::concurrency::Share;
use pilotlight_model::{AccountId, FunctionName, Region, VersionKey};

/// Concurrency that stays unreserved in every account and region, so that functions that reserve nothing
/// can run (Lambda quota).
pub(crate) const LEAST_UNRESERVED: u32 = 100;

/// What one function has for itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Claim {
    /// `ReservedConcurrentExecutions`.
    pub(crate) reserved: Option<u32>,
}

/// Every claim of every account and region. A function that claims nothing takes no memory here.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    accounts: HashMap<(AccountId, Region), Account>,
}

#[derive(Debug, Default)]
struct Account {
    functions: HashMap<FunctionName, Claim>,
    /// What they take away together.
    taken: u32,
}

impl Claim {
    /// What of the account's limit it takes away from all other functions.
    fn taken(&self) -> u32 {
        self.reserved.unwrap_or(0)
    }
}

impl Claims {
    /// The function claims that from now on.
    pub(crate) fn put(&mut self, function: &VersionKey, claim: Claim) {
        let account = self.accounts.entry(account(function)).or_default();
        account.functions.insert(function.name.clone(), claim);
        account.add_up();
    }

    /// The function claims nothing any more.
    pub(crate) fn remove(&mut self, function: &VersionKey) {
        let key = account(function);
        if let Some(account) = self.accounts.get_mut(&key) {
            account.functions.remove(&function.name);
            account.add_up();
            if account.functions.is_empty() {
                self.accounts.remove(&key);
            }
        }
    }

    /// What the function of that version claims, if it does.
    pub(crate) fn of(&self, version: &VersionKey) -> Option<&Claim> {
        let account = self.accounts.get(&account(version))?;
        account.functions.get(&version.name)
    }

    /// What invocations of that version may draw on in an account of that limit.
    pub(crate) fn share(&self, version: &VersionKey, limit: u32) -> Share {
        let account = self.accounts.get(&account(version));
        Share {
            provisioned: 0,
            reserved: self.of(version).and_then(|claim| claim.reserved),
            unreserved: left(account, limit),
        }
    }

    /// What nobody claims in an account of that limit.
    pub(crate) fn unreserved(&self, account: &AccountId, region: &Region, limit: u32) -> u32 {
        left(self.accounts.get(&(account.clone(), region.clone())), limit)
    }
}

impl Account {
    fn add_up(&mut self) {
        let taken = self.functions.values().map(Claim::taken);
        self.taken = taken.fold(0, u32::saturating_add);
    }
}

fn left(account: Option<&Account>, limit: u32) -> u32 {
    limit.saturating_sub(account.map_or(0, |account| account.taken))
}

fn account(function: &VersionKey) -> (AccountId, Region) {
    (function.account.clone(), function.region.clone())
}
