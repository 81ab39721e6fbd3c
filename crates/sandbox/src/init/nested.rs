//! What init does otherwise in a sandbox for a fork: nobody is parked that becomes the program; the template's helper comes
//! and brings it.

use std::os::fd::OwnedFd;

use rustix::process::{DumpableBehavior, WaitOptions, set_dumpable_behavior, wait};

use super::furniture::Furniture;
use super::{Birth, Broken, map_users, step, user_namespace_of};
use crate::channel::Channel;
use crate::message::Report;
use crate::sys::clone::{Namespaces, fork};

/// The process id of every program: the first after init's. A fork has the one that its template has.
pub(crate) const PROGRAM: i32 = 2;

/// Makes the user namespace that the program will be in. A child holds it until the agent, having opened it, closes the
/// program's channel. Returns that namespace.
pub(super) fn hold_user_namespace(
    birth: &Birth<'_>,
    furniture: &Furniture,
    agent: Channel,
) -> Result<OwnedFd, Broken> {
    // Becoming another user has hidden this process, and it would its child: their files in /proc would belong to the host's
    // root, who is nobody here.
    let visible = |how| set_dumpable_behavior(how).map_err(step("show oneself"));
    visible(DumpableBehavior::Dumpable)?;
    let child = fork(birth.proof, Namespaces::USER, || hold(&agent))
        .map_err(step("make a user namespace"))?;
    drop(agent);
    map_users(birth, furniture, child.pid)?;
    let namespace = user_namespace_of(child.pid, furniture)?;
    visible(DumpableBehavior::NotDumpable)?;
    Ok(namespace)
}

fn hold(agent: &Channel) -> i32 {
    let held = Report::Parked
        .send(agent, &[])
        .and_then(|()| agent.receive(&mut [0; 1]));
    i32::from(held.is_err())
}

/// Has the next process get that id.
pub(super) fn set_next_pid(furniture: &Furniture, pid: u64) -> Result<(), Broken> {
    if pid == PROGRAM as u64 {
        // Who holds the user namespace has that id until it has ended and is waited for.
        wait(WaitOptions::empty()).map_err(step("wait for a child"))?;
    }
    let last = (pid - 1).to_string();
    furniture
        .last_pid()
        .and_then(|file| Ok(rustix::io::pwrite(file, last.as_bytes(), 0)?))
        .map(drop)
        .map_err(step("choose a process id"))
}
