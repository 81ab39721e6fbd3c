//! A running program.

use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;
use tokio::sync::OnceCell;

use crate::cgroup::{CgroupError, CgroupLimits};
use crate::channel::Channel;
use crate::message::Report;
use crate::node::Sandbox;
use crate::slot::receive;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with that status.
    Code(i32),
    /// That signal killed it.
    Signal(i32),
}

/// When each step of a launch ended, in nanoseconds of CLOCK_MONOTONIC, in the order of the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// The limits were in force.
    pub cgroup: u64,
    /// The root was switched.
    pub mounts: u64,
    /// The network was there, which a slot brings along.
    pub network: u64,
    /// The program was about to be executed; the rest is its own start.
    pub spawn: u64,
}

/// A program in its sandbox. Dropping it kills all processes of the sandbox, and deletes the rest in the background.
#[derive(Debug)]
pub struct Process {
    /// What it writes; ends when the last process that has it does.
    pub stdout: OwnedFd,
    /// See [`Process::stdout`].
    pub stderr: OwnedFd,
    /// When it was started.
    pub marks: Marks,
    pid: i32,
    memory_mb: u32,
    control: AsyncFd<Channel>,
    exit: OnceCell<Exit>,
    sandbox: Sandbox,
}

impl Process {
    pub(crate) fn new(
        sandbox: Sandbox,
        control: AsyncFd<Channel>,
        pid: i32,
        memory_mb: u32,
        [stdout, stderr]: [OwnedFd; 2],
        marks: Marks,
    ) -> Process {
        Process {
            stdout,
            stderr,
            marks,
            pid,
            memory_mb,
            control,
            exit: OnceCell::new(),
            sandbox,
        }
    }

    /// Resolves when the program has ended; its sandbox's other processes end with it. Again and again the same.
    pub async fn wait(&self) -> Exit {
        *self.exit.get_or_init(|| self.end()).await
    }

    async fn end(&self) -> Exit {
        match receive(&self.control).await {
            Ok(Some(Report::Exited { code })) => Exit::Code(code),
            Ok(Some(Report::Killed { signal })) => Exit::Signal(signal),
            // Init was killed, and everything with it.
            _ => Exit::Signal(libc::SIGKILL),
        }
    }

    /// Kills every process of the sandbox.
    pub fn kill(&self) {
        self.sandbox.kill();
    }

    /// From now on its share of the CPU is in proportion to its memory, as on AWS Lambda after the init phase.
    ///
    /// # Errors
    /// The kernel refuses; its share stays unlimited then.
    pub fn boot_ended(&self) -> Result<(), CgroupError> {
        self.sandbox.limit(&CgroupLimits::serving(self.memory_mb))
    }

    /// The most memory that the sandbox has used, file cache included.
    #[must_use]
    pub fn memory_peak_bytes(&self) -> u64 {
        // It can be read as long as the process is held.
        self.sandbox
            .with_cgroup(|cgroup| cgroup.memory_peak_bytes().unwrap_or(0))
            .unwrap_or(0)
    }

    /// How often the kernel killed a process of the sandbox for want of memory.
    #[must_use]
    pub fn oom_kills(&self) -> u64 {
        self.sandbox
            .with_cgroup(|cgroup| cgroup.oom_kills().unwrap_or(0))
            .unwrap_or(0)
    }

    /// The program's process id on the host.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }
}
