//! What a fork's threads play: they are made, and go back to what they did.

use super::gates::Gates;
use crate::init::nested::PROGRAM;
use crate::sys::arch;
use crate::template::region::Region;
use crate::template::tape::{Op, SIGNAL_RETURN, Tape, call};
use crate::template::threads::Thread;

/// Every thread of a process.
const THREAD: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM;

/// Makes all threads but the leader. In a new PID namespace ids are given out one after the other, so each gets its own
/// again; ids that nobody has any more are used up. They wait until all is as it was.
pub(super) fn make_threads(
    tape: &mut Tape,
    region: &mut Region,
    threads: &[Thread],
    gates: &Gates,
) {
    let mut unused = Tape::default();
    unused.push(call!(libc::SYS_exit, 0));
    let unused = region.put_tape(&unused);
    let waits = |thread: &&Thread| thread.registers.futex_wait().is_some();
    let opens_late = threads.iter().skip(1).find(waits);
    let opens_late = opens_late.map(|thread| thread.inner_tid);
    let mut next = PROGRAM + 1;
    for thread in threads.iter().skip(1) {
        while next < thread.inner_tid {
            tape.push(
                call!(libc::SYS_clone, THREAD, 0, 0, 0, 0)
                    .child(unused)
                    .must_be(next as u64),
            );
            next += 1;
        }
        let mut own = Tape::default();
        // It is a copy of the leader.
        own.extend(thread.registers.second_base(&threads[0].registers))
            .extend(registered(thread))
            .extend(named(region, thread));
        let opens = opens_late == Some(thread.inner_tid);
        gates.wait(&mut own, region, thread.registers.futex_wait(), opens);
        own.push(resume(region, thread));
        let own = region.put_tape(&own);
        let clear = i32::from(thread.clear_tid != 0) * libc::CLONE_CHILD_CLEARTID;
        let flags = THREAD | libc::CLONE_SETTLS | clear;
        let storage = thread.registers.thread_pointer();
        tape.push(
            arch::clone_thread(flags, thread.clear_tid, storage)
                .child(own)
                .must_be(thread.inner_tid as u64),
        );
        next = thread.inner_tid + 1;
    }
}

/// What the kernel knows of a thread's memory.
pub(super) fn registered(thread: &Thread) -> Vec<Op> {
    let mut ops = Vec::new();
    let (head, length) = thread.robust_list;
    if head != 0 {
        ops.push(call!(libc::SYS_set_robust_list, head, length));
    }
    let rseq = thread.rseq;
    if rseq.area != 0 {
        ops.push(call!(
            libc::SYS_rseq,
            rseq.area,
            rseq.size,
            0,
            rseq.signature
        ));
    }
    ops
}

pub(super) fn named(region: &mut Region, thread: &Thread) -> [Op; 1] {
    let name = region.put_string(&thread.name);
    [call!(libc::SYS_prctl, libc::PR_SET_NAME, name, 0, 0, 0)]
}

/// Back to what the thread did.
pub(super) fn resume(region: &mut Region, thread: &Thread) -> Op {
    let registers = thread.registers.resumed();
    let (frame, stack) = arch::frame(
        region.next(),
        &registers,
        &thread.extended,
        thread.signal_mask,
        thread.signal_stack,
    );
    region.put(&frame);
    call!(SIGNAL_RETURN, stack)
}
