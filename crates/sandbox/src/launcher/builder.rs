//! Builders: the launcher's children of a moment's life, one for each sandbox, which do what takes the host's privileges.
//!
//! ```text
//! builder: makes the control group and enters it; forks init; connects init's network
//!    └─ in a nest: a child that becomes what the template is, and forks init there
//! ```
//!
//! What building costs is the sandbox's own from the first moment on: it counts for its limits, and yields to everybody for
//! as long as its control group does.
//!
//! A nest is for a sandbox that is born inside a template, so that the template's unprivileged helper may take a fork there.
//! The kernel lets a process join namespaces if it has capabilities over them. A template has none; but over a user
//! namespace that was made from its own, by its own user, it has all (user_namespaces(7)), and so over the namespaces that
//! belong to that one. And a process can have children only in its PID namespace or below. So a slot for forks is made by a
//! process that has first become what the template is: of its user namespace, of its user, with children below its PID
//! namespace.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Gid, Uid};
use rustix::mount::MountAttrFlags;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::stdio::dup2_stdin;
use rustix::thread::{
    LinkNameSpaceType, UnshareFlags, move_into_link_name_space, set_thread_res_gid,
    set_thread_res_uid,
};

use super::serve::{Server, place};
use crate::cgroup::ENTER;
use crate::channel::{Channel, are_open};
use crate::foundation::BUILD_PATIENCE;
use crate::identity::{INNER_GID, INNER_UID, IdMap, Users};
use crate::init::{self, Birth};
use crate::message::{Failure, Report};
use crate::mounts::{attach, new_mount};
use crate::network::Socket;
use crate::sys::clone::{Child, Namespaces, SingleThreaded, fork};
use crate::sys::{fd, namespace};

/// A sandbox to be built.
pub(super) struct Builder {
    pub(super) id: u32,
    pub(super) users: Users,
    pub(super) ids: IdMap,
    pub(super) nest: Option<Nest>,
    /// Hears from the builder alone, so that its end is the end of the channel.
    pub(super) agent: Channel,
    /// Init's.
    pub(super) control: Channel,
    /// The program's.
    pub(super) program: Channel,
}

/// The template's namespaces.
pub(super) struct Nest {
    pub(super) user: OwnedFd,
    pub(super) pid: OwnedFd,
}

impl Builder {
    /// Forks the process that builds, and answers the agent.
    pub(super) fn fork(self, server: &Server) {
        let Builder {
            id,
            users,
            ids,
            nest,
            agent,
            control,
            program,
        } = self;
        let forked = fork(&server.proof, Namespaces::NONE, || {
            let (ours, theirs) = match Channel::pair() {
                Ok(pair) => pair,
                Err(error) => return tell(&agent, Err(failed("make a channel")(error))),
            };
            let birth = Birth {
                proof: &server.proof,
                filter: &server.filter,
                users,
                ids,
                nested: nest.is_some(),
                builder: Some(theirs),
                control,
                program: Some(program),
            };
            let built = still_wanted([&agent, &birth.control])
                .and_then(|()| enter_cgroup(server, id))
                .and_then(|()| match &nest {
                    Some(nest) => bear_inside(&server.proof, birth, nest, [&agent, &ours]),
                    None => bear(&server.proof, birth, &agent),
                })
                .and_then(|()| connect(server, id, &ours));
            tell(&agent, built)
        });
        if let Err(error) = forked {
            tell(&agent, Err(failed("fork a builder")(error)));
        }
    }
}

/// Who waited may have given up, and the sandbox's id may be another's.
fn still_wanted(ends: [&Channel; 2]) -> Result<(), Failure> {
    match are_open(ends) {
        true => Ok(()),
        false => Err(failed("be of use")(io::Error::from_raw_os_error(
            libc::EPIPE,
        ))),
    }
}

/// Makes the sandbox's control group and enters it: so does all that is forked from here on.
fn enter_cgroup(server: &Server, id: u32) -> Result<(), Failure> {
    let cgroup = server.cgroups.create(id);
    let cgroup = cgroup.map_err(failed("make its control group"))?;
    let entrances = cgroup.entrances();
    for entrance in entrances.map_err(failed("enter its control group"))? {
        rustix::io::write(entrance, ENTER)
            .map_err(io::Error::from)
            .map_err(failed("enter its control group"))?;
    }
    Ok(())
}

/// Forks init, and hands it to the agent.
fn bear(proof: &SingleThreaded, birth: Birth<'_>, agent: &Channel) -> Result<(), Failure> {
    let born = fork(proof, Namespaces::SANDBOX_SIBLING, || init::run(birth))
        .and_then(|child| hand_over(child, agent));
    born.map_err(failed("fork init"))
}

/// The same, by way of a child, inside a template.
fn bear_inside(
    proof: &SingleThreaded,
    birth: Birth<'_>,
    nest: &Nest,
    [agent, init]: [&Channel; 2],
) -> Result<(), Failure> {
    move_into_link_name_space(nest.pid.as_fd(), Some(LinkNameSpaceType::ProcessID))
        .map_err(io::Error::from)
        .map_err(failed("join the template"))?;
    // It is there for children only; and who makes a PID namespace has to be in the one around it.
    let child = fork(proof, Namespaces::NONE_SIBLING, || {
        if let Err(error) = leave_launcher([agent, init], &birth, &nest.user) {
            return tell(agent, Err(failed("leave the launcher")(error)));
        }
        let born = bear_nested(proof, birth, &nest.user).and_then(|child| {
            init.send(&[1], &[])?;
            hand_over(child, agent)
        });
        match born {
            Ok(()) => 0,
            Err(error) => tell(agent, Err(failed("fork init in the template")(error))),
        }
    });
    child.map(drop).map_err(failed("fork in the template"))
}

/// Lets go of what the template's namespaces have nothing to do with: the launcher's channel, the router, control groups.
fn leave_launcher(ours: [&Channel; 2], birth: &Birth<'_>, user: &OwnedFd) -> io::Result<()> {
    dup2_stdin(File::open("/dev/null")?)?;
    let mut kept: Vec<_> = ours
        .into_iter()
        .chain([&birth.control])
        .chain(&birth.builder)
        .chain(&birth.program)
        .map(|channel| channel.as_fd().as_raw_fd())
        .collect();
    kept.push(user.as_raw_fd());
    fd::close_all_but(&mut kept)
}

/// Makes the sandbox's first process. Its id is one of the template's PID namespace.
fn bear_nested(proof: &SingleThreaded, birth: Birth<'_>, user: &OwnedFd) -> io::Result<Child> {
    namespace::unshare(UnshareFlags::NEWNS)?;
    let quiet = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let proc = new_mount::<&str>("proc", &[], quiet)?;
    attach(proc, Path::new(place::VISIBLE_PROC))?;
    move_into_link_name_space(user.as_fd(), Some(LinkNameSpaceType::User))?;
    let (user, group) = (Uid::from_raw(INNER_UID), Gid::from_raw(INNER_GID));
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    // Else the child's files in /proc would belong to the host's root, who is nobody here.
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    let ids = birth.ids.text();
    let child = fork(proof, Namespaces::NESTED_SIBLING, || init::run(birth))?;
    // Only somebody in the namespace around it may say who is who inside.
    for file in ["uid_map", "gid_map"] {
        let own = Path::new(place::VISIBLE_PROC).join(child.pid.to_string());
        fs::write(own.join(file), &ids)?;
    }
    Ok(child)
}

fn hand_over(Child { pidfd, .. }: Child, agent: &Channel) -> io::Result<()> {
    Report::Born.send(agent, &[pidfd.as_fd()])
}

/// Connects the network that init has made by now.
fn connect(server: &Server, id: u32, init: &Channel) -> Result<(), Failure> {
    let socket = init
        .set_deadline(Some(BUILD_PATIENCE))
        .and_then(|()| init.receive(&mut [0; 1])?.descriptor())
        .map_err(failed("hear from init"))?;
    let attached = server.trunk.attach(id, Socket::from(socket));
    attached.map(drop).map_err(failed("connect its network"))
}

/// Returns the exit code. When the agent is gone, there is nobody to tell.
fn tell(agent: &Channel, built: Result<(), Failure>) -> i32 {
    let (report, code) = match built {
        Ok(()) => (Report::Connected, 0),
        Err(failure) => (Report::Failed(failure), 1),
    };
    let _ = report.send(agent, &[]);
    code
}

/// Turns an error into the failure of that step.
fn failed<E: Error + 'static>(step: &'static str) -> impl FnOnce(E) -> Failure {
    move |error| {
        let mut step = step.to_owned();
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                let errno = error.raw_os_error().unwrap_or(libc::EPROTO);
                return Failure { step, errno };
            }
            step = format!("{step}: {error}");
            cause = error.source();
        }
        let errno = libc::EPROTO;
        Failure { step, errno }
    }
}
