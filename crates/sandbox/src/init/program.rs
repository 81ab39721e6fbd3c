//! The process that becomes the program. It gives up every privilege and filters its own system calls ahead of time, then
//! waits for what to execute; so that a start is left with a few calls. From the fork on it does not allocate.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::process::{chdir, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::{Broken, step};
use crate::channel::{Channel, MAX_DESCRIPTORS};
use crate::clock::monotonic_now;
use crate::identity::{INNER_GID, INNER_UID, become_user, give_up_capabilities, limit_resources};
use crate::message::{
    MAX_RUN_BYTES, MAX_RUN_STRINGS, MAX_SHORT_BYTES, Report, Run, encode_failure,
};
use crate::seccomp::Filter;
use crate::sys::exec::Exec;
use crate::sys::{fd, signal};

/// The steps that fail when the function is at fault; the agent tells them apart from the platform's.
pub(crate) const EXECUTE: &str = "execute the program";
/// See [`EXECUTE`].
pub(crate) const CHANGE_FOLDER: &str = "change to the working directory";

/// Init to the program: its user exists now.
pub(super) const MAPPED: &[u8] = b"m";
/// Init to the program: it is in its root now.
pub(super) const GO: &[u8] = b"g";

/// Descriptors from here on are ours; those below are the program's.
const FIRST_OWN: i32 = 10;

/// What the program finds open beside the standard three, if anything.
const REQUEST_SOCKET: i32 = 3;

/// Memory made before the fork.
pub(super) struct Scratch {
    run: Vec<u8>,
    exec: Exec,
}

impl Scratch {
    pub(super) fn new() -> Scratch {
        Scratch {
            run: vec![0; MAX_RUN_BYTES],
            exec: Exec::with_room_for(MAX_RUN_STRINGS),
        }
    }
}

/// The rest of the process's life before it is the program; returns its exit code if it does not become that.
pub(super) fn run(agent: &Channel, gate: &Channel, filter: &Filter, scratch: &mut Scratch) -> i32 {
    if fd::close_all_but(&mut [agent.as_raw_fd(), gate.as_raw_fd()]).is_err() {
        return 1;
    }
    let (Ok(agent), Ok(gate)) = (out_of_the_way(agent), out_of_the_way(gate)) else {
        return 1;
    };
    let Err(broken) = become_program(&agent, &gate, filter, scratch);
    // When the agent is gone there is nobody to tell.
    let _ = agent.send(
        encode_failure(&mut [0; MAX_SHORT_BYTES], broken.step, broken.errno),
        &[],
    );
    127
}

fn become_program(
    agent: &Channel,
    gate: &Channel,
    filter: &Filter,
    scratch: &mut Scratch,
) -> Result<std::convert::Infallible, Broken> {
    signal::reset();
    setsid().map_err(step("make a session"))?;
    pass(gate, MAPPED)?;
    limit_resources().map_err(step("limit resources"))?;
    become_user(INNER_UID, INNER_GID).map_err(step("become the user"))?;
    give_up_capabilities().map_err(step("give up capabilities"))?;
    filter.install().map_err(step("filter system calls"))?;
    Report::Parked
        .send(agent, &[])
        .map_err(step("report to the agent"))?;

    let mut received = agent
        .receive(&mut scratch.run)
        .map_err(step("receive what to run"))?;
    let message = &scratch.run[..received.length];
    let run = Run::decode(message).ok_or(Broken {
        step: "understand what to run",
        errno: libc::EPROTO,
    })?;
    let descriptors = std::mem::take(&mut received.descriptors);
    connect(descriptors).map_err(step("connect the program"))?;

    pass(gate, GO)?;
    // The one it had so far is of a mount that is gone.
    let null = open(
        c"/dev/null",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    null.and_then(dup2_stdin).map_err(step("open /dev/null"))?;
    let cwd = CStr::from_bytes_with_nul(run.cwd);
    let cwd = cwd.map_err(|_| Broken {
        step: CHANGE_FOLDER,
        errno: libc::EINVAL,
    })?;
    chdir(cwd).map_err(step(CHANGE_FOLDER))?;
    // Only this process knows when: whoever is told of it may be told late.
    let executing = Report::Executing {
        at: monotonic_now(),
    };
    executing
        .send(agent, &[])
        .map_err(step("report to the agent"))?;
    Err(step(EXECUTE)(scratch.exec.exec(run.strings, run.argc)))
}

/// One of our descriptors, where the program has none.
fn out_of_the_way(channel: &Channel) -> io::Result<Channel> {
    Ok(Channel::from_socket(fcntl_dupfd_cloexec(
        channel, FIRST_OWN,
    )?))
}

/// Waits for init to say that.
fn pass(gate: &Channel, word: &[u8]) -> Result<(), Broken> {
    let mut heard = [0; 1];
    let received = gate.receive(&mut heard).map_err(step("wait for init"))?;
    let same = heard[..received.length] == *word;
    if same {
        Ok(())
    } else {
        Err(Broken {
            step: "wait for init",
            errno: libc::EPIPE,
        })
    }
}

/// Puts standard output, standard error and the request socket in their places, and everything else out of reach.
fn connect(descriptors: [Option<OwnedFd>; MAX_DESCRIPTORS]) -> io::Result<()> {
    let [stdout, stderr, request, ..] = descriptors;
    let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    dup2_stdout(&stdout)?;
    dup2_stderr(&stderr)?;
    drop((stdout, stderr));
    fd::close_on_exec_from(REQUEST_SOCKET)?;
    if let Some(request) = request {
        let request = match request.as_raw_fd() {
            REQUEST_SOCKET => request,
            // The lowest that is free: the other two left room, or it is this one already.
            _ => fcntl_dupfd_cloexec(&request, REQUEST_SOCKET)?,
        };
        if request.as_raw_fd() != REQUEST_SOCKET {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        fcntl_setfd(&request, FdFlags::empty())?;
        // From here on it is the program's.
        let _ = request.into_raw_fd();
    }
    Ok(())
}
