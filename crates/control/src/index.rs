//! What invocations are resolved from: for every function the spec that is ready to run, in memory. The
//! catalog's writer changes it in commit order; nothing else does.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use pilotlight_model::node::Resolved;
use pilotlight_model::{
    AccountId, Digest, ErrorKind, FunctionName, FunctionSpec, LambdaError, Region, Version,
    VersionKey,
};

use crate::lifecycle::State;

/// Every version, by its key. The lock is held for a look-up or an insert, never across an await.
#[derive(Default)]
pub(crate) struct Index {
    entries: RwLock<HashMap<VersionKey, Entry>>,
}

/// One version as an invocation sees it.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) state: State,
    pub(crate) serving: Option<Arc<FunctionSpec>>,
}

/// A committed change.
pub(crate) enum Change {
    Put(VersionKey, Entry),
    Remove(VersionKey),
}

impl Index {
    pub(crate) fn apply(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut entries = self.entries.write();
        for change in changes {
            match change {
                Change::Put(key, entry) => drop(entries.insert(key, entry)),
                Change::Remove(key) => drop(entries.remove(&key)),
            }
        }
    }

    /// The spec that `name` and `qualifier` mean.
    pub(crate) fn resolve(
        &self,
        account: &AccountId,
        region: &Region,
        name: &FunctionName,
        qualifier: Option<&str>,
    ) -> Result<Resolved, LambdaError> {
        let key = |version| VersionKey {
            account: account.clone(),
            region: region.clone(),
            name: name.clone(),
            version,
        };
        let function_arn = key(Version::Latest).function_arn();
        let asked = qualifier.unwrap_or("$LATEST");
        let version: Option<Version> = asked.parse().ok();
        let entry = version.and_then(|version| self.entries.read().get(&key(version)).cloned());
        // AWS names `$LATEST` here even where the caller did not.
        let entry = entry
            .ok_or_else(|| LambdaError::function_not_found(&format!("{function_arn}:{asked}")))?;
        let spec = entry.serving.ok_or_else(|| not_ready(entry.state))?;
        let invoked_arn = match qualifier {
            Some(qualifier) => format!("{function_arn}:{qualifier}"),
            None => function_arn,
        };
        Ok(Resolved { spec, invoked_arn })
    }

    /// Images that running versions may mount.
    pub(crate) fn images(&self) -> Vec<Digest> {
        let entries = self.entries.read();
        let specs = entries.values().filter_map(|entry| entry.serving.as_ref());
        specs
            .flat_map(|spec| spec.layers.iter().chain([&spec.code]))
            .cloned()
            .collect()
    }

    /// Every key, in no order.
    pub(crate) fn keys(&self) -> Vec<VersionKey> {
        self.entries.read().keys().cloned().collect()
    }

    /// What invocations of that version get, if it is ready.
    pub(crate) fn serving(&self, key: &VersionKey) -> Option<Arc<FunctionSpec>> {
        self.entries.read().get(key)?.serving.clone()
    }

    /// Versions that there are: at least as many as functions.
    pub(crate) fn len(&self) -> usize {
        self.entries.read().len()
    }
}

/// 409 for a function that cannot be invoked or changed in its state.
pub(crate) fn not_ready(state: State) -> LambdaError {
    LambdaError::new(
        ErrorKind::ResourceConflict,
        format!(
            "The operation cannot be performed at this time. The function is currently in the \
             following state: {}",
            state.as_str()
        ),
    )
}
