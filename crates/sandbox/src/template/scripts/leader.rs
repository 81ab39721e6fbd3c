//! What a template's leader plays, and the helper that it has for each order.

use super::calls::{close_all, exit_process, forgotten, receive, send};
use super::{
    ANSWER_BYTES, CHANNEL, CLOCK_MONOTONIC, CONTROL, FIRST_ENTRANCE, KNOCK_AT, NAMESPACES,
    STEMS_CHANNEL,
};
use crate::cgroup::ENTER;
use crate::identity::{INNER_GID, INNER_UID, SECURE_BITS};
use crate::template::region::{Inbox, Region};
use crate::template::tape::{Argument, JUMP, Op, STATUS, Tape, call};
use crate::template::threads::Thread;

/// Newer capabilities than this are none that a user namespace gives.
const LAST_CAPABILITY: u64 = 63;

/// The leader's: for each order a helper, and its answer.
pub(super) fn leader(region: &mut Region, inbox: &Inbox, leader: Option<&Thread>) -> u64 {
    // The answer's first two words, and the helper's status block.
    let answer = region.reserve(40);
    let (child, ended, status) = (answer, answer + 8, answer + 16);
    let failed = region.put_tape(&exit_process(1));
    region.set_word(status + 16, failed);
    let helper = helper(region, inbox, status);
    let mut tape = forgotten();
    if let Some(rseq) = leader
        .map(|leader| leader.rseq)
        .filter(|rseq| rseq.area != 0)
    {
        const UNREGISTER: i32 = 1;
        let (area, size, signature) = (rseq.area, rseq.size, rseq.signature);
        tape.push(call!(libc::SYS_rseq, area, size, UNREGISTER, signature).or_not());
    }
    let first = region.next() + tape.bytes() as u64;
    let vfork = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let child_pid = Argument::eight_at(child);
    tape.push(receive(CONTROL, inbox))
        .push(
            call!(libc::SYS_clone, vfork, 0, 0, 0, 0)
                .child(helper)
                .or_not()
                .store(child),
        )
        .push(call!(libc::SYS_wait4, child_pid, ended, libc::__WALL, 0).or_not())
        .extend(close_all(inbox))
        .push(forget_knock(inbox))
        .push(send(CONTROL, answer, ANSWER_BYTES))
        .push(call!(JUMP, first));
    region.put_tape(&tape)
}

/// Writes the time over the knock.
fn forget_knock(orders: &Inbox) -> Op {
    call!(
        libc::SYS_clock_gettime,
        CLOCK_MONOTONIC,
        orders.bytes + KNOCK_AT
    )
}

/// The helper's: into the slot, out of every privilege that this takes, and leave a stem there.
fn helper(region: &mut Region, inbox: &Inbox, status: u64) -> u64 {
    let descriptor = |index| Argument::four_at(inbox.descriptor(index));
    let knock = [0, 8].map(|at| Argument::eight_at(inbox.bytes + KNOCK_AT + at));
    let mut tape = Tape::default();
    tape.push(call!(STATUS, status)).push(call!(
        libc::SYS_dup3,
        descriptor(STEMS_CHANNEL),
        CHANNEL,
        libc::O_CLOEXEC
    ));
    for (index, (_, kind)) in NAMESPACES.iter().enumerate() {
        let [third, fourth] = knock;
        tape.push(call!(
            libc::SYS_setns,
            descriptor(index),
            *kind,
            third,
            fourth
        ));
    }
    // What is cloned from here on is born there.
    let enter = region.put(ENTER);
    for index in FIRST_ENTRANCE..inbox.descriptors {
        let length = ENTER.len();
        tape.push(call!(libc::SYS_write, descriptor(index), enter, length));
    }
    tape.extend(become_nobody(region))
        .extend(close_all(inbox))
        .push(call!(libc::SYS_close, CONTROL));
    let stem = libc::CLONE_VM | libc::SIGCHLD;
    let stems_tape = Argument::eight_at(inbox.bytes);
    tape.push(call!(libc::SYS_clone, stem, 0, 0, 0, 0).child(stems_tape))
        .push(call!(libc::SYS_exit_group, 0));
    region.put_tape(&tape)
}

/// As `identity::become_user` and `identity::give_up_capabilities`, for who comes with all capabilities of a user namespace.
fn become_nobody(region: &mut Region) -> Vec<Op> {
    // struct __user_cap_header_struct (version 3, the caller), and two of struct __user_cap_data_struct, empty.
    let header = region.put_words(&[0x2008_0522]);
    let none = region.reserve(24);
    let bits = rustix::thread::CapabilitiesSecureBits::bits(&SECURE_BITS);
    let (user, group) = (INNER_UID, INNER_GID);
    let mut ops = vec![
        call!(libc::SYS_setresgid, group, group, group),
        call!(libc::SYS_setresuid, user, user, user),
    ];
    ops.extend((0..=LAST_CAPABILITY).map(|capability| {
        // This kernel may have fewer.
        call!(libc::SYS_prctl, libc::PR_CAPBSET_DROP, capability, 0, 0, 0).or_not()
    }));
    ops.push(call!(
        libc::SYS_prctl,
        libc::PR_SET_SECUREBITS,
        bits,
        0,
        0,
        0
    ));
    let clear = libc::PR_CAP_AMBIENT_CLEAR_ALL;
    ops.push(call!(libc::SYS_prctl, libc::PR_CAP_AMBIENT, clear, 0, 0, 0));
    ops.push(call!(libc::SYS_capset, header, none));
    ops
}
