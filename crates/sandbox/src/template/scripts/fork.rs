//! What a stem and a fork play.

use super::calls::{close_all, exit_ops, receive, send, told_failure};
use super::gates::{Gates, open};
use super::threads::{make_threads, named, registered, resume};
use super::{CHANNEL, CLOCK_MONOTONIC, FORKED, OUTPUTS, PARKED, Program, REQUEST_SOCKET};
use crate::init::nested::PROGRAM;
use crate::template::descriptors::FIRST_OWN;
use crate::template::region::{Inbox, Region};
use crate::template::renew::renew;
use crate::template::tape::{Argument, CALL, STATUS, Tape, call};

/// Descriptors of a start, in their places: standard output, standard error, request socket.
const START: [i32; 3] = [OUTPUTS[0], OUTPUTS[1], REQUEST_SOCKET];

/// A stem's, in memory of its own: parks, and clones the fork.
pub(crate) fn stem(region: &mut Region, fork: u64) -> u64 {
    let status = told_failure(region, 1);
    let inbox = Inbox::new(region, 8, 0);
    let parked = region.put_words(&[PARKED]);
    let mut tape = Tape::default();
    tape.push(call!(STATUS, status.block))
        .push(send(CHANNEL, parked, 8))
        .push(receive(CHANNEL, &inbox))
        .push(
            call!(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)
                .child(fork)
                .must_be(PROGRAM as u64),
        )
        .extend(exit_ops(0));
    region.put_tape(&tape)
}

/// The fork's: makes its threads and parks; takes its outputs and its request socket, and becomes what the template was.
pub(super) fn fork(region: &mut Region, program: &Program<'_>) -> u64 {
    let status = told_failure(region, 127);
    // Kind, and the times of its begin and end.
    let report = region.put_words(&[FORKED, 0, 0, 0, 0]);
    let gates = Gates::new(region);
    let parked = region.put_words(&[PARKED]);
    let descriptors = &START[..START.len() - usize::from(!program.has_request_socket)];
    let inbox = Inbox::new(region, 8, descriptors.len());
    let mut tape = Tape::default();
    tape.push(call!(STATUS, status.block));
    if let Some(leader) = program.threads.first() {
        tape.push(call!(libc::SYS_set_tid_address, leader.clear_tid))
            .extend(registered(leader))
            .extend(named(region, leader));
    }
    if program.subreaper {
        let call = libc::PR_SET_CHILD_SUBREAPER;
        tape.push(call!(libc::SYS_prctl, call, 1, 0, 0, 0));
    }
    let process_limit = region.put_words(&program.process_limit);
    let resource = libc::RLIMIT_NPROC;
    tape.push(call!(libc::SYS_prlimit64, 0, resource, process_limit, 0))
        .push(call!(libc::SYS_setsid).or_not());
    make_threads(&mut tape, region, program.threads, &gates);

    tape.push(send(CHANNEL, parked, 8))
        .push(receive(CHANNEL, &inbox))
        .push(call!(libc::SYS_clock_gettime, CLOCK_MONOTONIC, report + 8));
    for (index, place) in descriptors.iter().enumerate() {
        let received = Argument::four_at(inbox.descriptor(index));
        tape.push(call!(libc::SYS_dup3, received, *place, libc::O_CLOEXEC));
    }
    tape.extend(close_all(&inbox));
    if program.dumpable {
        // Joining a user namespace has taken that away.
        tape.push(call!(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0));
    }
    let working_directory = region.put_string(program.working_directory);
    tape.push(call!(libc::SYS_chdir, working_directory));
    renew(&mut tape, region, program.renewals);
    tape.push(call!(libc::SYS_clock_gettime, CLOCK_MONOTONIC, report + 24))
        .push(send(CHANNEL, report, 40))
        .push(call!(libc::SYS_close_range, FIRST_OWN, u32::MAX, 0))
        // From here on nothing of the engine's is within reach: these are the function's code. The other threads wait still.
        .extend(
            program
                .reseeders
                .iter()
                .map(|function| call!(CALL, program.stack, *function).or_not()),
        );
    if program.threads.len() > 1 {
        tape.extend(open(gates.gate));
    }
    if let Some(leader) = program.threads.first() {
        tape.push(resume(region, leader));
    }
    region.put_tape(&tape)
}
