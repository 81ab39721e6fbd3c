//! Descriptors made anew: the part of a fork's tape that does it.

use crate::init::RUNTIME_API_PORT;
use crate::template::descriptors::{How, Renewal};
use crate::template::region::Region;
use crate::template::scripts::{OUTPUTS, REQUEST_SOCKET};
use crate::template::tape::{Argument, Op, Tape, call};

/// Status flags that an open file has on its own, of those that matter.
const STATUS_FLAGS: i32 = libc::O_NONBLOCK | libc::O_APPEND;
/// What a new pipe holds.
const USUAL_PIPE_BYTES: usize = 64 << 10;
/// What `open` is not to do a second time.
const OPEN_ONCE: i32 = libc::O_CREAT | libc::O_EXCL | libc::O_TRUNC | libc::O_CLOEXEC;

/// Appends to `tape` what makes all of them anew.
pub(crate) fn renew(tape: &mut Tape, region: &mut Region, renewals: &[Renewal]) {
    let mut renew = Renew {
        one: region.reserve(8),
        pair: region.reserve(8),
        tape,
        region,
    };
    for renewal in renewals {
        renew.base(renewal, renewals);
    }
    for renewal in renewals {
        if let How::Copy(twin) = renewal.how {
            renew.copy(Argument::from(twin), renewal);
        }
    }
    // Now that what they watch is there.
    for renewal in renewals {
        if let How::Epoll { watches } = &renewal.how {
            for watch in watches {
                let mut event = watch.events.to_le_bytes().to_vec();
                event.extend(watch.data.to_le_bytes());
                let event = renew.region.put(&event);
                let add = libc::EPOLL_CTL_ADD;
                renew
                    .tape
                    .push(call!(libc::SYS_epoll_ctl, renewal.fd, add, watch.fd, event));
            }
        }
    }
}

struct Renew<'a> {
    tape: &'a mut Tape,
    region: &'a mut Region,
    /// Where the number of a new descriptor is kept.
    one: u64,
    /// Where those of two are.
    pair: u64,
}

impl Renew<'_> {
    fn base(&mut self, renewal: &Renewal, all: &[Renewal]) {
        let flags = renewal.flags;
        match &renewal.how {
            How::Copy(_) => {}
            How::Output(index) => self.copy(Argument::from(OUTPUTS[*index]), renewal),
            How::RequestSocket => self.copy(Argument::from(REQUEST_SOCKET), renewal),
            How::RuntimeApi { v6, no_delay } => self.connect(renewal, *v6, *no_delay),
            How::Datagrams { family } => {
                let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
                self.open(call!(libc::SYS_socket, *family, kind, 0));
                self.place(renewal);
            }
            How::Open { path, position } => {
                let path = self.region.put_string(path);
                let flags = flags & !OPEN_ONCE;
                self.open(call!(libc::SYS_openat, libc::AT_FDCWD, path, flags));
                let seek = call!(libc::SYS_lseek, self.opened(), *position, libc::SEEK_SET);
                self.tape.push(seek.or_not());
                self.place(renewal);
            }
            How::EventFd { count, semaphore } => {
                let kind = i32::from(*semaphore) * libc::EFD_SEMAPHORE;
                let flags = kind | flags & libc::O_NONBLOCK;
                let count = u32::try_from(*count).unwrap_or(u32::MAX);
                self.open(call!(libc::SYS_eventfd2, count, flags));
                self.place(renewal);
            }
            How::TimerFd { clock, value } => {
                let value = self.region.put_words(value);
                let flags = flags & libc::O_NONBLOCK;
                self.open(call!(libc::SYS_timerfd_create, *clock, flags));
                self.tape
                    .push(call!(libc::SYS_timerfd_settime, self.opened(), 0, value, 0));
                self.place(renewal);
            }
            How::SignalFd { mask } => {
                let mask = self.region.put_words(&[*mask]);
                let flags = flags & libc::O_NONBLOCK;
                self.open(call!(libc::SYS_signalfd4, -1, mask, 8, flags));
                self.place(renewal);
            }
            How::Epoll { .. } => {
                self.open(call!(libc::SYS_epoll_create1, 0));
                self.place(renewal);
            }
            How::Pipe { id, .. } => {
                let same =
                    |other: &&Renewal| matches!(&other.how, How::Pipe { id: its, .. } if its == id);
                let ends: Vec<&Renewal> = all.iter().filter(same).collect();
                // Once for all of its ends.
                if ends.first().is_some_and(|first| first.fd == renewal.fd) {
                    self.pipe(&ends);
                }
            }
            How::Pair {
                peer: Some(peer),
                kind,
            } => {
                if renewal.fd < *peer {
                    let other = all.iter().find(|other| other.fd == *peer);
                    self.socket_pair(*kind, renewal, other);
                }
            }
            How::Pair { peer: None, .. } => {}
            How::HalfPair { kind } => self.socket_pair(*kind, renewal, None),
        }
    }

    fn pipe(&mut self, ends: &[&Renewal]) {
        self.tape.push(call!(libc::SYS_pipe2, self.pair, 0));
        for end in ends {
            if let How::Pipe {
                writes,
                size,
                content,
                ..
            } = &end.how
            {
                if *size != USUAL_PIPE_BYTES {
                    // It may have used up what a user may have of this: then its own are smaller.
                    let resize = call!(libc::SYS_fcntl, self.second(), libc::F_SETPIPE_SZ, *size);
                    self.tape.push(resize.or_not());
                }
                if !content.is_empty() {
                    let bytes = self.region.put(content);
                    let write = call!(libc::SYS_write, self.second(), bytes, content.len());
                    // Nobody would make room for it.
                    self.set_status(self.second(), libc::O_NONBLOCK);
                    self.tape.push(write.must_be(content.len() as u64));
                    self.set_status(self.second(), 0);
                }
                let own = if *writes { self.second() } else { self.first() };
                self.copy(own, end);
            }
        }
        self.close_pair();
    }

    fn socket_pair(&mut self, kind: i32, one: &Renewal, other: Option<&Renewal>) {
        self.tape.push(call!(
            libc::SYS_socketpair,
            libc::AF_UNIX,
            kind,
            0,
            self.pair
        ));
        self.copy(self.first(), one);
        if let Some(other) = other {
            self.copy(self.second(), other);
        }
        self.close_pair();
    }

    fn connect(&mut self, renewal: &Renewal, v6: bool, no_delay: bool) {
        let (family, address) = runtime_api(v6);
        let length = address.len();
        let address = self.region.put(&address);
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        self.open(call!(libc::SYS_socket, family, kind, 0));
        self.tape
            .push(call!(libc::SYS_connect, self.opened(), address, length));
        if no_delay {
            let yes = self.region.put(&1_u32.to_le_bytes());
            let (level, option) = (libc::IPPROTO_TCP, libc::TCP_NODELAY);
            self.tape.push(call!(
                libc::SYS_setsockopt,
                self.opened(),
                level,
                option,
                yes,
                4
            ));
        }
        self.place(renewal);
    }

    fn open(&mut self, op: Op) {
        self.tape.push(op.store(self.one));
    }

    fn opened(&self) -> Argument {
        Argument::eight_at(self.one)
    }

    fn first(&self) -> Argument {
        Argument::four_at(self.pair)
    }

    fn second(&self) -> Argument {
        Argument::four_at(self.pair + 4)
    }

    /// Gives the new descriptor its number. It is another one until then, for that number is taken by the inherited one.
    fn place(&mut self, renewal: &Renewal) {
        self.copy(self.opened(), renewal);
        self.tape.push(call!(libc::SYS_close, self.opened()));
    }

    fn copy(&mut self, from: Argument, renewal: &Renewal) {
        let close_on_exec = renewal.flags & libc::O_CLOEXEC;
        self.tape
            .push(call!(libc::SYS_dup3, from, renewal.fd, close_on_exec));
        let status = renewal.flags & STATUS_FLAGS;
        if status != 0 {
            self.set_status(Argument::from(renewal.fd), status);
        }
    }

    fn set_status(&mut self, fd: Argument, status: i32) {
        self.tape
            .push(call!(libc::SYS_fcntl, fd, libc::F_SETFL, status));
    }

    fn close_pair(&mut self) {
        self.tape.push(call!(libc::SYS_close, self.first()));
        self.tape.push(call!(libc::SYS_close, self.second()));
    }
}

/// The Runtime API's address as `connect` takes it, for that kind of socket.
fn runtime_api(v6: bool) -> (i32, Vec<u8>) {
    let family = if v6 { libc::AF_INET6 } else { libc::AF_INET };
    let mut address = (family as u16).to_ne_bytes().to_vec();
    address.extend(RUNTIME_API_PORT.to_be_bytes());
    if v6 {
        address.extend([0; 4]);
        address.extend(std::net::Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets());
        address.extend([0; 4]);
    } else {
        address.extend([127, 0, 0, 1]);
        address.extend([0; 8]);
    }
    (family, address)
}
