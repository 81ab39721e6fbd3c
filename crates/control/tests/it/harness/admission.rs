//! Admission of one's own choice.

use parking_lot::Mutex;
use pilotlight_model::VersionKey;
use pilotlight_model::concurrency::{Admit, Permit, Share};
use pilotlight_model::error::ThrottleReason;

/// Throttles the invocations of one function, and admits all others.
#[derive(Default)]
pub(crate) struct FakeAdmission {
    pub(crate) throttled: Mutex<Option<&'static str>>,
    /// What those might draw on that were asked for.
    pub(crate) shares: Mutex<Vec<(VersionKey, Share)>>,
}

impl Admit for FakeAdmission {
    fn admit(&self, version: &VersionKey, share: &Share) -> Result<Permit, ThrottleReason> {
        self.shares.lock().push((version.clone(), *share));
        match *self.throttled.lock() {
            Some(name) if name == version.name.as_str() => {
                Err(ThrottleReason::ConcurrentInvocationLimitExceeded)
            }
            _ => Ok(Box::new(())),
        }
    }
}
