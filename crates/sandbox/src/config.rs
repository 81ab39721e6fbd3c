//! What a node's sandboxes are made with.

use std::net::Ipv4Addr;

/// Configuration of [`Sandboxes`](crate::Sandboxes).
#[derive(Debug, Clone)]
pub struct Config {
    /// Names cgroups, the uplink and the firewall table. Unique among the nodes of a host, and the same after a restart,
    /// for that is what leftovers are found by. Lower-case letters, digits and hyphens, at most 64.
    pub name: String,
    /// Slots kept ready.
    pub pool_size: usize,
    /// Sandboxes at one time, in use or being deleted.
    pub max_slots: u32,
    /// First of the host's user and group ids that belong to sandboxes: two for each of `max_slots`.
    pub uid_base: u32,
    /// Where instances get their addresses from.
    pub subnet: (Ipv4Addr, u8),
}

impl Config {
    /// The defaults, for a node of that name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Config {
        Config {
            name: name.into(),
            pool_size: 8,
            max_slots: 4096,
            // In a range that systemd's table of ids leaves unassigned (systemd.io/UIDS-GIDS).
            uid_base: 1_900_000_000,
            subnet: (Ipv4Addr::new(100, 64, 0, 0), 16),
        }
    }
}
