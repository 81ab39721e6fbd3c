//! What a configuration must be to work: every value within its range, and those that depend on each other.

use std::collections::HashSet;

use pilotlight_model::node::FunctionApi;
use tracing_subscriber::EnvFilter;

use super::{Config, InvalidConfig, Subnet, value};
use crate::up::file::HotReload;

/// A node's sandboxes are told apart by user id, and there is a range of ids for four times as many and a pool.
const MOST_INSTANCES: u64 = 7_500;

impl Config {
    /// Refuses what cannot work.
    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        self.check_access_keys()?;
        self.check_hot_reload()?;
        in_range("pool_size", self.pool_size.into(), 0..=1_024)?;
        in_range("drain_seconds", self.drain.as_secs(), 0..=3_600)?;
        self.check_limits()?;
        self.check_subnet()?;
        self.policy.check()?;
        self.asynchronous.check()?;
        if self.node_name.is_empty() {
            return Err(value("node_name", "must not be empty"));
        }
        if let Err(error) = EnvFilter::try_new(&self.log_filter) {
            return Err(value(
                "log_filter",
                format!("'{}' is not a filter: {error}", self.log_filter),
            ));
        }
        Ok(())
    }

    fn check_access_keys(&self) -> Result<(), InvalidConfig> {
        let mut ids = HashSet::new();
        for key in &self.access_keys {
            if key.id.is_empty() || key.secret.is_empty() {
                return Err(value("access_keys", "id and secret must not be empty"));
            }
            if !ids.insert(key.id.as_str()) {
                return Err(value(
                    "access_keys",
                    format!("the id '{}' is there twice", key.id),
                ));
            }
        }
        Ok(())
    }

    fn check_hot_reload(&self) -> Result<(), InvalidConfig> {
        if self.hot_reload == Some(HotReload::Switch(true))
            && self.function_api == FunctionApi::Account
        {
            let reason = "with function_api = \"account\" functions could look into any folder of this machine: \
                          list those that they may be loaded from";
            return Err(value("hot_reload", reason));
        }
        let Some(HotReload::Within(roots)) = &self.hot_reload else {
            return Ok(());
        };
        match roots.iter().find(|root| !root.is_absolute()) {
            Some(root) => Err(value(
                "hot_reload",
                format!("{} is not absolute", root.display()),
            )),
            None => Ok(()),
        }
    }

    fn check_limits(&self) -> Result<(), InvalidConfig> {
        let limits = &self.limits;
        for (key, given, range) in [
            (
                "keep_alive_seconds",
                limits.keep_alive.as_secs(),
                0..=86_400,
            ),
            (
                "limits.account_concurrency",
                limits.account_concurrency.into(),
                1..=1_000_000,
            ),
            (
                "limits.node_instances",
                limits.node_instances.into(),
                1..=MOST_INSTANCES,
            ),
            (
                "limits.concurrent_starts",
                limits.concurrent_starts.into(),
                1..=1_024,
            ),
            (
                "limits.waiting_invocations",
                limits.waiting_invocations.into(),
                1..=u32::MAX.into(),
            ),
            (
                "limits.log_group_bytes",
                limits.log_group_bytes,
                65_536..=u64::MAX,
            ),
            // Less would have a group's bound mean nothing.
            (
                "limits.account_log_bytes",
                limits.account_log_bytes,
                limits.log_group_bytes.saturating_mul(2)..=u64::MAX,
            ),
        ] {
            in_range(key, given, range)?;
        }
        Ok(())
    }

    /// A network, with an address for every sandbox.
    fn check_subnet(&self) -> Result<(), InvalidConfig> {
        let Subnet { network, prefix } = self.subnet;
        in_range("subnet", u64::from(prefix), 8..=28)?;
        if network.to_bits() & (u32::MAX >> prefix) != 0 {
            return Err(value(
                "subnet",
                format!("{network} has bits beyond the prefix {prefix}"),
            ));
        }
        // The first address names the subnet, the second is the router's.
        let room = (1_u64 << (32 - prefix)) - 2;
        if u64::from(self.most_slots()) > room {
            let needed = format!(
                "{} sandboxes (pool_size, and four for each of limits.node_instances)",
                self.most_slots()
            );
            return Err(value(
                "subnet",
                format!("{network}/{prefix} has {room} addresses, for {needed}"),
            ));
        }
        Ok(())
    }
}

/// Refuses a number that is not in the range.
pub(super) fn in_range(
    key: &'static str,
    given: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<(), InvalidConfig> {
    if range.contains(&given) {
        return Ok(());
    }
    Err(value(
        key,
        format!(
            "{given} is not between {} and {}",
            range.start(),
            range.end()
        ),
    ))
}
