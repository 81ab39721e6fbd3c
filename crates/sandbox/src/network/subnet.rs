//! Which addresses instances and uplinks have.

use std::fmt;
use std::net::Ipv4Addr;

/// The addresses of a node's instances. Only the node's own router sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    base: u32,
    prefix: u8,
}

/// A subnet that cannot serve.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address}/{prefix} is not a subnet with a prefix length from 8 to 28 and no host bits")]
pub struct SubnetError {
    address: Ipv4Addr,
    prefix: u8,
}

/// Where both ends of a node's uplink get their addresses from. The range is reserved for measuring network devices
/// (RFC 2544), so that it is neither on the internet nor, unlike the private ranges and the one of carrier-grade NAT
/// (which Tailscale uses and filters), in a network that the host is likely to be part of.
pub(super) const UPLINKS: Subnet = Subnet {
    base: u32::from_be_bytes([198, 18, 0, 0]),
    prefix: 15,
};

impl Subnet {
    pub(crate) const BYTES: usize = 5;

    /// 100.64.0.0/16, room for 65,534 slots. The range is reserved for carrier-grade NAT (RFC 6598): no network
    /// that a function may want to reach is there, as it could be in 10/8, 172.16/12 or 192.168/16.
    pub const DEFAULT: Subnet = Subnet {
        base: u32::from_be_bytes([100, 64, 0, 0]),
        prefix: 16,
    };

    /// The subnet of `prefix` bits at `address`.
    ///
    /// # Errors
    /// The prefix length is not from 8 to 28, or the address has bits beyond it.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Result<Subnet, SubnetError> {
        let base = u32::from(address);
        if !(8..=28).contains(&prefix) || base & (u32::MAX >> prefix) != 0 {
            return Err(SubnetError { address, prefix });
        }
        Ok(Subnet { base, prefix })
    }

    /// For another process of the node.
    pub(crate) fn to_bytes(self) -> [u8; Subnet::BYTES] {
        let [a, b, c, d] = self.base.to_le_bytes();
        [a, b, c, d, self.prefix]
    }

    /// See [`Subnet::to_bytes`].
    pub(crate) fn from_bytes([a, b, c, d, prefix]: [u8; Subnet::BYTES]) -> Subnet {
        let base = u32::from_le_bytes([a, b, c, d]);
        Subnet { base, prefix }
    }

    /// How many slots have room.
    #[must_use]
    pub fn capacity(self) -> u32 {
        // All but the first address, which names the subnet, and the second, which is the gateway.
        (1 << (32 - self.prefix)) - 2
    }

    /// What slots send everything to. No interface has this address.
    pub(super) fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from(self.base + 1)
    }

    /// The address number `offset`, which is below the capacity.
    pub(super) fn slot(self, offset: u32) -> Ipv4Addr {
        debug_assert!(offset < self.capacity());
        Ipv4Addr::from(self.base + 2 + offset)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

/// The addresses of the host's and the router's end of an uplink.
pub(super) fn uplink_pair(number: u16) -> (Ipv4Addr, Ipv4Addr) {
    let host = UPLINKS.base + 2 * u32::from(number);
    (Ipv4Addr::from(host), Ipv4Addr::from(host + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_has_no_host_bits_and_room_for_slots() {
        let subnet = Subnet::new(Ipv4Addr::new(10, 1, 0, 0), 20).unwrap();
        assert_eq!(subnet.to_string(), "10.1.0.0/20");
        assert_eq!(subnet.capacity(), 4094);
        assert_eq!(subnet.gateway(), Ipv4Addr::new(10, 1, 0, 1));
        assert_eq!(subnet.slot(0), Ipv4Addr::new(10, 1, 0, 2));
        assert_eq!(subnet.slot(4093), Ipv4Addr::new(10, 1, 15, 255));
        assert!(Subnet::new(Ipv4Addr::new(10, 1, 0, 1), 20).is_err());
        assert!(Subnet::new(Ipv4Addr::new(10, 0, 0, 0), 7).is_err());
        assert!(Subnet::new(Ipv4Addr::new(10, 0, 0, 0), 29).is_err());
    }

    #[test]
    fn uplinks_stay_in_their_range() {
        assert_eq!(uplink_pair(0).0, Ipv4Addr::new(198, 18, 0, 0));
        assert_eq!(uplink_pair(u16::MAX).1, Ipv4Addr::new(198, 19, 255, 255));
    }
}
