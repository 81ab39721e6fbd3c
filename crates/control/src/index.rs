//! What invocations are resolved from: for every version the spec that is ready to run, for every alias
//! the versions that it points at, for every function URL what it invokes; and the policies that let
//! others in. In memory. The catalog's writer changes it in commit order;
//! nothing else does.

mod resolving;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use pilotlight_model::concurrency::Share;
use pilotlight_model::function_policy::Policy;
use pilotlight_model::names::{Qualifier, Target};
use pilotlight_model::url::FunctionUrl;
use pilotlight_model::{
    AccountId, AliasName, Digest, ErrorKind, FunctionName, FunctionSpec, LambdaError, Region,
    Routing, UrlId, Version, VersionKey,
};
use tokio::sync::Notify;

use crate::claims::{Allotment, Claim, Claims};
use crate::lifecycle::State;

/// Every version and alias, by its key. The lock is held for a look-up or an insert, never across an
/// await.
pub(crate) struct Index {
    tables: RwLock<Tables>,
    /// Concurrency of one account and region.
    account_concurrency: u32,
    /// Rings after every change.
    pub(crate) changed: Notify,
    /// The same, for who follows what names mean.
    pub(crate) renamed: Notify,
}

#[derive(Default)]
struct Tables {
    versions: HashMap<VersionKey, Entry>,
    aliases: HashMap<AliasKey, Routing>,
    claims: Claims,
    policies: HashMap<PolicyKey, Arc<Policy>>,
    urls: HashMap<UrlId, Arc<FunctionUrl>>,
}

/// Names one policy of one function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PolicyKey {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
    pub(crate) name: FunctionName,
    /// Version or alias; empty for the function itself.
    pub(crate) qualifier: String,
}

impl PolicyKey {
    /// The key of the policy for that qualifier of a function.
    pub(crate) fn of(function: &VersionKey, qualifier: &str) -> Self {
        Self {
            account: function.account.clone(),
            region: function.region.clone(),
            name: function.name.clone(),
            qualifier: qualifier.to_owned(),
        }
    }
}

impl Tables {
    fn route(&self, function: &VersionKey, alias: &AliasName) -> Option<Routing> {
        self.aliases.get(&AliasKey::of(function, alias)).copied()
    }

    fn share(&self, version: &VersionKey, limit: u32) -> Share {
        let route = |alias: &AliasName| self.route(version, alias);
        self.claims.share(version, limit, route)
    }
}

/// Names one alias of one function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AliasKey {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
    pub(crate) name: FunctionName,
    pub(crate) alias: AliasName,
}

impl AliasKey {
    /// The key of an alias of that function.
    pub(crate) fn of(function: &VersionKey, alias: &AliasName) -> Self {
        Self {
            account: function.account.clone(),
            region: function.region.clone(),
            name: function.name.clone(),
            alias: alias.clone(),
        }
    }
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
    PutAlias(AliasKey, Routing),
    RemoveAlias(AliasKey),
    /// Of that function.
    Claim(VersionKey, Claim),
    /// One without statements is none.
    PutPolicy(PolicyKey, Policy),
    PutUrl(Arc<FunctionUrl>),
    RemoveUrl(UrlId),
}

impl Index {
    /// One that knows nothing yet.
    pub(crate) fn new(account_concurrency: u32) -> Self {
        Self {
            tables: RwLock::default(),
            account_concurrency,
            changed: Notify::new(),
            renamed: Notify::new(),
        }
    }

    pub(crate) fn apply(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut tables = self.tables.write();
        for change in changes {
            match change {
                Change::Put(key, entry) => drop(tables.versions.insert(key, entry)),
                Change::Remove(key) => {
                    tables.versions.remove(&key);
                    if key.version == Version::Latest {
                        tables.claims.remove(&key);
                    }
                }
                Change::PutAlias(key, routing) => drop(tables.aliases.insert(key, routing)),
                Change::RemoveAlias(key) => drop(tables.aliases.remove(&key)),
                Change::Claim(function, claim) => tables.claims.put(&function, claim),
                Change::PutPolicy(key, policy) if policy.statements.is_empty() => {
                    drop(tables.policies.remove(&key));
                }
                Change::PutPolicy(key, policy) => {
                    drop(tables.policies.insert(key, Arc::new(policy)));
                }
                Change::PutUrl(url) => drop(tables.urls.insert(url.id.clone(), url)),
                Change::RemoveUrl(id) => drop(tables.urls.remove(&id)),
            }
        }
        drop(tables);
        self.changed.notify_one();
        self.renamed.notify_one();
    }

    /// What the function of that version claims.
    pub(crate) fn claim(&self, version: &VersionKey) -> Claim {
        let tables = self.tables.read();
        tables.claims.of(version).cloned().unwrap_or_default()
    }

    /// What of the function's provisioned concurrency goes where: of that qualifier, and with the sum of
    /// all qualifiers for each of its versions.
    pub(crate) fn allotments(
        &self,
        function: &VersionKey,
        qualifier: &Qualifier,
    ) -> Vec<(Allotment, u32)> {
        let tables = self.tables.read();
        let Some(claim) = tables.claims.of(function) else {
            return Vec::new();
        };
        let all = claim.allotments(|alias| tables.route(function, alias));
        let own = all.iter().filter(|(of, _)| *of == qualifier);
        own.map(|(_, own)| {
            let same = all.iter().filter(|(_, it)| it.version == own.version);
            (*own, same.map(|(_, it)| it.count).sum())
        })
        .collect()
    }

    /// How many instances of which versions are to be provisioned: of those that serve.
    pub(crate) fn provisions(&self) -> HashMap<VersionKey, (Arc<FunctionSpec>, u32)> {
        let tables = self.tables.read();
        let mut wanted: HashMap<VersionKey, (Arc<FunctionSpec>, u32)> = HashMap::new();
        for (function, claim) in tables.claims.provisioning() {
            for (_, allotment) in claim.allotments(|alias| tables.route(&function, alias)) {
                let version = allotment.version;
                let key = VersionKey {
                    version,
                    ..function.clone()
                };
                let entry = tables.versions.get(&key);
                if let Some(spec) = entry.and_then(|entry| entry.serving.as_ref()) {
                    let spec = Arc::clone(spec);
                    wanted.entry(key).or_insert((spec, 0)).1 += allotment.count;
                }
            }
        }
        wanted
    }

    /// What the functions of an account and region have together that claim nothing.
    pub(crate) fn unreserved(&self, account: &AccountId, region: &Region) -> u32 {
        let claims = &self.tables.read().claims;
        claims.unreserved(account, region, self.account_concurrency)
    }

    /// The policy that holds for what `target` names.
    pub(crate) fn policy(&self, target: &Target) -> Arc<Policy> {
        let qualifier = target.qualifier.as_deref().filter(|it| *it != "$LATEST");
        let key = PolicyKey {
            account: target.account.clone(),
            region: target.region.clone(),
            name: target.name.clone(),
            qualifier: qualifier.unwrap_or_default().to_owned(),
        };
        let found = self.tables.read().policies.get(&key).cloned();
        found.unwrap_or_else(Policy::none)
    }

    /// The function URL of that id.
    pub(crate) fn url(&self, id: &UrlId) -> Option<Arc<FunctionUrl>> {
        self.tables.read().urls.get(id).cloned()
    }

    /// Images that running versions may mount.
    pub(crate) fn images(&self) -> Vec<Digest> {
        let tables = self.tables.read();
        let specs = tables
            .versions
            .values()
            .filter_map(|entry| entry.serving.as_ref());
        specs
            .flat_map(|spec| spec.layers.iter().chain([&spec.code]))
            .cloned()
            .collect()
    }

    /// Every key, in no order.
    pub(crate) fn keys(&self) -> Vec<VersionKey> {
        self.tables.read().versions.keys().cloned().collect()
    }

    /// What invocations of that version get, if it is ready.
    pub(crate) fn serving(&self, key: &VersionKey) -> Option<Arc<FunctionSpec>> {
        self.tables.read().versions.get(key)?.serving.clone()
    }

    /// Versions that there are: at least as many as functions.
    pub(crate) fn len(&self) -> usize {
        self.tables.read().versions.len()
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
