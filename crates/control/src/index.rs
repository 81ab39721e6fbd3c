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

/// Every `$LATEST`, by its key. The lock is held for a look-up or an insert, never across an await.
#[derive(Default)]
pub(crate) struct Index {
    entries: RwLock<HashMap<VersionKey, Entry>>,
}

/// One function as an invocation sees it.
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

    /// The spec that `name` and `qualifier` mean. Only `$LATEST` exists.
    pub(crate) fn resolve(
        &self,
        account: &AccountId,
        region: &Region,
        name: &FunctionName,
        qualifier: Option<&str>,
    ) -> Result<Resolved, LambdaError> {
        let key = VersionKey {
            account: account.clone(),
            region: region.clone(),
            name: name.clone(),
            version: Version::Latest,
        };
        let invoked_arn = match qualifier {
            Some(qualifier) => format!("{}:{qualifier}", key.function_arn()),
            None => key.function_arn(),
        };
        let entry = self.entries.read().get(&key).cloned();
        match entry {
            Some(entry) if matches!(qualifier, None | Some("$LATEST")) => match entry.serving {
                Some(spec) => Ok(Resolved { spec, invoked_arn }),
                None => Err(not_ready(entry.state)),
            },
            _ => Err(LambdaError::function_not_found(&invoked_arn)),
        }
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

    /// Functions that there are.
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
