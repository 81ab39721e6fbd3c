//! The threads of a program, stopped, and what each of them is.

use std::fs;
use std::io;

use crate::sys::arch::{Registers, SYSCALL};
use crate::sys::ptrace::{self, RseqConfiguration, Stop};
use crate::template::memory::{Mapping, Memory};
use crate::template::refusal::{FreezeError, Refusal};

/// Threads of a template.
pub(crate) const MAX_THREADS: usize = 512;

/// A seized thread is looked for again as long as new ones show up; a program that makes them faster than this is refused.
const MAX_PASSES: usize = 16;

/// `prctl(PR_GET_TID_ADDRESS)`.
const PR_GET_TID_ADDRESS: u64 = 40;

/// Where in a thread's area for restartable sequences stands which one it is in (`rseq_cs` of `struct rseq`).
const RSEQ_CRITICAL_SECTION: u64 = 8;

/// Each program is born with one filter of system calls.
const FILTERS: u32 = 1;

/// All threads of a process, seized by the calling thread. Dropping it lets them run on as they were.
pub(crate) struct Threads {
    /// The first is the leader.
    pub(crate) all: Vec<Thread>,
    /// Of an instruction in the program that enters the kernel.
    pub(crate) syscall: u64,
    /// Their signals are blocked.
    held: bool,
    let_go: bool,
}

/// One of them.
pub(crate) struct Thread {
    /// On the host.
    tid: i32,
    /// Inside.
    pub(crate) inner_tid: i32,
    /// What it stopped for, if it was for a signal: to be delivered when it runs on.
    signal: i32,
    /// Of its system calls.
    filters: u32,
    pub(crate) name: String,
    pub(crate) registers: Registers,
    pub(crate) extended: Vec<u8>,
    pub(crate) signal_mask: u64,
    pub(crate) rseq: RseqConfiguration,
    /// Head and length.
    pub(crate) robust_list: (u64, u64),
    /// What the kernel clears at the thread's end.
    pub(crate) clear_tid: u64,
    /// As `sigaltstack` tells it.
    pub(crate) signal_stack: [u64; 3],
}

/// A thread waits until another one wakes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FutexWait {
    pub(crate) address: u64,
    /// What stands there until then.
    pub(crate) value: u32,
    /// No other process is to be waited for.
    pub(crate) private: bool,
}

impl Threads {
    /// Seizes and stops every thread of the process.
    pub(crate) fn seize(pid: i32) -> Result<Threads, FreezeError> {
        let mut threads = Threads {
            all: Vec::new(),
            syscall: 0,
            held: false,
            let_go: false,
        };
        for _ in 0..MAX_PASSES {
            let fresh: Vec<i32> = tasks(pid)?
                .into_iter()
                .filter(|tid| threads.all.iter().all(|thread| thread.tid != *tid))
                .collect();
            if fresh.is_empty() {
                threads
                    .all
                    .sort_by_key(|thread| (thread.tid != pid, thread.inner_tid));
                return threads.check();
            }
            for tid in fresh {
                if let Some(thread) = stop(pid, tid)? {
                    threads.all.push(thread);
                }
            }
            if threads.all.len() > MAX_THREADS {
                return Err(threads.too_many(threads.all.len()));
            }
        }
        Err(threads.too_many(threads.all.len()))
    }

    fn too_many(&self, count: usize) -> FreezeError {
        FreezeError::Refused(Refusal::TooManyThreads {
            count,
            max: MAX_THREADS,
        })
    }

    fn check(mut self) -> Result<Threads, FreezeError> {
        if let Some(running) = self
            .all
            .iter()
            .find(|thread| !thread.registers.was_waiting() || thread.signal != 0)
        {
            return Err(running.is_running().into());
        }
        // A thread may have some that the leader, from which forks make it, has not.
        if self.all.iter().any(|thread| thread.filters > FILTERS) {
            return Err(Refusal::SystemCallFilter.into());
        }
        let leader = self
            .all
            .first()
            .ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        self.syscall = leader.registers.instruction() - SYSCALL.len() as u64;
        Ok(self)
    }

    /// Sees to it that each thread, when it is told to make a call or to play a tape, does that: no signal handler, no
    /// restartable sequence and no code that another thread has put there gets in between. For programs of which nobody
    /// runs.
    pub(crate) fn hold(
        &mut self,
        memory: &Memory,
        mappings: &[Mapping],
    ) -> Result<(), FreezeError> {
        let mut instruction = [0; SYSCALL.len()];
        let executable = mappings
            .iter()
            .any(|mapping| mapping.is_executable() && mapping.has(self.syscall));
        if !executable
            || memory.read(self.syscall, &mut instruction).is_err()
            || instruction != SYSCALL
        {
            return Err(self.all[0].is_running().into());
        }
        self.held = true;
        for thread in &self.all {
            // As the kernel does when a thread goes on outside of the sequence, which all that make a call are. One without
            // its area would be killed then; the engine's memory must not come to lie there.
            let area = thread.rseq.area;
            if area != 0 && memory.write(area + RSEQ_CRITICAL_SECTION, &[0; 8]).is_err() {
                return Err(thread.is_running().into());
            }
            ptrace::set_signal_mask(thread.tid, u64::MAX)?;
        }
        Ok(())
    }

    /// Reads what only the threads themselves can tell. `scratch` is memory of the process's.
    pub(crate) fn ask(&mut self, memory: &Memory, scratch: u64) -> io::Result<()> {
        for index in 0..self.all.len() {
            let asked = self.call(
                index,
                libc::SYS_prctl,
                [PR_GET_TID_ADDRESS, scratch, 0, 0, 0, 0],
            )?;
            expect(asked)?;
            self.all[index].clear_tid = memory.word(scratch)?;
            expect(self.call(index, libc::SYS_sigaltstack, [0, scratch, 0, 0, 0, 0])?)?;
            for word in 0..3 {
                self.all[index].signal_stack[word] = memory.word(scratch + 8 * word as u64)?;
            }
        }
        Ok(())
    }

    /// Has a thread make a system call; returns what it came to. To be [held](Threads::hold) before.
    pub(crate) fn call(&self, index: usize, number: i64, arguments: [u64; 6]) -> io::Result<i64> {
        let thread = &self.all[index];
        let tid = thread.tid;
        let calling = thread.registers.calling(self.syscall, number, arguments);
        ptrace::set_registers(tid, &calling)?;
        // To its begin, and to its end.
        for _ in 0..2 {
            loop {
                ptrace::run_to_call(tid)?;
                match ptrace::wait(tid)? {
                    Stop::Call => break,
                    Stop::Other(0) => {}
                    // It is not in the call, but has failed on its way there.
                    Stop::Other(_) => return Err(io::ErrorKind::Interrupted.into()),
                    Stop::Gone => return Err(io::ErrorKind::NotFound.into()),
                }
            }
        }
        let result = ptrace::registers(tid)?.result();
        ptrace::set_registers(tid, &thread.registers)?;
        Ok(result)
    }

    /// The process.
    pub(crate) fn pid(&self) -> i32 {
        self.all[0].tid
    }

    /// The ids between those of the threads, which forks have to use up, and the threads.
    pub(crate) fn ids(&self) -> usize {
        let highest = self.all.iter().map(|thread| thread.inner_tid).max();
        usize::try_from(highest.unwrap_or(0)).unwrap_or(0)
    }

    /// Has each thread play a tape from now on, [held](Threads::hold) as it is: the first tape is the leader's. For good.
    pub(crate) fn play(mut self, player: u64, tapes: [u64; 2], status: u64) -> io::Result<()> {
        for (index, thread) in self.all.iter().enumerate().rev() {
            let tape = tapes[usize::from(index > 0)];
            let playing = thread.registers.playing(player, tape, status);
            ptrace::set_registers(thread.tid, &playing)?;
        }
        self.let_go = true;
        for thread in self.all.iter().rev() {
            ptrace::detach(thread.tid, 0)?;
        }
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if self.let_go {
            return;
        }
        for thread in &self.all {
            // A thread that has ended meanwhile needs none of it.
            if thread.registers.was_waiting() && thread.signal == 0 {
                let _ = ptrace::set_registers(thread.tid, &thread.registers.resumed());
            }
            if self.held {
                let _ = ptrace::set_signal_mask(thread.tid, thread.signal_mask);
            }
            let _ = ptrace::detach(thread.tid, thread.signal);
        }
    }
}

impl Thread {
    fn is_running(&self) -> Refusal {
        Refusal::RunningThread {
            name: self.name.clone(),
        }
    }
}

/// The result of a call that must have succeeded.
pub(crate) fn expect(result: i64) -> io::Result<u64> {
    match result {
        -4095..=-1 => Err(io::Error::from_raw_os_error(-result as i32)),
        value => Ok(value as u64),
    }
}

/// Stops a thread and reads it; `None` if it has ended.
fn stop(pid: i32, tid: i32) -> Result<Option<Thread>, FreezeError> {
    match ptrace::seize(tid) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
        // The first thread stays, without life, until the last has ended.
        Err(_) if tid == pid && has_ended(pid)? => return Err(Refusal::MainThreadEnded.into()),
        other => other?,
    }
    let signal = match ptrace::wait(tid) {
        Ok(Stop::Gone) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            // It is let go of when the calling thread ends, whenever it stops.
            let name = fs::read_to_string(format!("/proc/{pid}/task/{tid}/comm"))?;
            let name = name.trim_end().to_owned();
            return Err(Refusal::RunningThread { name }.into());
        }
        Ok(Stop::Other(signal)) => signal,
        other => {
            other?;
            0
        }
    };
    let thread = read(pid, tid, signal).inspect_err(|_| {
        let _ = ptrace::detach(tid, signal);
    });
    Ok(Some(thread?))
}

fn has_ended(pid: i32) -> io::Result<bool> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(status.lines().any(|line| line.starts_with("State:\tZ")))
}

fn read(pid: i32, tid: i32, signal: i32) -> io::Result<Thread> {
    let status = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim).unwrap_or_default()
    };
    let inner = field("NSpid:").rsplit_once('\t').map(|(_, last)| last);
    let inner_tid = inner.and_then(|tid| tid.parse().ok());
    Ok(Thread {
        tid,
        inner_tid: inner_tid.ok_or(io::ErrorKind::InvalidData)?,
        signal,
        filters: field("Seccomp_filters:").parse().unwrap_or(FILTERS),
        name: field("Name:").to_owned(),
        registers: ptrace::registers(tid)?,
        extended: ptrace::extended_registers(tid)?,
        signal_mask: ptrace::signal_mask(tid)?,
        rseq: ptrace::rseq(tid)?,
        robust_list: ptrace::robust_list(tid)?,
        clear_tid: 0,
        signal_stack: [0; 3],
    })
}

fn tasks(pid: i32) -> io::Result<Vec<i32>> {
    let mut tids = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        tids.extend(
            entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<i32>().ok()),
        );
    }
    Ok(tids)
}
