//! Sockets: those that the node is at the other end of are made anew, pairs within the program too, and those that datagrams
//! are yet to be sent from; any other is a connection that a fork would share.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;
use rustix::net::sockopt::{
    Timeout, socket_acceptconn, socket_broadcast, socket_domain, socket_protocol, socket_reuseaddr,
    socket_reuseport, socket_timeout, socket_type, tcp_nodelay,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketType, getpeername, getsockname,
    ipproto, recv, send,
};

use super::{How, Known, Renewal};
use crate::init::RUNTIME_API_PORT;
use crate::template::refusal::{FreezeError, Refusal};

pub(super) fn how(known: &Known<'_>, fd: i32) -> Result<How, FreezeError> {
    let socket = known.fetch(fd)?;
    if known.request_socket == Some(fstat(&socket).map_err(io::Error::from)?.st_ino) {
        return Ok(How::RequestSocket);
    }
    let facts = Facts::of(&socket)?;
    if facts.listens {
        let address = facts.own;
        return Err(Refusal::ListeningSocket { fd, address }.into());
    }
    if let Some(v6) = facts.runtime_api {
        let no_delay = tcp_nodelay(&socket).unwrap_or(false);
        return Ok(How::RuntimeApi { v6, no_delay });
    }
    if let Some(family) = facts.fresh {
        return Ok(How::Datagrams { family });
    }
    if facts.may_be_pair {
        let kind = facts.kind.as_raw() as i32;
        return Ok(How::Pair { peer: None, kind });
    }
    let peer = facts.peer;
    Err(Refusal::OpenConnection { fd, peer }.into())
}

struct Facts {
    kind: SocketType,
    listens: bool,
    /// Connected to the Runtime API, and whether over an IPv6 socket.
    runtime_api: Option<bool>,
    /// The family of a UDP socket that is as it was made: clients of tracing daemons keep one to send from.
    fresh: Option<i32>,
    /// A Unix socket without names.
    may_be_pair: bool,
    own: String,
    peer: String,
}

impl Facts {
    fn of(socket: &OwnedFd) -> io::Result<Facts> {
        let family = socket_domain(socket)?;
        let kind = socket_type(socket)?;
        let own = getsockname(socket).ok();
        let peer = getpeername(socket).ok().flatten();
        let tcp = peer.as_ref().and_then(tcp_address);
        let is_api = tcp.is_some_and(|peer| {
            peer.port() == RUNTIME_API_PORT && peer.ip().to_canonical() == Ipv4Addr::LOCALHOST
        });
        let stream = kind == SocketType::STREAM;
        Ok(Facts {
            kind,
            listens: socket_acceptconn(socket)?,
            runtime_api: (is_api && stream).then(|| family == AddressFamily::INET6),
            fresh: is_fresh(socket, family, kind, own.as_ref(), peer.as_ref())?
                .then(|| i32::from(family.as_raw())),
            may_be_pair: family == AddressFamily::UNIX && own.iter().chain(&peer).all(has_no_name),
            own: describe(family, kind, own.as_ref()),
            peer: describe(family, kind, peer.as_ref()),
        })
    }
}

/// Whether it is a UDP socket that has neither been bound (which the first datagram does) nor connected, nor has options
/// that a new one has not, of those that are in use.
fn is_fresh(
    socket: &OwnedFd,
    family: AddressFamily,
    kind: SocketType,
    own: Option<&SocketAddrAny>,
    peer: Option<&SocketAddrAny>,
) -> io::Result<bool> {
    let internet = [AddressFamily::INET, AddressFamily::INET6].contains(&family);
    if !internet || kind != SocketType::DGRAM || peer.is_some() {
        return Ok(false);
    }
    let bound = own
        .and_then(tcp_address)
        .is_none_or(|own| own.port() != 0 || !own.ip().is_unspecified());
    let changed = socket_protocol(socket)? != Some(ipproto::UDP)
        || socket_broadcast(socket)?
        || socket_reuseaddr(socket)?
        || socket_reuseport(socket)?
        || socket_timeout(socket, Timeout::Recv)?.is_some()
        || socket_timeout(socket, Timeout::Send)?.is_some();
    Ok(!bound && !changed)
}

fn tcp_address(address: &SocketAddrAny) -> Option<SocketAddr> {
    SocketAddr::try_from(address.clone()).ok()
}

/// Of a Unix socket: its address is the family and no more.
fn has_no_name(address: &SocketAddrAny) -> bool {
    address.addr_len() as usize <= size_of::<libc::sa_family_t>()
}

/// `TCP to 192.0.2.1:5432`, or the family's name.
fn describe(family: AddressFamily, kind: SocketType, address: Option<&SocketAddrAny>) -> String {
    let kind = match (family, kind) {
        (AddressFamily::UNIX, _) => "a Unix socket",
        (AddressFamily::NETLINK, _) => "a netlink socket",
        (_, SocketType::STREAM) => "TCP",
        (_, SocketType::DGRAM) => "UDP",
        _ => "a socket",
    };
    match address.and_then(tcp_address) {
        Some(address) => format!("{kind}, {address}"),
        None => kind.to_owned(),
    }
}

/// What is sent to find the other end of a pair.
const PROBE: &[u8] = b"?";

/// Finds out which sockets are a pair: what is sent to one arrives at the other. The program is stopped, and what is sent
/// is taken back.
pub(super) fn find_pairs(known: &Known<'_>, renewals: &mut [Renewal]) -> Result<(), FreezeError> {
    let single = |renewal: &Renewal| matches!(renewal.how, How::Pair { peer: None, .. });
    let gone = |fd| {
        FreezeError::Refused(Refusal::OpenConnection {
            fd,
            peer: "a Unix socket".to_owned(),
        })
    };
    // Before anything is sent: what a refused program has waiting must be there when it goes on.
    for renewal in renewals.iter_mut() {
        if let How::Pair { peer: None, kind } = renewal.how {
            match waiting(&known.fetch(renewal.fd)?)? {
                Waiting::Nothing => {}
                Waiting::End => renewal.how = How::HalfPair { kind },
                Waiting::Other => return Err(gone(renewal.fd)),
            }
        }
    }
    for one in 0..renewals.len() {
        if !single(&renewals[one]) {
            continue;
        }
        let fd = renewals[one].fd;
        let socket = known.fetch(fd)?;
        let quiet = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        send(&socket, PROBE, quiet).map_err(|_| gone(fd))?;
        let mut peer = None;
        for (index, other) in renewals.iter().enumerate().skip(one + 1) {
            if single(other) && took_probe(&known.fetch(other.fd)?)? {
                peer = Some(index);
                break;
            }
        }
        let Some(peer) = peer else {
            // What the other end is of, if there is one, is not known.
            return Err(gone(fd));
        };
        let fds = (renewals[one].fd, renewals[peer].fd);
        set_peer(&mut renewals[one], fds.1);
        set_peer(&mut renewals[peer], fds.0);
    }
    Ok(())
}

/// Whether the probe has arrived there, which takes it back. There is no other data.
fn took_probe(socket: &OwnedFd) -> Result<bool, FreezeError> {
    if !has_data(socket)? {
        return Ok(false);
    }
    let mut word = [0; 2];
    let (length, _) = recv(socket, &mut word[..], RecvFlags::DONTWAIT).map_err(io::Error::from)?;
    Ok(word[..length] == *PROBE)
}

fn set_peer(renewal: &mut Renewal, fd: i32) {
    if let How::Pair { peer, .. } = &mut renewal.how {
        *peer = Some(fd);
    }
}

/// What whoever reads from one of a pair would find.
enum Waiting {
    Nothing,
    /// Nothing, ever: nobody has the other end any more.
    End,
    /// Data, or an error.
    Other,
}

fn waiting(socket: &OwnedFd) -> io::Result<Waiting> {
    let mut source = [PollFd::new(socket, PollFlags::IN)];
    if poll(&mut source, Some(&Timespec::default()))? == 0 {
        return Ok(Waiting::Nothing);
    }
    let hung_up = source[0].revents().contains(PollFlags::HUP);
    let looked = recv(
        socket,
        &mut [0; 1][..],
        RecvFlags::PEEK | RecvFlags::DONTWAIT,
    );
    Ok(match looked {
        Ok((0, _)) if hung_up => Waiting::End,
        _ => Waiting::Other,
    })
}

fn has_data(socket: &OwnedFd) -> io::Result<bool> {
    let mut source = [PollFd::new(socket, PollFlags::IN)];
    Ok(poll(&mut source, Some(&Timespec::default()))? > 0)
}
