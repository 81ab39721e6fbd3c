//! What an invocation of a name and qualifier gets, and all that invocations of it may get.

use pilotlight_model::concurrency::Share;
use pilotlight_model::names::{Qualifier, Target};
use pilotlight_model::node::{Resolved, Route};
use pilotlight_model::{
    AccountId, FunctionName, LambdaError, Region, Routing, Version, VersionKey, Weight,
};

use super::{Entry, Index, Tables, not_ready};

/// What a name without a qualifier means.
const LATEST: &str = "$LATEST";

impl Index {
    /// The spec that `name` and `qualifier` mean to one invocation. `draw` gives a number from 0 up to but
    /// not including 1, by which an alias with two versions chooses.
    pub(crate) fn resolve(
        &self,
        account: &AccountId,
        region: &Region,
        name: &FunctionName,
        qualifier: Option<&str>,
        draw: impl FnOnce() -> f64,
    ) -> Result<Resolved, LambdaError> {
        let asked = Asked::of(account, region, name, qualifier);
        // One look, so that an alias and what it points at belong together.
        let found = {
            let tables = self.tables.read();
            let version = asked.routing(&tables).map(|routing| routing.choose(draw));
            asked.find(&tables, version, self.account_concurrency)
        };
        found.resolved(&asked)
    }

    /// All that invocations of it get.
    pub(crate) fn routes(&self, target: &Target) -> Result<Vec<Route>, LambdaError> {
        let qualifier = target.qualifier.as_deref();
        let asked = Asked::of(&target.account, &target.region, &target.name, qualifier);
        let found: Vec<(Found, Weight)> = {
            let tables = self.tables.read();
            let find = |version| asked.find(&tables, version, self.account_concurrency);
            match asked.routing(&tables) {
                None => vec![(find(None), Weight::ALL)],
                Some(routing) => routing
                    .shares()
                    .map(|(version, weight)| (find(Some(version)), weight))
                    .collect(),
            }
        };
        found
            .into_iter()
            .map(|(found, weight)| {
                let resolved = found.resolved(&asked)?;
                Ok(Route { resolved, weight })
            })
            .collect()
    }
}

/// What somebody wants to invoke.
struct Asked<'a> {
    /// The key of `$LATEST`.
    function: VersionKey,
    qualifier: Option<&'a str>,
}

/// What there was of a version that was asked for.
struct Found {
    entry: Option<Entry>,
    share: Share,
}

impl<'a> Asked<'a> {
    fn of(
        account: &AccountId,
        region: &Region,
        name: &FunctionName,
        qualifier: Option<&'a str>,
    ) -> Self {
        let function = VersionKey {
            account: account.clone(),
            region: region.clone(),
            name: name.clone(),
            version: Version::Latest,
        };
        Self {
            function,
            qualifier,
        }
    }

    /// Where invocations of it go; a version has them all.
    fn routing(&self, tables: &Tables) -> Option<Routing> {
        match self.qualifier.unwrap_or(LATEST).parse() {
            Ok(Qualifier::Version(version)) => Some(Routing {
                version,
                additional: None,
            }),
            Ok(Qualifier::Alias(alias)) => tables.route(&self.function, &alias),
            Err(_) => None,
        }
    }

    fn find(&self, tables: &Tables, version: Option<Version>, limit: u32) -> Found {
        let mut key = self.function.clone();
        let entry = version.and_then(|version| {
            key.version = version;
            tables.versions.get(&key).cloned()
        });
        Found {
            entry,
            share: tables.share(&key, limit),
        }
    }
}

impl Found {
    fn resolved(self, asked: &Asked<'_>) -> Result<Resolved, LambdaError> {
        let function_arn = asked.function.function_arn();
        let entry = self.entry.ok_or_else(|| {
            // AWS names `$LATEST` here even where the caller did not.
            let qualifier = asked.qualifier.unwrap_or(LATEST);
            LambdaError::function_not_found(&format!("{function_arn}:{qualifier}"))
        })?;
        let invoked_arn = match asked.qualifier {
            Some(qualifier) => format!("{function_arn}:{qualifier}"),
            None => function_arn,
        };
        Ok(Resolved {
            spec: entry.serving.ok_or_else(|| not_ready(entry.state))?,
            invoked_arn,
            share: self.share,
        })
    }
}
