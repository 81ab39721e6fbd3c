//! The network of instances: one router namespace per node, a veth pair per slot, and a firewall between them.
//!
//! ```text
//! slot: eth0 100.64.x.y/32 ──veth── s<n> ┐
//! slot: eth0 100.64.x.z/32 ──veth── s<m> ┤ router namespace ── uplink ──veth── pl-<hash> │ host ── outside
//! ```
//!
//! An instance can start connections to the outside, through two address translations: the router's, so that the
//! host sees one address per node and nodes on one host may share a subnet, and the host's. It reaches no other
//! instance, not the router, no address of the host, no link-local or metadata address, and nothing over IPv6; a
//! packet with another source than its own address is dropped. Nothing outside can start a connection to it. The one
//! exception are the host's name servers, on port 53.
//!
//! Everything but the uplink's end on the host and one nftables table there goes away with the descriptors;
//! those two are swept by the next start of the same name.

mod dns;
mod error;
mod netlink;
mod netns;
mod rules;
mod settings;
mod slots;
mod subnet;

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

pub use self::dns::{host_resolvers, resolv_conf};
pub use self::error::NetworkError;
pub use self::netlink::NetlinkError;
pub use self::netns::NetNs;
pub use self::slots::SlotNet;
pub use self::subnet::{Subnet, SubnetError};

pub(crate) use self::netlink::Socket;
use self::netlink::{Batch, End};
pub(crate) use self::rules::SYSTEM_PATH;
use self::rules::UPLINK;
use self::settings::{disable_ipv6, set};
use self::slots::connect;
pub(crate) use self::slots::{Trunk, own_socket};

/// Interface indices of a router or a slot start here: lower ones may belong to the fallback tunnels that some
/// kernels put into every namespace.
const FIRST_INDEX: u32 = 1000;

/// How many other nodes on this host may hold the uplink address that this one's name suggests.
const MAX_UPLINK_TRIES: u16 = 64;

/// What a router needs to know.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// Unique among the nodes of this host; lower-case letters, digits and hyphens, at most 64.
    pub name: String,
    /// Where instances get their addresses from; see [`Subnet::DEFAULT`].
    pub subnet: Subnet,
    /// Name servers that instances may ask wherever they are, see [`host_resolvers`].
    pub resolvers: Vec<Ipv4Addr>,
}

/// The router of a node. Plain blocking code, to be owned by one thread; it may be any.
#[derive(Debug)]
pub struct Router {
    subnet: Subnet,
    /// Interface on the host.
    uplink: String,
    /// nftables table on the host.
    table: String,
    host: NetNs,
    host_socket: Socket,
    netns: NetNs,
    socket: Socket,
}

impl Router {
    /// Sweeps what an earlier router of this name left, then makes the router, its uplink and both firewalls.
    /// The calling thread's network namespace counts as the host; it gets `net.ipv4.ip_forward = 1`, for good.
    ///
    /// # Errors
    /// A missing privilege, nftables or kernel feature. Nothing is left behind then.
    pub fn start(config: &NetworkConfig) -> Result<Router, NetworkError> {
        let name = valid_name(&config.name)?;
        let host = NetNs::current().map_err(NetworkError::Namespace)?;
        let host_socket = Socket::open().map_err(NetworkError::Namespace)?;
        let netns = NetNs::create().map_err(NetworkError::Namespace)?;
        let socket = netns
            .enter(Socket::open)
            .and_then(|opened| opened)
            .map_err(NetworkError::Namespace)?;
        let mut router = Router {
            subnet: config.subnet,
            uplink: format!("pl-{:08x}", hash(name)),
            table: format!("pilotlight-{name}"),
            host,
            host_socket,
            netns,
            socket,
        };
        if let Err(error) = router.set_up(hash(name), &config.resolvers) {
            // The first error is the one to tell; what cannot be swept now is swept by the next start.
            let _ = router.sweep();
            return Err(error);
        }
        Ok(router)
    }

    /// Connects the network namespace of a slot: `lo`, `eth0` with its address, default route. The address is the
    /// one that `slot_id` suggests or, where a slot still has that, the next free one. The connection ends when the
    /// namespace does; there is nothing to give back.
    ///
    /// # Errors
    /// The namespace is not empty, or no address is free. The namespace is to be thrown away then.
    pub fn attach(&mut self, slot_id: u32, netns: BorrowedFd<'_>) -> Result<SlotNet, NetworkError> {
        let mut slot = netns::within(netns, own_socket)
            .and_then(|opened| opened)
            .map_err(NetworkError::Namespace)?;
        connect(&mut self.socket, self.subnet, slot_id, &mut slot, netns)
    }

    /// What another process needs to attach slots.
    pub(crate) fn trunk(&self) -> io::Result<Trunk> {
        Ok(Trunk {
            subnet: self.subnet,
            netns: self.netns.as_fd().try_clone_to_owned()?,
        })
    }

    /// Deletes the uplink and the host's table. Slots that are still attached are cut off.
    ///
    /// # Errors
    /// What could not be deleted; the next start of this name tries again.
    pub fn stop(mut self) -> Result<(), NetworkError> {
        self.sweep()
    }

    fn set_up(&mut self, hash: u32, resolvers: &[Ipv4Addr]) -> Result<(), NetworkError> {
        // The other thing that may be left, the host's table, is replaced below.
        self.host_socket
            .send(&Batch::default().delete_link(&self.uplink))?;
        let router_rules = rules::router_table(self.subnet, resolvers);
        self.inside(|| {
            // Before any interface exists, so that none ever has an IPv6 address.
            disable_ipv6()?;
            set("/proc/sys/net/ipv4/ip_forward", "1")?;
            rules::apply(&router_rules)
        })?;
        let address = self.add_uplink(hash)?;
        let host_rules = rules::host_table(&self.table, &self.uplink, address, resolvers);
        self.host
            .enter(|| rules::apply(&host_rules))
            .map_err(NetworkError::Namespace)??;
        self.host
            .enter(|| set("/proc/sys/net/ipv4/ip_forward", "1"))
            .map_err(NetworkError::Namespace)?
    }

    /// Connects router and host, and returns the router's address.
    fn add_uplink(&mut self, hash: u32) -> Result<Ipv4Addr, NetworkError> {
        let end = End {
            name: UPLINK,
            index: FIRST_INDEX,
        };
        // Index 0: the host's choice, for the host has interfaces of its own.
        let peer = End {
            name: &self.uplink,
            index: 0,
        };
        self.socket
            .send(&Batch::default().add_pair(&end, &peer, self.host.as_fd()))?;
        let host_index = self
            .host
            .enter(|| index_of(&self.uplink))
            .map_err(NetworkError::Namespace)??;
        self.host_socket.send(
            &Batch::default()
                .without_ipv6_address(host_index)
                .set_up(host_index),
        )?;

        for attempt in 0..MAX_UPLINK_TRIES {
            let (host, router) = subnet::uplink_pair((hash as u16).wrapping_add(attempt));
            match self
                .host_socket
                .send(&Batch::default().add_neighbour(host_index, router))
            {
                Ok(()) => {
                    self.host_socket
                        .send(&Batch::default().add_address(host_index, host))?;
                    let ours = Batch::default()
                        .settle(FIRST_INDEX)
                        .add_address(FIRST_INDEX, router)
                        .add_default_route(FIRST_INDEX, host);
                    self.socket.send(&ours)?;
                    return Ok(router);
                }
                // Another node of this host has the pair.
                Err(error) if error.is_taken() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(NetworkError::Exhausted {
            subnet: subnet::UPLINKS,
        })
    }

    fn sweep(&mut self) -> Result<(), NetworkError> {
        self.host_socket
            .send(&Batch::default().delete_link(&self.uplink))?;
        let script = rules::no_table(&self.table);
        self.host
            .enter(|| rules::apply(&script))
            .map_err(NetworkError::Namespace)?
    }

    fn inside<T>(&self, work: impl FnOnce() -> Result<T, NetworkError>) -> Result<T, NetworkError> {
        self.netns.enter(work).map_err(NetworkError::Namespace)?
    }
}

fn valid_name(name: &str) -> Result<&str, NetworkError> {
    let fits = (1..=64).contains(&name.len());
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fits && plain {
        Ok(name)
    } else {
        Err(NetworkError::Name {
            name: name.to_owned(),
        })
    }
}

fn index_of(interface: &str) -> Result<u32, NetlinkError> {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    );
    socket
        .and_then(|socket| rustix::net::netdevice::name_to_index(socket, interface))
        .map_err(|source| NetlinkError {
            step: "find the uplink",
            source: source.into(),
        })
}

/// 32-bit FNV-1a: spreads names over interface names and addresses, and is the same in every release.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
