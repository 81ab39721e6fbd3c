//! What runs, by what it draws on. Pure: what may be drawn is handed in with every invocation, so that a
//! change of the configuration holds from the next one on, and what runs is counted where it was admitted.

use std::collections::HashMap;
use std::hash::Hash;

use pilotlight_model::concurrency::Share;
use pilotlight_model::error::ThrottleReason;
use pilotlight_model::{AccountId, Region, VersionKey};

/// Everything that runs. What does not run takes no memory.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// On what is provisioned for their version.
    provisioned: HashMap<VersionKey, u32>,
    /// Of each function, on anything else.
    functions: HashMap<VersionKey, u32>,
    /// Of the functions of an account and region that reserved nothing when they were admitted.
    unreserved: HashMap<(AccountId, Region), u32>,
}

/// What an invocation draws on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Provisioned,
    Reserved,
    Unreserved,
}

impl Books {
    /// Counts one more invocation of that version, if it may run.
    pub(super) fn take(
        &mut self,
        version: &VersionKey,
        share: &Share,
    ) -> Result<Lane, ThrottleReason> {
        if share.provisioned > 0 && count(&self.provisioned, version) < share.provisioned {
            add(&mut self.provisioned, version.clone());
            return Ok(Lane::Provisioned);
        }
        let function = version.function();
        let lane = match share.reserved {
            Some(reserved) if count(&self.functions, &function) < reserved => Lane::Reserved,
            Some(_) => {
                return Err(ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded);
            }
            None => {
                let account = account(version);
                if count(&self.unreserved, &account) >= share.unreserved {
                    return Err(ThrottleReason::ConcurrentInvocationLimitExceeded);
                }
                add(&mut self.unreserved, account);
                Lane::Unreserved
            }
        };
        // Those too that draw on what all share: should the function reserve something, they count.
        add(&mut self.functions, function);
        Ok(lane)
    }

    /// That invocation has ended.
    pub(super) fn give_back(&mut self, version: &VersionKey, lane: Lane) {
        match lane {
            Lane::Provisioned => return subtract(&mut self.provisioned, version),
            Lane::Reserved => {}
            Lane::Unreserved => subtract(&mut self.unreserved, &account(version)),
        }
        subtract(&mut self.functions, &version.function());
    }

    /// How many run.
    pub(super) fn running(&self) -> u64 {
        let counts = self.provisioned.values().chain(self.functions.values());
        counts.copied().map(u64::from).sum()
    }
}

fn account(version: &VersionKey) -> (AccountId, Region) {
    (version.account.clone(), version.region.clone())
}

fn count<K: Hash + Eq>(counts: &HashMap<K, u32>, key: &K) -> u32 {
    counts.get(key).copied().unwrap_or(0)
}

fn add<K: Hash + Eq>(counts: &mut HashMap<K, u32>, key: K) {
    *counts.entry(key).or_default() += 1;
}

fn subtract<K: Hash + Eq>(counts: &mut HashMap<K, u32>, key: &K) {
    match counts.get_mut(key) {
        Some(count) if *count > 1 => *count -= 1,
        _ => drop(counts.remove(key)),
    }
}

#[cfg(test)]
mod tests;
