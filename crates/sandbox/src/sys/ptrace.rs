//! Stopping, reading and steering threads of another process (ptrace(2)). All calls on a thread come from the thread that
//! seized it.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::thread;
use std::time::{Duration, Instant};

use super::arch::{Registers, XSTATE_NOTE, signal_mask_bytes};

/// Not in every C library yet: linux/ptrace.h.
const PTRACE_GET_RSEQ_CONFIGURATION: libc::c_uint = 0x420f;

/// How long a thread may take to stop.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_micros(20);

/// More than any processor's: with all of AMX's tiles it is 11 KiB.
const MAX_XSTATE: usize = 32 << 10;

/// A thread's registration for restartable sequences, as `rseq` takes it; all zeros where it has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct RseqConfiguration {
    pub(crate) area: u64,
    pub(crate) size: u32,
    pub(crate) signature: u32,
    flags: u32,
    pad: u32,
}

/// Takes hold of a thread and has it stop.
pub(crate) fn seize(tid: i32) -> io::Result<()> {
    // System calls that are injected stop in a way of their own.
    request(
        libc::PTRACE_SEIZE,
        tid,
        0,
        number(libc::PTRACE_O_TRACESYSGOOD as usize),
    )?;
    request(libc::PTRACE_INTERRUPT, tid, 0, ptr::null_mut())
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// At the begin or end of a system call.
    Call,
    /// For another reason; the signal, if one is to be delivered or has stopped the whole process, else 0.
    Other(i32),
    /// It is no more.
    Gone,
}

/// Waits until the thread stops, for [`PATIENCE`] at most: while it has a `vfork` or a slow device to wait for, a thread
/// does not stop.
///
/// # Errors
/// `TimedOut`, among others.
pub(crate) fn wait(tid: i32) -> io::Result<Stop> {
    let deadline = Instant::now() + PATIENCE;
    let mut status = 0;
    loop {
        // SAFETY: `status` outlives the call.
        let waited = unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL | libc::WNOHANG) };
        match waited {
            0 if Instant::now() > deadline => return Err(io::ErrorKind::TimedOut.into()),
            // Mostly it stops before anybody has looked.
            0 => thread::sleep(PAUSE),
            -1 => {
                let error = io::Error::last_os_error();
                match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::ECHILD) => return Ok(Stop::Gone),
                    _ => return Err(error),
                }
            }
            _ => break,
        }
    }
    if !libc::WIFSTOPPED(status) {
        return Ok(Stop::Gone);
    }
    Ok(match (libc::WSTOPSIG(status), status >> 16) {
        (signal, _) if signal == libc::SIGTRAP | 0x80 => Stop::Call,
        (libc::SIGTRAP, event) if event != 0 => Stop::Other(0),
        (signal, _) => Stop::Other(signal),
    })
}

/// Lets the thread run to the next begin or end of a system call.
pub(crate) fn run_to_call(tid: i32) -> io::Result<()> {
    request(libc::PTRACE_SYSCALL, tid, 0, ptr::null_mut())
}

/// Lets go of the thread, which gets the signal that it stopped for, if any, and runs on.
pub(crate) fn detach(tid: i32, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_DETACH, tid, 0, number(signal as usize))
}

/// The general registers.
pub(crate) fn registers(tid: i32) -> io::Result<Registers> {
    let mut registers = MaybeUninit::<libc::user_regs_struct>::uninit();
    request(libc::PTRACE_GETREGS, tid, 0, registers.as_mut_ptr().cast())?;
    // SAFETY: the call succeeded, so the kernel has filled it.
    Ok(Registers(unsafe { registers.assume_init() }))
}

/// Sets the general registers.
pub(crate) fn set_registers(tid: i32, registers: &Registers) -> io::Result<()> {
    request(
        libc::PTRACE_SETREGS,
        tid,
        0,
        (&raw const registers.0).cast_mut().cast(),
    )
}

/// All other registers, as XSAVE lays them out.
pub(crate) fn extended_registers(tid: i32) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; MAX_XSTATE];
    let mut vector = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    request(
        libc::PTRACE_GETREGSET,
        tid,
        XSTATE_NOTE as usize,
        (&raw mut vector).cast(),
    )?;
    bytes.truncate(vector.iov_len);
    Ok(bytes)
}

/// The blocked signals.
pub(crate) fn signal_mask(tid: i32) -> io::Result<u64> {
    let mut mask = 0_u64;
    request(
        libc::PTRACE_GETSIGMASK,
        tid,
        signal_mask_bytes(),
        (&raw mut mask).cast(),
    )?;
    Ok(mask)
}

/// Sets the blocked signals.
pub(crate) fn set_signal_mask(tid: i32, mask: u64) -> io::Result<()> {
    request(
        libc::PTRACE_SETSIGMASK,
        tid,
        signal_mask_bytes(),
        (&raw const mask).cast_mut().cast(),
    )
}

/// The registration for restartable sequences.
pub(crate) fn rseq(tid: i32) -> io::Result<RseqConfiguration> {
    let mut configuration = RseqConfiguration::default();
    let asked = request(
        PTRACE_GET_RSEQ_CONFIGURATION,
        tid,
        size_of::<RseqConfiguration>(),
        (&raw mut configuration).cast(),
    );
    match asked {
        // The kernel has been built without them.
        Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(RseqConfiguration::default()),
        other => other.map(|()| configuration),
    }
}

/// The head of a thread's robust futexes and its length (get_robust_list(2)).
pub(crate) fn robust_list(tid: i32) -> io::Result<(u64, u64)> {
    let (mut head, mut length) = (ptr::null_mut::<u8>(), 0_usize);
    // SAFETY: both outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_get_robust_list,
            tid,
            &raw mut head,
            &raw mut length,
        )
    };
    match result {
        0 => Ok((head.addr() as u64, length as u64)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A number where ptrace(2) takes either that or a pointer.
fn number(value: usize) -> *mut libc::c_void {
    ptr::without_provenance_mut(value)
}

/// `address` and `data` are as the request wants them; what `data` points to outlives the call.
fn request(
    request: libc::c_uint,
    tid: i32,
    address: usize,
    data: *mut libc::c_void,
) -> io::Result<()> {
    // SAFETY: the requests made in this file read or write at `data` what the caller of this function has there, of the
    // size that belongs to the request, and touch no other memory of this process.
    match unsafe { libc::ptrace(request, tid, address, data) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
