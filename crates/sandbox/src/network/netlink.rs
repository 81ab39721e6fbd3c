//! As much of rtnetlink(7) as slots need: veth pairs, addresses and routes, several requests in one system call.
//!
//! A request is a header, a fixed part and attributes, all in host byte order and padded to four bytes.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

/// Index of the loopback interface in every network namespace.
pub(super) const LOOPBACK: u32 = 1;

/// Both ends of every pair have this address and no ARP. A frame to "my own address" is thus one to the other end,
/// and no neighbour has to be resolved, configured or trusted.
const MAC: [u8; 6] = [0x02, b'p', b'i', b'l', b'o', b't'];

const VETH_INFO_PEER: u16 = 1;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
const RTNH_F_ONLINK: u32 = 4;
const HEADER_BYTES: usize = 16;

/// What the kernel refused, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}")]
pub struct NetlinkError {
    /// The step as an infinitive: "add the address".
    pub step: &'static str,
    /// The kernel's answer.
    #[source]
    pub source: io::Error,
}

impl NetlinkError {
    fn new(step: &'static str, source: impl Into<io::Error>) -> NetlinkError {
        NetlinkError {
            step,
            source: source.into(),
        }
    }

    /// Whether an interface, address or route of this identity was already there.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self.source.raw_os_error(), Some(libc::EEXIST | libc::EBUSY))
    }
}

/// A NETLINK_ROUTE socket. It speaks for the namespace that it was opened in, from wherever it is used.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl From<OwnedFd> for Socket {
    fn from(socket: OwnedFd) -> Socket {
        Socket(socket)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Socket {
    /// Opens one for the network namespace of the calling thread.
    pub(super) fn open() -> io::Result<Socket> {
        // Protocol 0 of this family is NETLINK_ROUTE.
        let fd = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok(Socket(fd))
    }

    /// Sends the batch and waits for every answer. The kernel works through all requests even when one is refused;
    /// the error is the first refusal.
    pub(super) fn send(&mut self, batch: &Batch) -> Result<(), NetlinkError> {
        let io_error = |source: rustix::io::Errno| {
            NetlinkError::new("talk to the kernel over netlink", source)
        };
        sendto(
            &self.0,
            &batch.bytes,
            SendFlags::empty(),
            &SocketAddrNetlink::new(0, 0),
        )
        .map_err(io_error)?;

        let mut first_refusal = None;
        let mut answers = 0;
        // Large enough for any acknowledgement, which repeats at most the request; of other answers the rest is lost.
        let mut buffer = [0_u8; 4096];
        while answers < batch.steps.len() {
            let (received, _) =
                recv(&self.0, &mut buffer[..], RecvFlags::empty()).map_err(io_error)?;
            for (sequence, errno) in acknowledgements(&buffer[..received]) {
                answers += 1;
                let step = batch.steps.get(sequence as usize);
                let tolerated = step.is_some_and(|step| step.tolerated == errno);
                if errno != 0 && !tolerated && first_refusal.is_none() {
                    let name = step.map_or("match the kernel's answer", |step| step.name);
                    first_refusal =
                        Some(NetlinkError::new(name, io::Error::from_raw_os_error(errno)));
                }
            }
        }
        first_refusal.map_or(Ok(()), Err)
    }
}

/// One end of a veth pair to be made.
pub(super) struct End<'a> {
    pub(super) name: &'a str,
    /// Chosen by us, so that the requests which follow need not ask for it.
    pub(super) index: u32,
}

/// Requests to be sent together.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    steps: Vec<Step>,
}

struct Step {
    name: &'static str,
    /// An errno that counts as success; 0 for none.
    tolerated: i32,
}

impl Batch {
    /// Makes a veth pair: one end in the socket's namespace, its peer directly in `peer_netns`. No end ever has to
    /// be moved or renamed, each of which would cost a grace period. The first end is on, its peer still off: the
    /// kernel refuses to turn that on before both exist.
    pub(super) fn add_pair(
        mut self,
        end: &End<'_>,
        peer: &End<'_>,
        peer_netns: BorrowedFd<'_>,
    ) -> Batch {
        let create = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        self.request("make the veth pair", libc::RTM_NEWLINK, create, |body| {
            body.end(end, libc::IFF_UP | libc::IFF_NOARP);
            body.nest(libc::IFLA_LINKINFO, |info| {
                info.attribute(libc::IFLA_INFO_KIND, b"veth");
                info.nest(libc::IFLA_INFO_DATA, |data| {
                    data.nest(VETH_INFO_PEER, |inner| {
                        inner.end(peer, libc::IFF_NOARP);
                        let fd = peer_netns.as_fd().as_raw_fd();
                        inner.attribute(libc::IFLA_NET_NS_FD, &fd.to_ne_bytes());
                    });
                });
            });
        });
        self
    }

    /// Deletes the interface called `name`; that it is not there counts as success.
    pub(super) fn delete_link(mut self, name: &str) -> Batch {
        self.request("delete the interface", libc::RTM_DELLINK, 0, |body| {
            body.link(0, 0, 0);
            body.text(libc::IFLA_IFNAME, name);
        });
        self.tolerate(libc::ENODEV)
    }

    /// Turns the interface on.
    pub(super) fn set_up(mut self, index: u32) -> Batch {
        self.request("turn the interface on", libc::RTM_NEWLINK, 0, |body| {
            body.link(index, libc::IFF_UP as u32, libc::IFF_UP as u32);
        });
        self
    }

    /// Makes sure that the interface sends from now on. When a pair's second end is turned on, the first learns of its
    /// carrier from a worker that may wait for locks, and drops what it is given until then; asking for its state
    /// does the worker's part at once (since Linux 6.8; before, the worker is left to do it).
    pub(super) fn settle(mut self, index: u32) -> Batch {
        self.request("settle the interface", libc::RTM_GETLINK, 0, |body| {
            body.link(index, 0, 0);
        });
        self
    }

    /// Keeps the interface from giving itself an IPv6 address when it is turned on.
    pub(super) fn without_ipv6_address(mut self, index: u32) -> Batch {
        self.request(
            "keep IPv6 off the interface",
            libc::RTM_NEWLINK,
            0,
            |body| {
                body.link(index, 0, 0);
                body.nest(libc::IFLA_AF_SPEC, |families| {
                    families.nest(libc::AF_INET6 as u16, |inet6| {
                        inet6.attribute(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
                    });
                });
            },
        );
        // A kernel without IPv6.
        self.tolerate(libc::EAFNOSUPPORT)
    }

    /// Gives the interface `address`, alone in its subnet.
    pub(super) fn add_address(mut self, index: u32, address: Ipv4Addr) -> Batch {
        let create = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        self.request("add the address", libc::RTM_NEWADDR, create, |body| {
            // struct ifaddrmsg: family, prefix length, flags, scope, index.
            body.0.extend([libc::AF_INET as u8, 32, 0, 0]);
            body.0.extend(index.to_ne_bytes());
            body.attribute(libc::IFA_LOCAL, &address.octets());
            body.attribute(libc::IFA_ADDRESS, &address.octets());
        });
        self
    }

    /// Routes `address` to the interface; refused when any interface has it already.
    pub(super) fn add_neighbour(mut self, index: u32, address: Ipv4Addr) -> Batch {
        let create = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        self.request("route the address", libc::RTM_NEWROUTE, create, |body| {
            body.route(32, libc::RT_SCOPE_LINK, 0);
            body.attribute(libc::RTA_DST, &address.octets());
            body.attribute(libc::RTA_OIF, &index.to_ne_bytes());
        });
        self
    }

    /// Routes everything else to `gateway` behind the interface.
    pub(super) fn add_default_route(mut self, index: u32, gateway: Ipv4Addr) -> Batch {
        let create = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        self.request(
            "add the default route",
            libc::RTM_NEWROUTE,
            create,
            |body| {
                body.route(0, libc::RT_SCOPE_UNIVERSE, RTNH_F_ONLINK);
                body.attribute(libc::RTA_GATEWAY, &gateway.octets());
                body.attribute(libc::RTA_OIF, &index.to_ne_bytes());
            },
        );
        self
    }

    fn request(
        &mut self,
        name: &'static str,
        kind: u16,
        flags: i32,
        fill: impl FnOnce(&mut Body<'_>),
    ) {
        let start = self.bytes.len();
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags) as u16;
        // struct nlmsghdr: length (below), type, flags, sequence number (the step's place), port.
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend((self.steps.len() as u32).to_ne_bytes());
        self.bytes.extend([0; 4]);
        fill(&mut Body(&mut self.bytes));
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        self.steps.push(Step { name, tolerated: 0 });
    }

    fn tolerate(mut self, errno: i32) -> Batch {
        if let Some(step) = self.steps.last_mut() {
            step.tolerated = errno;
        }
        self
    }
}

/// The part of a request after its header.
struct Body<'a>(&'a mut Vec<u8>);

impl Body<'_> {
    fn end(&mut self, end: &End<'_>, flags: i32) {
        self.link(
            end.index,
            flags as u32,
            (libc::IFF_UP | libc::IFF_NOARP) as u32,
        );
        self.text(libc::IFLA_IFNAME, end.name);
        self.attribute(libc::IFLA_ADDRESS, &MAC);
        // The kernel's default is a queue per CPU, each with its own objects to make and delete.
        self.attribute(libc::IFLA_NUM_TX_QUEUES, &1_u32.to_ne_bytes());
        self.attribute(libc::IFLA_NUM_RX_QUEUES, &1_u32.to_ne_bytes());
    }

    /// struct ifinfomsg: family, padding, type, index, flags, mask of the flags to change.
    fn link(&mut self, index: u32, flags: u32, change: u32) {
        self.0.extend([0; 4]);
        self.0.extend(index.to_ne_bytes());
        self.0.extend(flags.to_ne_bytes());
        self.0.extend(change.to_ne_bytes());
    }

    /// struct rtmsg: family, destination and source prefix lengths, tos, table, protocol, scope, type, flags.
    fn route(&mut self, prefix: u8, scope: u8, flags: u32) {
        let family = libc::AF_INET as u8;
        self.0.extend([
            family,
            prefix,
            0,
            0,
            libc::RT_TABLE_MAIN,
            libc::RTPROT_STATIC,
            scope,
            libc::RTN_UNICAST,
        ]);
        self.0.extend(flags.to_ne_bytes());
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.0.extend((4 + value.len() as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn text(&mut self, kind: u16, value: &str) {
        let mut terminated = value.as_bytes().to_vec();
        terminated.push(0);
        self.attribute(kind, &terminated);
    }

    fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Body<'_>)) {
        let start = self.0.len();
        self.attribute(kind | libc::NLA_F_NESTED as u16, &[]);
        fill(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }
}

/// Sequence number and errno (0 for success) of every acknowledgement in what was received.
fn acknowledgements(mut received: &[u8]) -> impl Iterator<Item = (u32, i32)> {
    std::iter::from_fn(move || {
        loop {
            let header: [u8; HEADER_BYTES] = received.get(..HEADER_BYTES)?.try_into().ok()?;
            let word = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
            let length = u32::from_ne_bytes(word(0)) as usize;
            let kind = u16::from_ne_bytes([header[4], header[5]]);
            let message = received.get(HEADER_BYTES..length)?;
            received = received
                .get(length.next_multiple_of(4)..)
                .unwrap_or_default();
            if kind == libc::NLMSG_ERROR as u16 {
                let errno = i32::from_ne_bytes(message.get(..4)?.try_into().ok()?);
                return Some((u32::from_ne_bytes(word(8)), -errno));
            }
        }
    })
}
