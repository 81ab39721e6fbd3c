//! What a configuration must be to work: every value within its range, and those that depend on each other.

use tracing_subscriber::EnvFilter;

use super::{Config, InvalidConfig, Subnet, value};
use crate::up::file::HotReload;

/// A node's sandboxes are told apart by user id, and there is a range of ids for four times as many and a pool.
const MOST_INSTANCES: u64 = 7_500;

impl Config {
    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        let mut ids = std::collections::HashSet::new();
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
        if let Some(HotReload::Within(roots)) = &self.hot_reload
            && let Some(root) = roots.iter().find(|root| !root.is_absolute())
        {
            let root = root.display();
            return Err(value("hot_reload", format!("{root} is not absolute")));
        }
        in_range("pool_size", self.pool_size.into(), 0..=1_024)?;
        in_range("drain_seconds", self.drain.as_secs(), 0..=3_600)?;
        in_range(
            "keep_alive_seconds",
            self.limits.keep_alive.as_secs(),
            0..=86_400,
        )?;
        let Subnet { network, prefix } = self.subnet;
        in_range("subnet", u64::from(prefix), 8..=28)?;
        if network.to_bits() & (u32::MAX >> prefix) != 0 {
            return Err(value(
                "subnet",
                format!("{network} has bits beyond the prefix {prefix}"),
            ));
        }
        in_range(
            "limits.account_concurrency",
            self.limits.account_concurrency.into(),
            1..=1_000_000,
        )?;
        in_range(
            "limits.node_instances",
            self.limits.node_instances.into(),
            1..=MOST_INSTANCES,
        )?;
        in_range(
            "limits.concurrent_starts",
            self.limits.concurrent_starts.into(),
            1..=1_024,
        )?;
        in_range(
            "limits.waiting_invocations",
            self.limits.waiting_invocations.into(),
            1..=u32::MAX.into(),
        )?;
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
        in_range(
            "limits.log_group_bytes",
            self.limits.log_group_bytes,
            65_536..=u64::MAX,
        )?;
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
