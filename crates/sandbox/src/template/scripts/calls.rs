//! Calls that several scripts make.

use super::{CHANNEL, FAILED};
use crate::template::region::{Inbox, Region, Status};
use crate::template::tape::{Argument, Op, Tape, call};

const ROBUST_LIST_HEAD_BYTES: u64 = 24;

/// What the kernel does at a thread's end, or for as long as it runs, it would do to memory that the forks get: it is told
/// to do nothing.
pub(super) fn forgotten() -> Tape {
    let mut tape = Tape::default();
    tape.push(call!(libc::SYS_set_robust_list, 0, ROBUST_LIST_HEAD_BYTES))
        .push(call!(libc::SYS_set_tid_address, 0));
    tape
}

/// The status block of who tells the agent what failed, if that is there, and ends.
pub(super) fn told_failure(region: &mut Region, code: i32) -> Status {
    Status::new(region, FAILED, |status| {
        let mut tape = Tape::default();
        tape.push(send(CHANNEL, status.message, Status::MESSAGE_BYTES).or_not())
            .extend(exit_ops(code));
        tape
    })
}

pub(super) fn receive(socket: i32, inbox: &Inbox) -> Op {
    call!(
        libc::SYS_recvmsg,
        socket,
        inbox.header,
        libc::MSG_CMSG_CLOEXEC
    )
    .must_be_positive()
}

pub(super) fn send(socket: i32, address: u64, bytes: usize) -> Op {
    call!(
        libc::SYS_sendto,
        socket,
        address,
        bytes,
        libc::MSG_NOSIGNAL,
        0,
        0
    )
}

pub(super) fn close_all(inbox: &Inbox) -> impl Iterator<Item = Op> {
    (0..inbox.descriptors)
        .map(|index| call!(libc::SYS_close, Argument::four_at(inbox.descriptor(index))).or_not())
}

pub(super) fn exit_ops(code: i32) -> [Op; 1] {
    [call!(libc::SYS_exit_group, code)]
}

pub(super) fn exit_process(code: i32) -> Tape {
    let mut tape = Tape::default();
    tape.extend(exit_ops(code));
    tape
}
