//! What holds a fork's threads back.

use super::CLOCK_MONOTONIC;
use crate::template::region::Region;
use crate::template::tape::{Op, Tape, call};
use crate::template::threads::FutexWait;

/// Futexes that no other process has.
const WAIT: i32 = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
const WAKE: i32 = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;

const TIMESPEC_BYTES: usize = 16;

/// How much later threads go on that wait for another: longer than it takes most forks to serve for the first time.
const LATE_NANOSECONDS: u64 = 3_000_000;

/// What a fork's threads wait at until it is complete.
///
/// Threads that wait for another one do so already: whoever wakes them, they find that what they waited for has changed.
/// A little after the start all of them go on into calls of their own, with what they had of timeouts and signals. Where
/// they waited for a time, that is over in a fork most often; what they do then (a virtual machine's housekeeping) need not
/// be done before the fork has served, on a processor that it needs itself.
pub(super) struct Gates {
    /// Open when all is as it was.
    pub(super) gate: u64,
    /// Open a little later.
    late: u64,
}

impl Gates {
    pub(super) fn new(region: &mut Region) -> Gates {
        Gates {
            gate: region.reserve(TIMESPEC_BYTES),
            late: region.reserve(TIMESPEC_BYTES),
        }
    }

    /// Appends to a thread's tape how it waits. One of those that come late opens their gate.
    pub(super) fn wait(
        &self,
        own: &mut Tape,
        region: &mut Region,
        wait: Option<FutexWait>,
        opens: bool,
    ) {
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
pub(super) fn open(gate: u64) -> [Op; 2] {
    [
        call!(libc::SYS_clock_gettime, CLOCK_MONOTONIC, gate),
        call!(libc::SYS_futex, gate, WAKE, i32::MAX, 0, 0, 0),
    ]
}
