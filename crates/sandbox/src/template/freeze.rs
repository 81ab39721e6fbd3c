//! From a running program to a template.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{PidfdGetfdFlags, pidfd_getfd};

use super::stem::Places;
use super::touches::Learned;
use super::{Frozen, Template};
use crate::channel::Channel;
use crate::identity::IdMap;
use crate::process::Living;
use crate::sys::arch::{frame_bytes, mmap_call};
use crate::template::descriptors::pipes::look_into;
use crate::template::descriptors::{Known, Renewal, renewals};
use crate::template::memory::{Mapping, Memory, mappings};
use crate::template::refusal::{FreezeError, Refusal};
use crate::template::region::{CODE_BYTES, Region};
use crate::template::reseed::reseeders;
use crate::template::scripts::{CONTROL, Program, STEM_BYTES, Scripts, write};
use crate::template::temporary::refuse_temporary_files;
use crate::template::threads::{Threads, expect};

/// Processes of a sandbox that has a program and no more: init is the other.
const PROCESSES: usize = 2;

/// Ids that a fork may have to use up for its threads to get theirs; a fork takes some microseconds for each.
const MAX_IDS: usize = 4096;

/// Stems that may be under way at one time.
const MAX_STEMS: u64 = 256;

/// For tapes, and what they refer to.
const SCRIPT_BYTES: u64 = 2 << 20;

/// What may wait in pipes: it stands among what tapes refer to, and leaves room for the rest.
const MAX_PIPED_BYTES: usize = SCRIPT_BYTES as usize / 2;

/// For the functions of the program's that a fork calls. Pages that nobody needs cost nothing.
const STACK_BYTES: u64 = 256 << 10;

/// How long threads may take to end. Longer means that the kernel is stuck with one.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// How long a leader may take to carry out an order, which takes about a millisecond; starts wait for it.
const ORDER_PATIENCE: Duration = Duration::from_secs(5);

/// A program, and what is known of it.
pub(crate) struct Subject {
    pub(crate) pidfd: OwnedFd,
    pub(crate) ids: IdMap,
    pub(crate) request_socket: Option<u64>,
    /// The pipes of standard output and standard error.
    pub(crate) outputs: [u64; 2],
    pub(crate) living: Arc<Living>,
}

/// Freezes it. Blocks; all of it happens on one thread, as the kernel wants it of who stops others.
pub(crate) fn freeze(subject: Subject) -> Result<Template, FreezeError> {
    let pid = subject.living.pid;
    let mut threads = Threads::seize(pid)?;
    // Now that nobody can make another.
    refuse_company(&subject.living)?;
    refuse_what_forks_lack(pid)?;
    let ids = threads.ids();
    if ids > MAX_IDS {
        return Err(Refusal::TooManyThreads {
            count: ids,
            max: MAX_IDS,
        }
        .into());
    }
    let memory = Memory::open(pid)?;
    let mappings = mappings(pid)?;
    threads.hold(&memory, &mappings)?;
    let known = Known {
        pid,
        pidfd: subject.pidfd.as_fd(),
        outputs: subject.outputs,
        request_socket: subject.request_socket,
        entrances: subject.living.sandbox.node().cgroups.entrances(),
    };
    let mut renewals = renewals(&known)?;
    look_into(&known, &mut renewals, MAX_PIPED_BYTES)?;
    let room = Room::make(&threads)?;
    let written = room.write(&mut threads, &memory, &mappings, &renewals, &known);
    let (scripts, stems) = match written {
        Err(FreezeError::Refused(refusal)) => {
            room.give_back(&threads)?;
            return Err(refusal.into());
        }
        written => written?,
    };

    // From here on the program is changed, and not refused any more.
    let scratch = room.scratch();
    raise_process_limit(&threads, &memory, scratch)?;
    let off = [libc::PR_SET_CHILD_SUBREAPER as u64, 0, 0, 0, 0, 0];
    expect(threads.call(0, libc::SYS_prctl, off)?)?;
    for mapping in mappings
        .iter()
        .filter(|mapping| mapping.is_kept_from_forks())
    {
        advise(&threads, [mapping.begin, mapping.end], libc::MADV_DOFORK)?;
    }
    advise(&threads, scripts.orders, libc::MADV_WIPEONFORK)?;
    let leader = connect(&threads, &memory, scratch, &subject.pidfd)?;
    let namespace = |kind: &str| fs::File::open(format!("/proc/{pid}/ns/{kind}"));
    let namespaces = [namespace("user")?.into(), namespace("pid")?.into()];
    // Before the program can end.
    subject.living.stay()?;
    threads.play(room.base, [scripts.leader, scripts.end], scripts.status)?;
    wait_for_one_thread(pid)?;
    let [begin, end] = stems;
    Ok(Template(Arc::new(Frozen {
        living: subject.living,
        pidfd: subject.pidfd,
        memory,
        leader: Mutex::new(leader),
        namespaces,
        ids: subject.ids,
        fork: scripts.fork,
        has_request_socket: subject.request_socket.is_some(),
        places: Places::new(begin, end),
        learned: Learned::default(),
    })))
}

/// Tapes and names of one thread.
const SCRIPTS_PER_THREAD: usize = 2048;

/// The engine's memory in the program.
struct Room {
    base: u64,
    size: u64,
}

impl Room {
    fn make(threads: &Threads) -> Result<Room, FreezeError> {
        let frames: usize = threads
            .all
            .iter()
            .map(|thread| frame_bytes(thread.extended.len()) + SCRIPTS_PER_THREAD)
            .sum();
        let size = CODE_BYTES + SCRIPT_BYTES + frames as u64 + MAX_STEMS * STEM_BYTES;
        let size = size.next_multiple_of(4096);
        let (number, arguments) = mmap_call(size);
        match expect(threads.call(0, number, arguments)?) {
            Ok(base) => Ok(Room { base, size }),
            // Its own limits leave no room; the second is that of locked memory.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::EAGAIN)) => {
                Err(Refusal::TooMuchState.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn give_back(&self, threads: &Threads) -> io::Result<()> {
        let all = [self.base, self.size, 0, 0, 0, 0];
        expect(threads.call(0, libc::SYS_munmap, all)?).map(drop)
    }

    /// For what calls write: in the stack, which nobody uses before there is a fork.
    fn scratch(&self) -> u64 {
        self.base + self.size - STACK_BYTES
    }

    /// Asks the program for the rest of what is to be known, and writes all scripts. Returns where they are, and where stems
    /// have their places: begin and end.
    fn write(
        &self,
        threads: &mut Threads,
        memory: &Memory,
        mappings: &[Mapping],
        renewals: &[Renewal],
        known: &Known<'_>,
    ) -> Result<(Scripts, [u64; 2]), FreezeError> {
        let scratch = self.scratch();
        refuse_timers(threads, memory, scratch)?;
        threads.ask(memory, scratch)?;
        let process_limit = process_limit(threads, memory, scratch)?;
        let get = [libc::PR_GET_CHILD_SUBREAPER as u64, scratch, 0, 0, 0, 0];
        memory.write(scratch, &[0; 8])?;
        expect(threads.call(0, libc::SYS_prctl, get)?)?;
        let subreaper = memory.word(scratch)? != 0;
        let get = [libc::PR_GET_DUMPABLE as u64, 0, 0, 0, 0, 0];
        let dumpable = expect(threads.call(0, libc::SYS_prctl, get)?)? == 1;
        let mut region = Region::new(self.base, self.size - STACK_BYTES);
        let program = Program {
            threads: &threads.all,
            renewals,
            working_directory: &working_directory(threads.pid())?,
            dumpable,
            subreaper,
            reseeders: &reseeders(threads.pid(), mappings),
            stack: self.base + self.size,
            process_limit,
            has_request_socket: known.request_socket.is_some(),
            entrances: known.entrances,
        };
        let scripts = write(&mut region, &program);
        region.check()?;
        region.write(memory)?;
        let code = (libc::PROT_READ | libc::PROT_EXEC) as u64;
        let protect = [self.base, CODE_BYTES, code, 0, 0, 0];
        match expect(threads.call(0, libc::SYS_mprotect, protect)?) {
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => {
                return Err(Refusal::ExecutableMemory.into());
            }
            other => other?,
        };
        let (begin, end) = region.rest();
        Ok((scripts, [begin, end]))
    }
}

/// Others in the sandbox would not be forked along.
fn refuse_company(living: &Living) -> Result<(), FreezeError> {
    let processes = living.sandbox.with_cgroup(|cgroup| cgroup.processes());
    let processes = processes.map_err(io::Error::other)?;
    // One that has ended, whose id another process has by now, is not what was to be stopped.
    if !processes.contains(&living.pid) {
        return Err(io::Error::from(io::ErrorKind::NotFound).into());
    }
    match processes.len() {
        count if count > PROCESSES => Err(Refusal::ChildProcess { count: count - 1 }.into()),
        _ => Ok(()),
    }
}

/// What neither a fork inherits nor the engine makes anew.
fn refuse_what_forks_lack(pid: i32) -> Result<(), FreezeError> {
    let timers = fs::read_to_string(format!("/proc/{pid}/timers")).unwrap_or_default();
    if !timers.trim().is_empty() {
        return Err(Refusal::Timer.into());
    }
    refuse_temporary_files(pid)
}

/// `setitimer`'s.
fn refuse_timers(threads: &Threads, memory: &Memory, scratch: u64) -> Result<(), FreezeError> {
    for kind in [
        libc::ITIMER_REAL as u64,
        libc::ITIMER_VIRTUAL as u64,
        libc::ITIMER_PROF as u64,
    ] {
        expect(threads.call(0, libc::SYS_getitimer, [kind, scratch, 0, 0, 0, 0])?)?;
        // Seconds and microseconds that are left.
        if memory.word(scratch + 16)? != 0 || memory.word(scratch + 24)? != 0 {
            return Err(Refusal::Timer.into());
        }
    }
    Ok(())
}

/// How many processes the forks may have, soft and hard.
fn process_limit(threads: &Threads, memory: &Memory, scratch: u64) -> io::Result<[u64; 2]> {
    let resource = u64::from(libc::RLIMIT_NPROC);
    expect(threads.call(0, libc::SYS_prlimit64, [0, resource, 0, scratch, 0, 0])?)?;
    Ok([memory.word(scratch)?, memory.word(scratch + 8)?])
}

/// The kernel counts a template's forks, and theirs, for its own limit of processes too; which is to keep nobody from making
/// more.
fn raise_process_limit(threads: &Threads, memory: &Memory, scratch: u64) -> io::Result<()> {
    let resource = u64::from(libc::RLIMIT_NPROC);
    let [_, hard] = process_limit(threads, memory, scratch)?;
    memory.write(scratch, &hard.to_le_bytes())?;
    expect(threads.call(0, libc::SYS_prlimit64, [0, resource, scratch, 0, 0, 0])?).map(drop)
}

/// Tells the kernel how to treat that memory.
fn advise(threads: &Threads, [begin, end]: [u64; 2], advice: i32) -> io::Result<()> {
    let arguments = [begin, end - begin, advice as u64, 0, 0, 0];
    expect(threads.call(0, libc::SYS_madvise, arguments)?).map(drop)
}

/// Where the program is, as it sees it.
fn working_directory(pid: i32) -> Result<String, FreezeError> {
    let path = fs::read_link(format!("/proc/{pid}/cwd"))?;
    let path = path.to_string_lossy().into_owned();
    let there = fs::metadata(format!("/proc/{pid}/cwd"))?;
    let shown = fs::metadata(format!("/proc/{pid}/root{path}"));
    let same = shown.is_ok_and(|shown| shown.ino() == there.ino() && shown.dev() == there.dev());
    if !same || path.starts_with("/tmp/") || path.starts_with("/dev/shm") {
        return Err(Refusal::WorkingDirectory { path }.into());
    }
    Ok(path)
}

/// A channel between the leader and this process.
fn connect(
    threads: &Threads,
    memory: &Memory,
    scratch: u64,
    pidfd: &OwnedFd,
) -> io::Result<Channel> {
    let kind = (libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC) as u64;
    let family = libc::AF_UNIX as u64;
    expect(threads.call(0, libc::SYS_socketpair, [family, kind, 0, scratch, 0, 0])?)?;
    let both = memory.word(scratch)?;
    let (ours, theirs) = (both & 0xffff_ffff, both >> 32);
    let channel = i32::try_from(ours)
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
        .and_then(|fd| Ok(pidfd_getfd(pidfd, fd, PidfdGetfdFlags::empty())?));
    let close_on_exec = libc::O_CLOEXEC as u64;
    let place = [theirs, CONTROL as u64, close_on_exec, 0, 0, 0];
    expect(threads.call(0, libc::SYS_dup3, place)?)?;
    for fd in [ours, theirs] {
        expect(threads.call(0, libc::SYS_close, [fd, 0, 0, 0, 0, 0])?)?;
    }
    let channel = Channel::from_socket(channel?);
    channel.set_deadline(Some(ORDER_PATIENCE))?;
    Ok(channel)
}

fn wait_for_one_thread(pid: i32) -> io::Result<()> {
    let deadline = Instant::now() + END_PATIENCE;
    while fs::read_dir(format!("/proc/{pid}/task"))?.count() > 1 {
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}
