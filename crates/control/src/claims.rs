//! Concurrency that functions have for themselves, reserved and provisioned, in memory: what every invocation
//! is admitted by, and what the node is told. The catalog's writer changes it in commit order, as the rest of
//! the index.

use std::collections::HashMap;

use pilotlight_model::concurrency::Share;
use pilotlight_model::names::Qualifier;
use pilotlight_model::{AccountId, AliasName, FunctionName, Region, Routing, Version, VersionKey};

/// Concurrency that stays unreserved in every account and region, so that functions that reserve nothing
/// can run (Lambda quota).
pub(crate) const LEAST_UNRESERVED: u32 = 100;

/// What one function has for itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Claim {
    /// `ReservedConcurrentExecutions`.
    pub(crate) reserved: Option<u32>,
    /// `ProvisionedConcurrentExecutions`, in the order of qualifiers.
    pub(crate) provisioned: Vec<(Qualifier, u32)>,
}

/// What of one qualifier's provisioned concurrency goes to one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allotment {
    pub(crate) version: Version,
    pub(crate) count: u32,
    /// Of the same version, to qualifiers before this one.
    pub(crate) before: u32,
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
    /// What is provisioned for all versions and aliases together.
    pub(crate) fn all_provisioned(&self) -> u32 {
        let counts = self.provisioned.iter().map(|(_, count)| *count);
        counts.fold(0, u32::saturating_add)
    }

    /// What of the account's limit it takes away from all other functions.
    fn taken(&self) -> u32 {
        self.reserved.unwrap_or_else(|| self.all_provisioned())
    }

    /// What is provisioned under each qualifier, by the versions that it goes to. `route` tells where an
    /// alias points.
    pub(crate) fn allotments(
        &self,
        route: impl Fn(&AliasName) -> Option<Routing>,
    ) -> Vec<(&Qualifier, Allotment)> {
        let mut all: Vec<(&Qualifier, Allotment)> = Vec::new();
        for (qualifier, count) in &self.provisioned {
            let routing = match qualifier {
                Qualifier::Version(version) => Some(Routing {
                    version: *version,
                    additional: None,
                }),
                Qualifier::Alias(alias) => route(alias),
            };
            for (version, count) in routing.into_iter().flat_map(|it| split(*count, it)) {
                let same = all.iter().filter(|(_, it)| it.version == version);
                let before = same.map(|(_, it)| it.count).sum();
                all.push((
                    qualifier,
                    Allotment {
                        version,
                        count,
                        before,
                    },
                ));
            }
        }
        all
    }

    /// What is provisioned for that version, by its number or by aliases.
    fn provisioned_for(
        &self,
        version: Version,
        route: impl Fn(&AliasName) -> Option<Routing>,
    ) -> u32 {
        if self.provisioned.is_empty() {
            return 0;
        }
        let all = self.allotments(route).into_iter();
        let own = all.filter(|(_, it)| it.version == version);
        own.map(|(_, it)| it.count).sum()
    }
}

/// What of that much goes to each version of an alias: to a second one its share. Nothing ever goes to
/// `$LATEST`.
fn split(count: u32, routing: Routing) -> impl Iterator<Item = (Version, u32)> {
    let second = routing.additional.map(|(version, weight)| {
        let share = (f64::from(count) * f64::from(weight)).round();
        // Between none and all: a weight is between 0 and 1.
        (version, share as u32)
    });
    let rest = count - second.map_or(0, |(_, share)| share.min(count));
    [Some((routing.version, rest)), second]
        .into_iter()
        .flatten()
        .filter(|(version, count)| *version != Version::Latest && *count > 0)
}

impl Claims {
    /// The function claims that from now on.
    pub(crate) fn put(&mut self, function: &VersionKey, claim: Claim) {
        if claim == Claim::default() {
            return self.remove(function);
        }
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

    /// Functions that have provisioned something, with their claims.
    pub(crate) fn provisioning(&self) -> impl Iterator<Item = (VersionKey, &Claim)> {
        self.accounts.iter().flat_map(|((owner, region), account)| {
            let functions = account.functions.iter();
            let provisioning = functions.filter(|(_, claim)| !claim.provisioned.is_empty());
            provisioning.map(|(name, claim)| {
                let function = VersionKey {
                    account: owner.clone(),
                    region: region.clone(),
                    name: name.clone(),
                    version: Version::Latest,
                };
                (function, claim)
            })
        })
    }

    /// What invocations of that version may draw on in an account of that limit.
    pub(crate) fn share(
        &self,
        version: &VersionKey,
        limit: u32,
        route: impl Fn(&AliasName) -> Option<Routing>,
    ) -> Share {
        let account = self.accounts.get(&account(version));
        let claim = account.and_then(|account| account.functions.get(&version.name));
        let unprovisioned =
            |claim: &Claim| Some(claim.reserved?.saturating_sub(claim.all_provisioned()));
        Share {
            provisioned: claim.map_or(0, |claim| claim.provisioned_for(version.version, route)),
            reserved: claim.and_then(unprovisioned),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(name: &str) -> Qualifier {
        Qualifier::Alias(name.parse().unwrap())
    }

    fn number(number: u64) -> Version {
        Version::Number(number)
    }

    fn key(name: &str, version: Version) -> VersionKey {
        VersionKey {
            account: AccountId::default(),
            region: Region::default(),
            name: name.parse().unwrap(),
            version,
        }
    }

    /// `live` points at 1 and a quarter of the way at 2; `all` at 1; `latest` at `$LATEST`.
    fn route(alias: &AliasName) -> Option<Routing> {
        let (version, additional) = match alias.as_str() {
            "live" => (number(1), Some((number(2), 0.25.try_into().unwrap()))),
            "all" => (number(1), None),
            "latest" => (Version::Latest, None),
            _ => return None,
        };
        Some(Routing {
            version,
            additional,
        })
    }

    #[test]
    fn aliases_provision_where_they_point() {
        let claim = Claim {
            reserved: Some(20),
            provisioned: vec![
                (Qualifier::Version(number(3)), 2),
                (alias("all"), 4),
                (alias("gone"), 1),
                (alias("latest"), 1),
                (alias("live"), 10),
            ],
        };
        let expected = [(3, 2, 0), (1, 4, 0), (1, 7, 4), (2, 3, 0)];
        let found: Vec<_> = claim
            .allotments(route)
            .into_iter()
            .map(|(_, it)| (it.version, it.count, it.before))
            .collect();
        let expected = expected.map(|(version, count, before)| (number(version), count, before));
        assert_eq!(found, expected);
        let mut claims = Claims::default();
        claims.put(&key("f", Version::Latest), claim);
        let share = |version| claims.share(&key("f", version), 1_000, route);
        assert_eq!(share(number(1)).provisioned, 11);
        assert_eq!(share(number(2)).provisioned, 3);
        assert_eq!(share(Version::Latest).provisioned, 0);
        // Of 20 there are 18 provisioned, whether or not their alias is there.
        assert_eq!(share(Version::Latest).reserved, Some(2));
        assert_eq!(share(number(9)).unreserved, 980);
    }

    #[test]
    fn what_is_provisioned_is_taken_from_the_account_unless_it_is_reserved() {
        let mut claims = Claims::default();
        let (f, g) = (key("f", Version::Latest), key("g", Version::Latest));
        let provisioned = vec![(Qualifier::Version(number(1)), 30)];
        let claim = Claim {
            reserved: None,
            provisioned: provisioned.clone(),
        };
        claims.put(&f, claim);
        let other = claims.share(&g, 100, route);
        assert_eq!((other.reserved, other.unreserved), (None, 70));
        let own = claims.share(&key("f", number(1)), 100, route);
        assert_eq!((own.provisioned, own.reserved), (30, None));
        let claim = Claim {
            reserved: Some(50),
            provisioned,
        };
        claims.put(&f, claim);
        assert_eq!(claims.share(&g, 100, route).unreserved, 50);
        assert_eq!(claims.share(&f, 100, route).reserved, Some(20));
        claims.remove(&f);
        assert_eq!(claims.share(&g, 100, route).unreserved, 100);
        assert!(claims.accounts.is_empty());
    }
}
