//! Attaching slots to a router.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::netlink::{Batch, End, LOOPBACK, Socket};
use super::{FIRST_INDEX, NetworkError, Subnet};
use crate::sys::namespace;

/// How many slots may hold neighbouring addresses for long before a new one finds none.
const MAX_ATTACH_TRIES: u32 = 8192;

/// The network of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotNet {
    /// The address of its `eth0`.
    pub address: Ipv4Addr,
}

/// Where slots are attached: a router's network namespace, and the addresses that it serves.
#[derive(Debug)]
pub(crate) struct Trunk {
    pub(crate) subnet: Subnet,
    pub(crate) netns: OwnedFd,
}

impl Trunk {
    /// As [`Router::attach`], given a socket of the slot's network namespace, which has its loopback interface on. From then
    /// on the calling process is in the router's.
    pub(crate) fn attach(&self, slot_id: u32, mut slot: Socket) -> Result<SlotNet, NetworkError> {
        let opened = namespace::network_of(slot.as_fd()).and_then(|netns| {
            move_into_link_name_space(self.netns.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok((netns, Socket::open()?))
        });
        let (netns, mut router) = opened.map_err(NetworkError::Namespace)?;
        connect(&mut router, self.subnet, slot_id, &mut slot, netns.as_fd())
    }
}

/// Opens a socket to configure the calling process's network with, and turns its loopback interface on.
pub(crate) fn own_socket() -> io::Result<Socket> {
    let mut socket = Socket::open()?;
    let sent = socket.send(&Batch::default().set_up(LOOPBACK));
    sent.map_err(|error| error.source)?;
    Ok(socket)
}

/// What [`Router::attach`] does, given sockets of the router's and of the slot's network namespace.
pub(super) fn connect(
    router: &mut Socket,
    subnet: Subnet,
    slot_id: u32,
    slot: &mut Socket,
    netns: BorrowedFd<'_>,
) -> Result<SlotNet, NetworkError> {
    let (index, address) = add_pair(router, subnet, slot_id, netns)?;
    let interface = Batch::default()
        .without_ipv6_address(FIRST_INDEX)
        .set_up(FIRST_INDEX)
        .add_address(FIRST_INDEX, address)
        .add_default_route(FIRST_INDEX, subnet.gateway());
    slot.send(&interface)?;
    router.send(&Batch::default().settle(index))?;
    Ok(SlotNet { address })
}

/// Makes the pair, and returns the index of the router's end and the slot's address, the first free one: the kernel refuses
/// a pair whose index is taken, so that no list of addresses has to be kept in step with namespaces that die on their own.
fn add_pair(
    router: &mut Socket,
    subnet: Subnet,
    slot_id: u32,
    netns: BorrowedFd<'_>,
) -> Result<(u32, Ipv4Addr), NetworkError> {
    let capacity = subnet.capacity();
    for offset in
        (0..capacity.min(MAX_ATTACH_TRIES)).map(|step| slot_id.wrapping_add(step) % capacity)
    {
        let address = subnet.slot(offset);
        let index = FIRST_INDEX + 1 + offset;
        let end = End {
            name: &format!("s{offset}"),
            index,
        };
        let peer = End {
            name: "eth0",
            index: FIRST_INDEX,
        };
        match router.send(&Batch::default().add_pair(&end, &peer, netns)) {
            Ok(()) => {
                router.send(&Batch::default().add_neighbour(index, address))?;
                return Ok((index, address));
            }
            Err(error) if error.is_taken() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(NetworkError::Exhausted { subnet })
}
