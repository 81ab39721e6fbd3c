//! Admission: how many invocations may run at once, by version, function and account.

mod books;

use std::sync::Arc;

use parking_lot::Mutex;
use pilotlight_model::VersionKey;
use pilotlight_model::concurrency::{Admit, Permit, Share};
use pilotlight_model::error::ThrottleReason;

use books::{Books, Lane};

/// Counts the running invocations against what they may draw on. A handle: clones count together.
#[derive(Clone, Default)]
pub struct Admission {
    /// Locked for look-ups and additions only.
    books: Arc<Mutex<Books>>,
}

/// A place in the books; given back when dropped.
struct Place {
    admission: Admission,
    version: VersionKey,
    lane: Lane,
}

impl Admission {
    /// Nothing runs yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Invocations running now, of all accounts.
    pub(crate) fn in_flight(&self) -> u64 {
        self.books.lock().running()
    }
}

impl Admit for Admission {
    fn admit(&self, version: &VersionKey, share: &Share) -> Result<Permit, ThrottleReason> {
        let lane = self.books.lock().take(version, share)?;
        Ok(Box::new(Place {
            admission: self.clone(),
            version: version.clone(),
            lane,
        }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission
            .books
            .lock()
            .give_back(&self.version, self.lane);
    }
}
