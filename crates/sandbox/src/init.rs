//! Pid 1 of a sandbox. It makes all that does not depend on the function and parks; on [`Order::Launch`] it switches to
//! the function's root, lets the parked program go and gives up its own privileges; from then on it reaps, and reports
//! how the program ended. When it exits, for whatever reason, the kernel kills everything in the sandbox.

mod companions;
mod furniture;
pub(crate) mod nested;
pub(crate) mod program;

use std::fs::File;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{DumpableBehavior, WaitOptions, set_dumpable_behavior, wait};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::system::sethostname;
use rustix::thread::{UnshareFlags, set_name};

use self::companions::Companions;
use self::furniture::Furniture;
use self::program::Scratch;
use crate::channel::{Channel, Received};
use crate::clock::monotonic_now;
use crate::identity::{INNER_GID, INNER_UID, IdMap, Users, become_user, give_up_capabilities};
use crate::message::{MAX_SHORT_BYTES, Order, Report, encode_failure};
use crate::network;
use crate::seccomp::Filter;
use crate::sys::clone::{Child, Namespaces, SingleThreaded, fork};
use crate::sys::{fd, namespace, signal};

/// Where the Runtime API listens inside.
pub(crate) const RUNTIME_API_PORT: u16 = 9001;

/// Where the inner door is: the second address that whoever made the sandbox may serve inside.
const INNER_DOOR_PORT: u16 = 9002;

/// Of the kind that AWS Lambda has: an address, so that programs that look up their own name find something without any
/// entry in a file.
const HOST_NAME: &[u8] = b"169.254.100.1";

/// Under memory pressure init is spared, for only it can tell; the program goes before anything of the host's.
const INIT_OOM_SCORE: &[u8] = b"-1000";
const PROGRAM_OOM_SCORE: &[u8] = b"500";

/// What a new sandbox is made with.
pub(crate) struct Birth<'a> {
    pub(crate) proof: &'a SingleThreaded,
    pub(crate) filter: &'a Filter,
    pub(crate) users: Users,
    /// All ids that there are around the program.
    pub(crate) ids: IdMap,
    /// Inside a template, one of whose forks will be the program.
    pub(crate) nested: bool,
    /// To the builder, until there is a network.
    pub(crate) builder: Option<Channel>,
    /// To the agent.
    pub(crate) control: Channel,
    /// From the program to the agent, until it is executed; or from who holds its user namespace.
    pub(crate) program: Option<Channel>,
}

/// A step that failed.
#[derive(Debug)]
struct Broken {
    step: &'static str,
    errno: i32,
}

/// Turns an error into the failure of that step.
fn step<E: Into<io::Error>>(step: &'static str) -> impl FnOnce(E) -> Broken {
    move |error| Broken {
        step,
        errno: error.into().raw_os_error().unwrap_or(libc::EPROTO),
    }
}

/// The whole life of init; returns its exit code.
pub(crate) fn run(mut birth: Birth<'_>) -> i32 {
    let (Some(builder), Some(program)) = (birth.builder.take(), birth.program.take()) else {
        return 1;
    };
    // Before anything else: the launcher's own descriptors are no concern of a sandbox.
    let mut kept = [&builder, &birth.control, &program].map(|channel| channel.as_fd().as_raw_fd());
    if fd::close_all_but(&mut kept).is_err() {
        return 1;
    }
    match live(&birth, builder, program) {
        Ok(()) => 0,
        Err(broken) => {
            // When the agent is gone there is nobody to tell.
            let _ = birth.control.send(
                encode_failure(&mut [0; MAX_SHORT_BYTES], broken.step, broken.errno),
                &[],
            );
            1
        }
    }
}

fn live(birth: &Birth<'_>, builder: Channel, agent: Channel) -> Result<(), Broken> {
    let (control, users) = (&birth.control, birth.users);
    let children = leave_launcher(birth.nested).map_err(step("leave the launcher"))?;
    namespace::unshare(UnshareFlags::NEWNET).map_err(step("make a network namespace"))?;
    have_connected(builder, birth.nested).map_err(step("have its network connected"))?;
    // Its cgroup becomes the namespace's root.
    namespace::unshare(UnshareFlags::NEWCGROUP).map_err(step("make a cgroup namespace"))?;
    sethostname(HOST_NAME).map_err(step("set the host name"))?;
    let furniture = Furniture::make(users.program, birth.nested)?;
    // All that is left to do takes capabilities, but no user. And what the program uses up of the kernel's limits per user
    // counts for the user who made its user namespace too, which must not be the host's root.
    become_user(users.init, users.init).map_err(step("become nobody"))?;
    let (parked, programs_namespace) = if birth.nested {
        let namespace = nested::hold_user_namespace(birth, &furniture, agent)?;
        (None, namespace)
    } else {
        let (child, gate) = park_program(birth, &furniture, agent)?;
        let namespace = user_namespace_of(child.pid, &furniture)?;
        (Some((child, gate)), namespace)
    };
    let listen = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(step("listen"));
    let listeners = [listen(RUNTIME_API_PORT)?, listen(INNER_DOOR_PORT)?];
    report(
        control,
        &Report::Ready,
        &listeners.each_ref().map(AsFd::as_fd),
    )?;
    drop(listeners);

    let (tmp_bytes, accompanied, mut received) = loop {
        match order(control)? {
            (Order::NextPid { pid }, _) if birth.nested => {
                nested::set_next_pid(&furniture, pid)?;
                report(control, &Report::Done, &[])?;
            }
            (Order::Launch { tmp_bytes }, received) => break (tmp_bytes, false, received),
            (Order::Accompany { tmp_bytes }, received) => break (tmp_bytes, true, received),
            _ => return Err(unexpected()),
        }
    };
    let root = received.descriptor().map_err(step("receive the root"))?;
    furniture.move_into(root, tmp_bytes)?;
    let mounts = monotonic_now();
    let companions = if accompanied {
        let channel = received
            .descriptor()
            .map_err(step("receive the companions' channel"))?;
        let channel = Channel::from_socket(channel);
        Some(Companions::park(birth, &programs_namespace, channel)?)
    } else {
        None
    };
    drop(programs_namespace);
    // Before any code of the function runs.
    give_up_capabilities().map_err(step("give up capabilities"))?;
    // The slot brought its network along: nothing is left to do for it.
    let network = monotonic_now();
    let (program, gate) = match parked {
        Some((child, gate)) if companions.is_none() => {
            let_go(&gate)?;
            (child.pid, None)
        }
        Some((child, gate)) => (child.pid, Some(gate)),
        None => (nested::PROGRAM, None),
    };
    // While the kernel executes the program; it takes longer.
    birth
        .filter
        .install()
        .map_err(step("filter system calls"))?;
    report(control, &Report::Launched { mounts, network }, &[])?;
    let companions = companions.map(Companions::let_go);
    watch(control, &children, program, gate, companions)
}

/// The parked program is in its root.
fn let_go(gate: &Channel) -> Result<(), Broken> {
    gate.send(program::GO, &[])
        .map_err(step("let the program go"))
}

/// The user namespace that a child is in.
fn user_namespace_of(child: i32, furniture: &Furniture) -> Result<OwnedFd, Broken> {
    furniture
        .open_proc(&format!("{child}/ns/user"), OFlags::RDONLY)
        .map_err(step("open the program's user namespace"))
}

/// Hands the network to the builder, and waits, in a nest, until it is said who is who around here.
fn have_connected(builder: Channel, nested: bool) -> io::Result<()> {
    let socket = network::own_socket()?;
    builder.send(&[1], &[socket.as_fd()])?;
    if nested && builder.receive(&mut [0; 1])?.length == 0 {
        return Err(io::Error::from_raw_os_error(libc::EPIPE));
    }
    Ok(())
}

/// Takes what the launcher left: standard descriptors, signals, name. Returns what tells of children's ends.
fn leave_launcher(nested: bool) -> io::Result<OwnedFd> {
    let null = openat(
        CWD,
        "/dev/null",
        OFlags::RDWR | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    set_name(c"sandbox-init")?;
    if !nested {
        // In a nest that follows when all that belongs to it in /proc has been written to.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    signal::children_as_descriptor()
}

/// Forks the process that becomes the program, in a user namespace of its own, and lets it prepare itself.
fn park_program(
    birth: &Birth<'_>,
    furniture: &Furniture,
    agent: Channel,
) -> Result<(Child, Channel), Broken> {
    let (gate, childs_gate) = Channel::pair().map_err(step("make a gate"))?;
    let mut scratch = Scratch::new();
    let child = fork(birth.proof, Namespaces::USER, || {
        program::run(&agent, &childs_gate, birth.filter, &mut scratch)
    })
    .map_err(step("fork the program"))?;
    // The other side is to see the end of the program's.
    drop((agent, childs_gate));

    map_users(birth, furniture, child.pid)?;
    let write = |file: &str, text: &[u8]| -> io::Result<()> {
        File::from(furniture.open_proc(file, OFlags::WRONLY)?).write_all(text)
    };
    write(&format!("{}/oom_score_adj", child.pid), PROGRAM_OOM_SCORE)
        .map_err(step("set the program's OOM score"))?;
    // Only a root with CAP_SYS_RESOURCE may lower a score; for another the distance to the program's must do.
    match write("self/oom_score_adj", INIT_OOM_SCORE) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
            return Err(step("set init's OOM score")(error));
        }
        _ => {}
    }

    gate.send(program::MAPPED, &[])
        .map_err(step("wake the program"))?;
    Ok((child, gate))
}

/// Says who is who in the child's user namespace.
fn map_users(birth: &Birth<'_>, furniture: &Furniture, child: i32) -> Result<(), Broken> {
    let write = |file: &str, text: &str| -> io::Result<()> {
        let file = furniture.open_proc(&format!("{child}/{file}"), OFlags::WRONLY)?;
        File::from(file).write_all(text.as_bytes())
    };
    let map = |inner: u32| birth.ids.of_program(birth.users.program, inner).text();
    write("uid_map", &map(INNER_UID))
        .and_then(|()| write("setgroups", "deny"))
        .and_then(|()| write("gid_map", &map(INNER_GID)))
        .map_err(step("map the user"))
}

/// Reaps, until the program has ended or the agent has. A program that waits at a gate is let go when the agent says so.
fn watch(
    control: &Channel,
    children: &OwnedFd,
    program: i32,
    mut gate: Option<Channel>,
    companions: Option<Companions>,
) -> Result<(), Broken> {
    let mut stays = false;
    loop {
        let mut sources = [
            PollFd::new(control, PollFlags::IN),
            PollFd::new(children, PollFlags::IN),
        ];
        match poll(&mut sources, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(step("wait for children")(error)),
        }
        if !sources[0].revents().is_empty() {
            match order(control) {
                Ok((Order::Stay, _)) => stays = true,
                Ok((Order::Go, _)) => {
                    if let Some(gate) = gate.take() {
                        let_go(&gate)?;
                    }
                }
                // No other order follows a launch: this is the agent's end.
                _ => return Ok(()),
            }
        }
        // Which children, only waiting tells.
        let _ = rustix::io::read(children, &mut [0; 512]);
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get();
            let end = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Ok(code),
                (None, signal) => Err(signal.unwrap_or(libc::SIGKILL)),
            };
            if pid == program {
                let end = match end {
                    Ok(code) => Report::Exited { code },
                    Err(signal) => Report::Killed { signal },
                };
                report(control, &end, &[])?;
                // Companions are asked to end before the sandbox does.
                if !stays && companions.is_none() {
                    return Ok(());
                }
            } else if let Some(companions) = &companions {
                companions.ended(pid, end);
            }
        }
    }
}

fn report(
    control: &Channel,
    report: &Report,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Broken> {
    let sent = report.send(control, descriptors);
    sent.map_err(step("report to the agent"))
}

fn order(control: &Channel) -> Result<(Order, Received), Broken> {
    let mut buffer = [0; MAX_SHORT_BYTES];
    let received = control
        .receive(&mut buffer)
        .map_err(step("receive an order"))?;
    let order = Order::decode(&buffer[..received.length]).map_err(step("understand an order"))?;
    Ok((order, received))
}

fn unexpected() -> Broken {
    Broken {
        step: "follow an order out of turn",
        errno: libc::EPROTO,
    }
}
