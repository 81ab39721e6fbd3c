//! What is played where.
//!
//! ```text
//! template's leader ──order──▶ vfork ──▶ helper: joins the namespaces and the control group of the fork's slot, gives up
//!                                            │        all privileges
//!                                            │ clone (shares the template's memory)
//!                                            ▼
//!                                         stem: waits until the next process id is the program's
//!                                            │ clone (copies the memory)
//!                                            ▼
//!                                         fork: makes its threads, waits in the slot; on the agent's word, renews
//!                                               descriptors, lets all threads go on
//! ```
//!
//! The leader waits for orders for as long as the template lives; its other threads have ended. All that costs time is done
//! when the fork waits: a start is left with what it does from there on.

use crate::cgroup::{ENTER, MAX_ENTRANCES};
use crate::identity::{INNER_GID, INNER_UID, SECURE_BITS};
use crate::init::nested::PROGRAM;
use crate::sys::arch;
use crate::template::descriptors::{FIRST_OWN, Renewal};
use crate::template::region::{Inbox, Region, Status};
use crate::template::renew::renew;
use crate::template::tape::{Argument, CALL, JUMP, Op, SIGNAL_RETURN, STATUS, Tape, call};
use crate::template::threads::{FutexWait, Thread};

/// The leader's connection with the agent.
pub(crate) const CONTROL: i32 = FIRST_OWN;
/// The stem's, and the fork's in its first moments.
const CHANNEL: i32 = FIRST_OWN + 1;
/// The fork's standard output and standard error, before they have their places.
pub(crate) const OUTPUTS: [i32; 2] = [FIRST_OWN + 2, FIRST_OWN + 3];
/// Its request socket, likewise.
pub(crate) const REQUEST_SOCKET: i32 = FIRST_OWN + 4;

/// Kinds of messages, their first word.
pub(crate) const PARKED: u64 = 1;
pub(crate) const FORKED: u64 = 2;
pub(crate) const FAILED: u64 = 3;

/// Namespaces beside an order, in this order; then come the stem's channel and the entrances of its control group.
pub(crate) const NAMESPACES: [(&str, i32); 8] = [
    ("user", libc::CLONE_NEWUSER),
    ("pid", libc::CLONE_NEWPID),
    ("mnt", libc::CLONE_NEWNS),
    ("net", libc::CLONE_NEWNET),
    ("ipc", libc::CLONE_NEWIPC),
    ("uts", libc::CLONE_NEWUTS),
    ("cgroup", libc::CLONE_NEWCGROUP),
    // The program's own, in the other user namespace.
    ("user", libc::CLONE_NEWUSER),
];
const STEMS_CHANNEL: usize = NAMESPACES.len();
const FIRST_ENTRANCE: usize = STEMS_CHANNEL + 1;
pub(crate) const MAX_ORDER_DESCRIPTORS: usize = FIRST_ENTRANCE + MAX_ENTRANCES;
/// An order: the address of the stem's tape, and the knock.
pub(crate) const ORDER_BYTES: usize = 24;
const KNOCK_AT: u64 = 8;
/// Its answer: what the vfork, the helper's end and the helper's failure came to.
pub(crate) const ANSWER_BYTES: usize = 32;
/// Descriptors of a start, in their places: standard output, standard error, request socket.
const START: [i32; 3] = [OUTPUTS[0], OUTPUTS[1], REQUEST_SOCKET];

/// Memory of one stem: its tape, inbox and status.
pub(crate) const STEM_BYTES: u64 = 4096;

/// Newer capabilities than this are none that a user namespace gives.
const LAST_CAPABILITY: u64 = 63;

/// Every thread of a process.
const THREAD: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM;

/// Futexes that no other process has.
const WAIT: i32 = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
const WAKE: i32 = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;

const ROBUST_LIST_HEAD_BYTES: u64 = 24;
const TIMESPEC_BYTES: usize = 16;

/// How much later threads go on that wait for another: longer than it takes most forks to serve for the first time.
const LATE_NANOSECONDS: u64 = 3_000_000;
const CLOCK_MONOTONIC: i32 = libc::CLOCK_MONOTONIC;

/// Where what the agent steers by stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scripts {
    /// What the leader plays.
    pub(crate) leader: u64,
    /// What the other threads play: their end.
    pub(crate) end: u64,
    /// The status block that both begin with.
    pub(crate) status: u64,
    /// What a fork plays.
    pub(crate) fork: u64,
    /// Where orders arrive: begin and end. Forks are made while one is carried out, and are not to find it.
    pub(crate) orders: [u64; 2],
}

/// What is known of the program that becomes a template.
pub(crate) struct Program<'a> {
    /// The first is the leader.
    pub(crate) threads: &'a [Thread],
    pub(crate) renewals: &'a [Renewal],
    pub(crate) working_directory: &'a str,
    pub(crate) dumpable: bool,
    /// Whether orphans of its children become its own.
    pub(crate) subreaper: bool,
    /// Functions that make generators of random numbers forget what forks have in common.
    pub(crate) reseeders: &'a [u64],
    /// How many processes it may have: soft and hard limit.
    pub(crate) process_limit: [u64; 2],
    pub(crate) has_request_socket: bool,
    /// How many each control group has.
    pub(crate) entrances: usize,
    /// A stack for them: its upper end.
    pub(crate) stack: u64,
}

/// Writes all scripts of a template into its region.
pub(crate) fn write(region: &mut Region, program: &Program<'_>) -> Scripts {
    let fork = fork(region, program);
    let status = Status::new(region, FAILED, |_| exit_process(1));
    let mut end = forgotten();
    end.push(call!(libc::SYS_exit, 0));
    let end = region.put_tape(&end);
    let begin_of_orders = region.turn_page();
    let descriptors = FIRST_ENTRANCE + program.entrances;
    let inbox = Inbox::new(region, ORDER_BYTES, descriptors);
    let end_of_orders = region.turn_page();
    Scripts {
        end,
        leader: leader(region, &inbox, program.threads.first()),
        status: status.block,
        fork,
        orders: [begin_of_orders, end_of_orders],
    }
}

/// What the kernel does at a thread's end, or for as long as it runs, it would do to memory that the forks get: it is told
/// to do nothing.
fn forgotten() -> Tape {
    let mut tape = Tape::default();
    tape.push(call!(libc::SYS_set_robust_list, 0, ROBUST_LIST_HEAD_BYTES))
        .push(call!(libc::SYS_set_tid_address, 0));
    tape
}

/// The leader's: for each order a helper, and its answer.
fn leader(region: &mut Region, inbox: &Inbox, leader: Option<&Thread>) -> u64 {
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

/// The status block of who tells the agent what failed, if that is there, and ends.
fn told_failure(region: &mut Region, code: i32) -> Status {
    Status::new(region, FAILED, |status| {
        let mut tape = Tape::default();
        tape.push(send(CHANNEL, status.message, Status::MESSAGE_BYTES).or_not())
            .extend(exit_ops(code));
        tape
    })
}

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
fn fork(region: &mut Region, program: &Program<'_>) -> u64 {
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

/// Makes all threads but the leader. In a new PID namespace ids are given out one after the other, so each gets its own
/// again; ids that nobody has any more are used up. They wait until all is as it was.
fn make_threads(tape: &mut Tape, region: &mut Region, threads: &[Thread], gates: &Gates) {
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

/// What a fork's threads wait at until it is complete.
///
/// Threads that wait for another one do so already: whoever wakes them, they find that what they waited for has changed.
/// A little after the start all of them go on into calls of their own, with what they had of timeouts and signals. Where
/// they waited for a time, that is over in a fork most often; what they do then (a virtual machine's housekeeping) need not
/// be done before the fork has served, on a processor that it needs itself.
struct Gates {
    /// Open when all is as it was.
    gate: u64,
    /// Open a little later.
    late: u64,
}

impl Gates {
    fn new(region: &mut Region) -> Gates {
        Gates {
            gate: region.reserve(TIMESPEC_BYTES),
            late: region.reserve(TIMESPEC_BYTES),
        }
    }

    /// Appends to a thread's tape how it waits. One of those that come late opens their gate.
    fn wait(&self, own: &mut Tape, region: &mut Region, wait: Option<FutexWait>, opens: bool) {
        let pass = call!(libc::SYS_futex, self.gate, WAIT, 0, 0, 0, 0).or_not();
        match wait {
            Some(wait) if opens => {
                let patience = region.put_words(&[0, LATE_NANOSECONDS]);
                own.push(pass)
                    .push(until_woken(wait, patience))
                    .extend(open(self.late));
            }
            Some(wait) => {
                let either = [wait, FutexWait::at(self.late)];
                own.push(until_either(region, either)).push(pass);
            }
            None => {
                own.push(pass);
            }
        }
    }
}

impl FutexWait {
    /// For a gate.
    fn at(gate: u64) -> FutexWait {
        FutexWait {
            address: gate,
            value: 0,
            private: true,
        }
    }
}

fn until_woken(wait: FutexWait, patience: u64) -> Op {
    let private = i32::from(wait.private) * libc::FUTEX_PRIVATE_FLAG;
    let operation = libc::FUTEX_WAIT | private;
    let (address, value) = (wait.address, wait.value);
    call!(libc::SYS_futex, address, operation, value, patience, 0, 0).or_not()
}

/// Older kernels than 5.16 do not wait for two.
fn until_either(region: &mut Region, waits: [FutexWait; 2]) -> Op {
    const FUTEX_32: u64 = 2;
    // struct futex_waitv: value, address, flags.
    let waiters = waits.map(|wait| {
        let private = u64::from(wait.private) * libc::FUTEX_PRIVATE_FLAG as u64;
        [u64::from(wait.value), wait.address, FUTEX_32 | private]
    });
    let waiters = region.put_words(waiters.as_flattened());
    call!(libc::SYS_futex_waitv, waiters, waits.len(), 0, 0, 0).or_not()
}

/// The time, which is not zero, is written where all look who come to the gate.
fn open(gate: u64) -> [Op; 2] {
    [
        call!(libc::SYS_clock_gettime, CLOCK_MONOTONIC, gate),
        call!(libc::SYS_futex, gate, WAKE, i32::MAX, 0, 0, 0),
    ]
}

/// What the kernel knows of a thread's memory.
fn registered(thread: &Thread) -> Vec<Op> {
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

fn named(region: &mut Region, thread: &Thread) -> [Op; 1] {
    let name = region.put_string(&thread.name);
    [call!(libc::SYS_prctl, libc::PR_SET_NAME, name, 0, 0, 0)]
}

/// Back to what the thread did.
fn resume(region: &mut Region, thread: &Thread) -> Op {
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

fn receive(socket: i32, inbox: &Inbox) -> Op {
    call!(
        libc::SYS_recvmsg,
        socket,
        inbox.header,
        libc::MSG_CMSG_CLOEXEC
    )
    .must_be_positive()
}

fn send(socket: i32, address: u64, bytes: usize) -> Op {
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

fn close_all(inbox: &Inbox) -> impl Iterator<Item = Op> {
    (0..inbox.descriptors)
        .map(|index| call!(libc::SYS_close, Argument::four_at(inbox.descriptor(index))).or_not())
}

fn exit_ops(code: i32) -> [Op; 1] {
    [call!(libc::SYS_exit_group, code)]
}

fn exit_process(code: i32) -> Tape {
    let mut tape = Tape::default();
    tape.extend(exit_ops(code));
    tape
}
