//! Sandboxes that are born inside a template, so that the template's unprivileged helper may take a fork there.
//!
//! The kernel lets a process join namespaces if it has capabilities over them. A template has none; but over a user
//! namespace that was made from its own, by its own user, it has all (user_namespaces(7)), and so over the namespaces that
//! belong to that one. And a process can have children only in its PID namespace or below. So a slot for forks is made by a
//! process that has first become what the template is: of its user namespace, of its user, with children below its PID
//! namespace.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Gid, Uid};
use rustix::mount::MountAttrFlags;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{
    LinkNameSpaceType, UnshareFlags, move_into_link_name_space, set_thread_res_gid,
    set_thread_res_uid,
};

use super::serve::{answer, place};
use crate::channel::Channel;
use crate::identity::{INNER_GID, INNER_UID};
use crate::init::{self, Birth};
use crate::mounts::{attach, new_mount};
use crate::sys::clone::{Child, Namespaces, SingleThreaded, fork as fork_into};
use crate::sys::namespace;

/// The template's namespaces, and who waits for the answer: for this one alone, so that the end of those who were to give
/// it is the end of the channel.
pub(super) struct Nest {
    pub(super) user: OwnedFd,
    pub(super) pid: OwnedFd,
    pub(super) agent: Channel,
}

/// Forks a sandbox inside the template. Processes of a moment's life do it, and answer the agent in the launcher's place.
///
/// # Errors
/// The first of them cannot be made.
pub(super) fn fork(proof: &SingleThreaded, mut birth: Birth<'_>, nest: &Nest) -> io::Result<()> {
    birth.nested = true;
    let answered = |result: io::Result<Child>| {
        let sent = match result {
            Ok(Child { pidfd, .. }) => nest.agent.send(&answer(Ok(0)), &[pidfd.as_fd()]),
            Err(error) => nest.agent.send(&answer(Err(&error)), &[]),
        };
        i32::from(sent.is_err())
    };
    fork_into(proof, Namespaces::NONE, || {
        if let Err(error) = birth.enter_cgroup() {
            return answered(Err(error));
        }
        let entered =
            move_into_link_name_space(nest.pid.as_fd(), Some(LinkNameSpaceType::ProcessID));
        // It is there for children only; and who makes a PID namespace has to be in the one around it.
        let inside = entered.map_err(io::Error::from).and_then(|()| {
            fork_into(proof, Namespaces::NONE_SIBLING, || {
                answered(bear(proof, birth, &nest.user))
            })
        });
        inside.map_or_else(|error| answered(Err(error)), |_| 0)
    })?;
    Ok(())
}

/// Makes the sandbox's first process. Its id is one of the template's PID namespace.
fn bear(proof: &SingleThreaded, birth: Birth<'_>, user: &OwnedFd) -> io::Result<Child> {
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
    let child = fork_into(proof, Namespaces::NESTED_SIBLING, || init::run(birth))?;
    // Only somebody in the namespace around it may say who is who inside.
    for file in ["uid_map", "gid_map"] {
        let own = Path::new(place::VISIBLE_PROC).join(child.pid.to_string());
        fs::write(own.join(file), &ids)?;
    }
    Ok(child)
}
