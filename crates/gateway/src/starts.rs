//! The last starts, in memory: what `/pilotlight/v1/starts` shows.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use pilotlight_model::{AccountId, FunctionName, StartKind, Version, VersionKey};

use crate::record::Finished;

/// A ring of records; the oldest makes room for the newest.
pub(crate) struct Starts {
    limit: usize,
    /// Locked to add one record, or to copy the pointers that a filter wants.
    kept: Mutex<VecDeque<Arc<Finished>>>,
}

/// Which records are wanted.
pub(crate) struct Filter {
    pub(crate) account: AccountId,
    pub(crate) function: Option<Whose>,
    pub(crate) kind: Option<StartKind>,
    /// Not older than this, in milliseconds since 1970.
    pub(crate) since_ms: u64,
    pub(crate) limit: usize,
}

/// A function, or some of its versions.
pub(crate) struct Whose {
    pub(crate) name: FunctionName,
    /// All of them where none was named.
    pub(crate) versions: Option<Vec<Version>>,
}

impl Starts {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            kept: Mutex::default(),
        }
    }

    pub(crate) fn push(&self, finished: Arc<Finished>) {
        let mut kept = self.kept.lock();
        let oldest = (kept.len() >= self.limit).then(|| kept.pop_front());
        kept.push_back(finished);
        drop(kept);
        // What it held is freed without the lock.
        drop(oldest);
    }

    /// The records that match, newest first.
    pub(crate) fn find(&self, filter: &Filter) -> Vec<Arc<Finished>> {
        let kept = self.kept.lock();
        kept.iter()
            .rev()
            .filter(|finished| filter.matches(finished))
            .take(filter.limit)
            .cloned()
            .collect()
    }
}

impl Filter {
    fn matches(&self, finished: &Finished) -> bool {
        let key = &finished.spec.key;
        key.account == self.account
            && finished.at_ms >= self.since_ms
            && self.kind.is_none_or(|kind| kind == finished.kind)
            && self.function.as_ref().is_none_or(|it| it.is(key))
    }
}

impl Whose {
    fn is(&self, key: &VersionKey) -> bool {
        let versions = self.versions.as_ref();
        self.name == key.name && versions.is_none_or(|versions| versions.contains(&key.version))
    }
}
