//! Admission: how many invocations of an account may run at once.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pilotlight_model::error::ThrottleReason;
use pilotlight_model::{AccountId, LambdaError};

/// Counts the running invocations of each account against one limit.
pub(crate) struct Admission {
    limit: u32,
    /// Accounts with at least one running invocation. Locked for a look-up and an addition only.
    running: Mutex<HashMap<AccountId, u32>>,
}

/// The right of one invocation to run; given back when dropped.
pub(crate) struct Permit {
    admission: Arc<Admission>,
    account: AccountId,
}

impl Admission {
    pub(crate) fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self {
            limit,
            running: Mutex::default(),
        })
    }

    /// Admits one more invocation of `account`, or says that it is throttled.
    pub(crate) fn admit(self: &Arc<Self>, account: &AccountId) -> Result<Permit, LambdaError> {
        let mut running = self.running.lock();
        let count = running.get(account).copied().unwrap_or(0);
        if count >= self.limit {
            let reason = ThrottleReason::ConcurrentInvocationLimitExceeded;
            return Err(LambdaError::throttled(reason));
        }
        running.insert(account.clone(), count + 1);
        Ok(Permit {
            admission: Arc::clone(self),
            account: account.clone(),
        })
    }

    /// Invocations running now, of all accounts.
    pub(crate) fn in_flight(&self) -> u64 {
        self.running.lock().values().copied().map(u64::from).sum()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut running = self.admission.running.lock();
        match running.get_mut(&self.account) {
            Some(count) if *count > 1 => *count -= 1,
            // The last one: idle accounts take no memory.
            _ => {
                running.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_counted_by_account_and_given_back() {
        let admission = Admission::new(2);
        let (one, other) = (AccountId::default(), "000000000001".parse().unwrap());
        let first = admission.admit(&one).unwrap();
        let _second = admission.admit(&one).unwrap();
        let error = admission.admit(&one).err().unwrap();
        assert_eq!(
            error.throttle,
            Some(ThrottleReason::ConcurrentInvocationLimitExceeded)
        );
        let _elsewhere = admission.admit(&other).unwrap();
        assert_eq!(admission.in_flight(), 3);
        drop(first);
        drop(admission.admit(&one).unwrap());
        assert_eq!(admission.in_flight(), 2);
    }
}
