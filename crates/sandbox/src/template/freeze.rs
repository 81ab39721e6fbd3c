//! From a running program to a template.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{PidfdGetfdFlags, pidfd_getfd};

use super::stem::Places;
use super::{Frozen, Template};
use crate::channel::Channel;
use crate::foundation::BUILD_PATIENCE;
use crate::identity::IdMap;
use crate::process::Living;
use crate::sys::arch::{frame_bytes, mmap_call};
use crate::template::descriptors::{Known, drain_pipes, piped_bytes, renewals};
use crate::template::memory::{Memory, mappings};
use crate::template::refusal::{FreezeError, Refusal};
use crate::template::region::{CODE_BYTES, Region};
use crate::template::reseed::reseeders;
use crate::template::scripts::{CONTROL, Program, STEM_BYTES, write};
use crate::template::threads::{Threads, expect};

/// Processes of a sandbox that has a program and no more: init is the other.
const PROCESSES: usize = 2;

/// Ids that a fork may have to use up for its threads to get theirs; a fork takes some microseconds for each.
const MAX_IDS: usize = 4096;

/// Stems that may wait at one time.
const MAX_STEMS: u64 = 256;

/// For tapes, and what they refer to.
const SCRIPT_BYTES: u64 = 2 << 20;

/// What may wait in pipes: it stands among what tapes refer to, and leaves room for the rest.
const MAX_PIPED_BYTES: u64 = SCRIPT_BYTES / 2;

/// For the functions of the program's that a fork calls. Pages that nobody needs cost nothing.
const STACK_BYTES: u64 = 256 << 10;

/// How long threads may take to end. Longer means that the kernel is stuck with one.
const END_PATIENCE: Duration = Duration::from_secs(5);

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
    refuse_company(&subject.living)?;
    let mut threads = Threads::seize(pid)?;
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
    let known = Known {
        pid,
        pidfd: subject.pidfd.as_fd(),
        outputs: subject.outputs,
        request_socket: subject.request_socket,
    };
    let mut renewals = renewals(&known)?;
    let working_directory = working_directory(pid)?;
    // While nothing has been taken out: a program that is refused has it still.
    if piped_bytes(&known, &renewals)? > MAX_PIPED_BYTES {
        return Err(Refusal::TooMuchState.into());
    }

    // From here on the program is changed; a refusal changes it back.
    let frames: usize = threads
        .all
        .iter()
        .map(|thread| frame_bytes(thread.extended.len()) + SCRIPTS_PER_THREAD)
        .sum();
    let size =
        (CODE_BYTES + SCRIPT_BYTES + frames as u64 + MAX_STEMS * STEM_BYTES).next_multiple_of(4096);
    let (number, arguments) = mmap_call(size);
    let base = match expect(threads.call(0, number, arguments)?) {
        // Its own limits leave no room.
        Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {
            return Err(Refusal::TooMuchState.into());
        }
        other => other?,
    };
    if let Err(refusal) = refuse_timers(&threads, &memory, base) {
        expect(threads.call(0, libc::SYS_munmap, [base, size, 0, 0, 0, 0])?)?;
        return Err(refusal);
    }
    threads.ask(&memory, base)?;
    let process_limit = raise_process_limit(&threads, &memory, base)?;
    for mapping in mappings
        .iter()
        .filter(|mapping| mapping.is_kept_from_forks())
    {
        let length = mapping.end - mapping.begin;
        let again = libc::MADV_DOFORK as u64;
        expect(threads.call(
            0,
            libc::SYS_madvise,
            [mapping.begin, length, again, 0, 0, 0],
        )?)?;
    }
    let leader = connect(&threads, &memory, base, &subject.pidfd)?;
    drain_pipes(&known, &mut renewals)?;

    let mut region = Region::new(base, size - STACK_BYTES);
    let program = Program {
        threads: &threads.all,
        renewals: &renewals,
        working_directory: &working_directory,
        dumpable: expect(threads.call(
            0,
            libc::SYS_prctl,
            [libc::PR_GET_DUMPABLE as u64, 0, 0, 0, 0, 0],
        )?)? == 1,
        reseeders: &reseeders(pid, &mappings),
        stack: base + size,
        process_limit,
    };
    let scripts = write(&mut region, &program);
    region.check()?;
    region.write(&memory)?;
    let code = (libc::PROT_READ | libc::PROT_EXEC) as u64;
    expect(threads.call(0, libc::SYS_mprotect, [base, CODE_BYTES, code, 0, 0, 0])?)?;
    let namespace = |kind: &str| fs::File::open(format!("/proc/{pid}/ns/{kind}"));
    let namespaces = [namespace("user")?.into(), namespace("pid")?.into()];
    // Before the program can end.
    subject.living.stay()?;
    threads.play(base, [scripts.leader, scripts.end], scripts.status)?;
    wait_for_one_thread(pid)?;
    let (begin, end) = region.rest();
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
    })))
}

/// Tapes and names of one thread.
const SCRIPTS_PER_THREAD: usize = 2048;

/// Others in the sandbox would not be forked along.
fn refuse_company(living: &Living) -> Result<(), FreezeError> {
    let processes = living.sandbox.with_cgroup(|cgroup| cgroup.processes());
    match processes.transpose().map_err(io::Error::other)? {
        Some(count) if count > PROCESSES => Err(Refusal::ChildProcess { count: count - 1 }.into()),
        _ => Ok(()),
    }
}

/// What neither a fork inherits nor the engine makes anew, and what would keep the engine from working.
fn refuse_what_forks_lack(pid: i32) -> Result<(), FreezeError> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let filters = status
        .lines()
        .find_map(|line| line.strip_prefix("Seccomp_filters:"))
        .and_then(|count| count.trim().parse::<u32>().ok());
    if filters.is_some_and(|count| count > 1) {
        return Err(Refusal::SystemCallFilter.into());
    }
    let timers = fs::read_to_string(format!("/proc/{pid}/timers")).unwrap_or_default();
    if !timers.trim().is_empty() {
        return Err(Refusal::Timer.into());
    }
    for folder in ["/tmp", "/dev/shm"] {
        let first = fs::read_dir(format!("/proc/{pid}/root{folder}"))?.next();
        if let Some(entry) = first.transpose()? {
            let path = Path::new(folder).join(entry.file_name());
            return Err(Refusal::TemporaryFile {
                path: path.to_string_lossy().into_owned(),
            }
            .into());
        }
    }
    Ok(())
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

/// The kernel counts a template's forks, and theirs, for its own limit of processes too; which is to keep nobody from making
/// more. Returns what the forks are to have, soft and hard.
fn raise_process_limit(threads: &Threads, memory: &Memory, scratch: u64) -> io::Result<[u64; 2]> {
    let resource = u64::from(libc::RLIMIT_NPROC);
    expect(threads.call(0, libc::SYS_prlimit64, [0, resource, 0, scratch, 0, 0])?)?;
    let limit = [memory.word(scratch)?, memory.word(scratch + 8)?];
    memory.write(scratch, &limit[1].to_le_bytes())?;
    expect(threads.call(0, libc::SYS_prlimit64, [0, resource, scratch, 0, 0, 0])?)?;
    Ok(limit)
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
    channel.set_deadline(Some(BUILD_PATIENCE))?;
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
