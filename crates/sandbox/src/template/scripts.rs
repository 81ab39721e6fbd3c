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

mod calls;
mod fork;
mod gates;
mod leader;
mod threads;

use crate::cgroup::MAX_ENTRANCES;
use crate::template::descriptors::{FIRST_OWN, Renewal};
use crate::template::region::{Inbox, Region, Status};
use crate::template::tape::call;
use crate::template::threads::Thread;
use calls::{exit_process, forgotten};

pub(crate) use fork::stem;

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

/// Memory of one stem: its tape, inbox and status.
pub(crate) const STEM_BYTES: u64 = 4096;

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
    let fork = fork::fork(region, program);
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
        leader: leader::leader(region, &inbox, program.threads.first()),
        status: status.block,
        fork,
        orders: [begin_of_orders, end_of_orders],
    }
}
