//! The descriptors of a stopped program, and how a fork gets its own.
//!
//! A fork inherits all of them, and with them the open files behind: offsets, counters and contents that it would share
//! with its template and all other forks. So what has a state is made anew.

mod fdinfo;
pub(crate) mod pipes;
mod sockets;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use rustix::process::{PidfdGetfdFlags, pidfd_getfd};

use self::fdinfo::FdInfo;
use crate::sys::kcmp::{same_file, watches_file};
use crate::template::refusal::{FreezeError, Refusal};
use crate::template::scripts::MAX_ORDER_DESCRIPTORS;

/// Descriptors from here on are the engine's, in a fork's first moments.
pub(crate) const FIRST_OWN: i32 = 1016;

/// The limit that every program is started with, which leaves room for them.
const DESCRIPTOR_LIMIT: u64 = 1024;

/// The program's lie below this: what an order brings, and what a fork makes at one time, has room in between.
const LIMIT: i32 = FIRST_OWN - MAX_ORDER_DESCRIPTORS as i32;

/// What all epolls of a program may watch.
const MAX_WATCHES: usize = 4096;

/// Behind the path of a file that is in no folder any more.
const DELETED: &str = " (deleted)";

/// A descriptor and how it is made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Renewal {
    pub(crate) fd: i32,
    /// `O_CLOEXEC`, and the file's status flags such as `O_NONBLOCK`.
    pub(crate) flags: i32,
    pub(crate) how: How,
}

/// How a descriptor is made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum How {
    /// As a copy of the one with that number, which comes before it.
    Copy(i32),
    /// The fork's standard output or standard error.
    Output(usize),
    /// The fork's request socket.
    RequestSocket,
    /// A connection to the Runtime API.
    RuntimeApi {
        v6: bool,
        no_delay: bool,
    },
    /// A UDP socket that nothing has been sent from or to yet.
    Datagrams {
        family: i32,
    },
    /// Opened again, at that position.
    Open {
        path: String,
        position: u64,
    },
    EventFd {
        count: u64,
        semaphore: bool,
    },
    TimerFd {
        clock: i32,
        value: [u64; 4],
    },
    SignalFd {
        mask: u64,
    },
    Epoll {
        watches: Vec<Watch>,
    },
    /// One end of a pipe, with what is in it; the other end follows or came before, if there is one.
    Pipe {
        id: u64,
        writes: bool,
        /// Of what it holds at most.
        size: usize,
        content: Vec<u8>,
    },
    /// One end of a pair of sockets.
    Pair {
        peer: Option<i32>,
        kind: i32,
    },
    /// One end of a pair of sockets whose other end is closed. Java keeps one, to close connections with.
    HalfPair {
        kind: i32,
    },
}

/// What an epoll watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watch {
    pub(crate) fd: i32,
    pub(crate) events: u32,
    pub(crate) data: u64,
}

/// What is known of the program beforehand.
pub(crate) struct Known<'a> {
    pub(crate) pid: i32,
    pub(crate) pidfd: BorrowedFd<'a>,
    /// The pipes that it writes its output to.
    pub(crate) outputs: [u64; 2],
    pub(crate) request_socket: Option<u64>,
    /// How many entrances the control groups of its forks have.
    pub(crate) entrances: usize,
}

impl Known<'_> {
    /// A descriptor of the program's, in this process.
    fn fetch(&self, fd: i32) -> io::Result<OwnedFd> {
        Ok(pidfd_getfd(self.pidfd, fd, PidfdGetfdFlags::empty())?)
    }

    fn path(&self, fd: i32) -> String {
        format!("/proc/{}/fd/{fd}", self.pid)
    }
}

/// How all descriptors are made anew, in order of their numbers. Those that may be shared are left out.
pub(crate) fn renewals(known: &Known<'_>) -> Result<Vec<Renewal>, FreezeError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(format!("/proc/{}/fd", known.pid))? {
        numbers.extend(
            entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<i32>().ok()),
        );
    }
    numbers.sort_unstable();
    if descriptor_limit(known.pid)? < DESCRIPTOR_LIMIT {
        return Err(Refusal::DescriptorLimit.into());
    }
    if let Some(&fd) = numbers.last().filter(|fd| **fd >= LIMIT) {
        let max = LIMIT - 1;
        return Err(Refusal::TooManyDescriptors { fd, max }.into());
    }
    let mut renewals: Vec<Renewal> = Vec::new();
    let mut first: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    let mut watches = 0;
    for fd in numbers {
        let target = fs::read_link(known.path(fd))?
            .to_string_lossy()
            .into_owned();
        let info = FdInfo::read(known.pid, fd)?;
        // A fork would not get its signals; and a template may get none: one that stops it cannot be blocked.
        if info.flags & libc::O_ASYNC != 0 {
            let kind = format!("{target}, which sends signals");
            return Err(Refusal::Descriptor { fd, kind }.into());
        }
        let twins = first.entry(target.clone()).or_default();
        let mut twin = None;
        for candidate in twins.iter() {
            if same_file(known.pid, *candidate, fd)? {
                twin = Some(*candidate);
                break;
            }
        }
        let how = match twin {
            Some(twin) => Some(How::Copy(twin)),
            None => how(known, fd, &target, &info)?,
        };
        if let Some(How::Epoll { watches: more }) = &how {
            watches += more.len();
            if watches > MAX_WATCHES {
                return Err(Refusal::TooMuchState.into());
            }
        }
        // What is shared is shared by its copies too.
        if let Some(how) = how
            && !matches!(how, How::Copy(twin) if renewals.iter().all(|have| have.fd != twin))
        {
            renewals.push(Renewal {
                fd,
                flags: info.flags,
                how,
            });
        }
        if twin.is_none() {
            twins.push(fd);
        }
    }
    refuse_stale_watches(known.pid, &renewals)?;
    sockets::find_pairs(known, &mut renewals)?;
    Ok(renewals)
}

/// An epoll goes on watching a file whose descriptor is closed while there is a copy of that, and cannot be made to watch it
/// again.
fn refuse_stale_watches(pid: i32, renewals: &[Renewal]) -> Result<(), FreezeError> {
    for renewal in renewals {
        let How::Epoll { watches } = &renewal.how else {
            continue;
        };
        let mut seen: BTreeMap<i32, u32> = BTreeMap::new();
        for watch in watches {
            let earlier = seen.entry(watch.fd).or_default();
            if !watches_file(pid, renewal.fd, watch.fd, *earlier).unwrap_or(false) {
                return Err(Refusal::Descriptor {
                    fd: renewal.fd,
                    kind: "an epoll that watches a closed descriptor".to_owned(),
                }
                .into());
            }
            *earlier += 1;
        }
    }
    Ok(())
}

fn descriptor_limit(pid: i32) -> io::Result<u64> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    Ok(soft.unwrap_or(0))
}

fn how(
    known: &Known<'_>,
    fd: i32,
    target: &str,
    info: &FdInfo,
) -> Result<Option<How>, FreezeError> {
    let foreign = || Refusal::Descriptor {
        fd,
        kind: target.to_owned(),
    };
    if target.starts_with('/') {
        return Ok(file(known, fd, target, info)?);
    }
    if let Some(inode) = target.strip_prefix("pipe:[") {
        return Ok(Some(pipes::how(known, fd, inode, info)?));
    }
    if target.starts_with("socket:[") {
        return sockets::how(known, fd).map(Some);
    }
    Ok(Some(match target {
        "anon_inode:[eventfd]" => How::EventFd {
            count: info.hex("eventfd-count:").unwrap_or(0),
            semaphore: info.decimal("eventfd-semaphore:") == Some(1),
        },
        "anon_inode:[timerfd]" => info.timer().ok_or_else(foreign)?,
        "anon_inode:[signalfd]" => How::SignalFd {
            mask: info.hex("sigmask:").ok_or_else(foreign)?,
        },
        "anon_inode:[eventpoll]" => How::Epoll {
            watches: info.watches(),
        },
        _ => return Err(foreign().into()),
    }))
}

/// Files of the image and of /proc can be opened again; devices have no state.
fn file(known: &Known<'_>, fd: i32, target: &str, info: &FdInfo) -> Result<Option<How>, Refusal> {
    let own = || Refusal::OpenFile {
        fd,
        path: target.to_owned(),
    };
    let metadata = fs::metadata(known.path(fd)).map_err(|_| own())?;
    let kind = metadata.file_type();
    if kind.is_char_device() {
        return match target {
            "/dev/null" | "/dev/zero" | "/dev/full" | "/dev/random" | "/dev/urandom" => Ok(None),
            _ => Err(Refusal::Descriptor {
                fd,
                kind: target.to_owned(),
            }),
        };
    }
    let writes = info.flags & libc::O_ACCMODE != libc::O_RDONLY;
    let elsewhere = ["/tmp/", "/dev/", "/memfd:"]
        .iter()
        .any(|folder| target.starts_with(folder));
    let shown = fs::metadata(format!("/proc/{}/root{target}", known.pid));
    let same = shown.is_ok_and(|shown| shown.ino() == metadata.ino());
    // The template would keep what it has locked from its forks.
    let locked = info.has_lock();
    if elsewhere
        || locked
        || target.ends_with(DELETED)
        || (writes && !target.starts_with("/proc/"))
        || !same
    {
        return Err(own());
    }
    Ok(Some(How::Open {
        path: target.to_owned(),
        position: info.decimal("pos:").unwrap_or(0),
    }))
}
