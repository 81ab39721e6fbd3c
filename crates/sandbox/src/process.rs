//! A running program.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use rustix::fs::fstat;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::unix::AsyncFd;
use tokio::sync::{OnceCell, oneshot};
use tokio::time::timeout;

use crate::cgroup::{CgroupError, CgroupLimits};
use crate::channel::Channel;
use crate::identity::IdMap;
use crate::message::{Order, Report};
use crate::node::Sandbox;
use crate::reports::receive;
use crate::template::freeze::{self, Subject};
use crate::template::memory::private_bytes;
use crate::template::{FreezeError, Frozen, Lesson, Template};

/// Freezing takes milliseconds; this is for a machine that is badly overloaded, and for programs that hold it up.
const FREEZE_PATIENCE: Duration = Duration::from_secs(10);

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
    /// The program was about to be executed, or the fork to go on; the rest is its own.
    pub spawn: u64,
}

/// A program in its sandbox. Dropping it kills all processes of the sandbox, unless it has become a template, and deletes
/// the rest in the background.
#[derive(Debug)]
pub struct Process {
    /// What it writes; ends when the last process that has it does.
    pub stdout: OwnedFd,
    /// See [`Process::stdout`].
    pub stderr: OwnedFd,
    /// When it was started.
    pub marks: Marks,
    living: Arc<Living>,
    origin: Origin,
    frozen: AtomicBool,
}

/// A sandbox with a program. The forks of a template keep their template's alive: the kernel ends what is inside its
/// PID namespace together with its init.
#[derive(Debug)]
pub(crate) struct Living {
    pub(crate) pid: i32,
    memory_mb: u32,
    control: AsyncFd<Channel>,
    exit: OnceCell<Exit>,
    pub(crate) sandbox: Sandbox,
    /// The sandbox of the template that it was forked from, which must not end before.
    _within: Option<Arc<Living>>,
}

/// Where a program comes from, as far as its template has to know.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The ids that the namespaces of its forks may have.
    pub(crate) ids: IdMap,
    /// The socket that it found as its descriptor 3: the number of its inode.
    pub(crate) request_socket: Option<u64>,
    /// The template that it was forked from: its sandbox, and itself if it is there still.
    pub(crate) within: Option<Arc<Living>>,
    pub(crate) template: Weak<Frozen>,
}

impl Origin {
    /// Of a program that is executed in a slot.
    pub(crate) fn of(sandbox: &Sandbox, request_socket: Option<&OwnedFd>) -> io::Result<Origin> {
        let node = sandbox.node();
        Ok(Origin {
            ids: node.user_ids().within(node.users(sandbox.id()).program),
            request_socket: request_socket.map(inode).transpose()?,
            within: None,
            template: Weak::new(),
        })
    }
}

/// The number of what a descriptor refers to.
pub(crate) fn inode(fd: &OwnedFd) -> io::Result<u64> {
    Ok(fstat(fd)?.st_ino)
}

impl Process {
    pub(crate) fn new(
        sandbox: Sandbox,
        control: AsyncFd<Channel>,
        pid: i32,
        memory_mb: u32,
        [stdout, stderr]: [OwnedFd; 2],
        marks: Marks,
        mut origin: Origin,
    ) -> Process {
        Process {
            stdout,
            stderr,
            marks,
            living: Arc::new(Living {
                pid,
                memory_mb,
                control,
                exit: OnceCell::new(),
                sandbox,
                _within: origin.within.take(),
            }),
            origin,
            frozen: AtomicBool::new(false),
        }
    }

    /// Resolves when the program has ended; its sandbox's other processes end with it, unless it has companions. Again and again the same.
    pub async fn wait(&self) -> Exit {
        self.living.wait().await
    }

    /// Asks the program to end (SIGTERM).
    ///
    /// # Errors
    /// It has ended.
    pub fn terminate(&self) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let pid = Pid::from_raw(self.living.pid).ok_or_else(gone)?;
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        // Its id may be another's by now. Children of its init are all that it may hit.
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.living.pid))?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:\t"));
        if parent != Some(self.living.sandbox.pid.to_string().as_str()) {
            return Err(gone());
        }
        Ok(pidfd_send_signal(process, Signal::TERM)?)
    }

    /// Kills every process of the sandbox, unless the program has become a template: that lives for as long as its handle.
    pub fn kill(&self) {
        if !self.frozen.load(Ordering::Acquire) {
            self.living.sandbox.kill();
        }
    }

    /// From now on its share of the CPU is in proportion to its memory, as on AWS Lambda after the init phase.
    ///
    /// # Errors
    /// The kernel refuses; its share stays unlimited then.
    pub fn boot_ended(&self) -> Result<(), CgroupError> {
        let limits = CgroupLimits::serving(self.living.memory_mb);
        self.living.sandbox.limit(&limits)?;
        self.living.sandbox.hurry()
    }

    /// The most memory that the sandbox has used, file cache included.
    #[must_use]
    pub fn memory_peak_bytes(&self) -> u64 {
        // It can be read as long as the process is held.
        self.living
            .sandbox
            .with_cgroup(|cgroup| cgroup.memory_peak_bytes().unwrap_or(0))
    }

    /// How often the kernel killed a process of the sandbox for want of memory.
    #[must_use]
    pub fn oom_kills(&self) -> u64 {
        self.living
            .sandbox
            .with_cgroup(|cgroup| cgroup.oom_kills().unwrap_or(0))
    }

    /// Memory that the program shares with nobody, in bytes. Blocks for as long as it takes to look through its page tables.
    ///
    /// # Errors
    /// It has ended.
    pub fn private_bytes(&self) -> io::Result<u64> {
        private_bytes(self.living.pid)
    }

    /// Has the template that it was forked from give later forks ahead of their start what this one has touched of its
    /// memory until now; `lesson` says what it has done by now. Returns whether that is new to it: berths that are ready do
    /// not profit. Blocks for as long as it takes to look through its page tables.
    ///
    /// # Errors
    /// It has ended.
    pub fn teach_template(&self, lesson: Lesson) -> io::Result<bool> {
        match self.origin.template.upgrade() {
            Some(template) => template.learn_from(self.living.pid, lesson),
            None => Ok(false),
        }
    }

    /// The program's process id on the host.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.living.pid
    }

    /// Makes the program a template: every thread is stopped, for good, and what it has is taken stock of. It should wait
    /// for something at that time; the forks go on waiting. When it is refused, the program runs on as if nothing had been.
    ///
    /// # Errors
    /// The program has something that cannot be forked, or the platform failed.
    pub async fn freeze(&self) -> Result<Template, FreezeError> {
        let pid =
            Pid::from_raw(self.living.pid).ok_or(io::Error::from(io::ErrorKind::InvalidInput))?;
        let subject = Subject {
            pidfd: pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from)?,
            ids: self.origin.ids.clone(),
            request_socket: self.origin.request_socket,
            outputs: [inode(&self.stdout)?, inode(&self.stderr)?],
            living: Arc::clone(&self.living),
        };
        let (answer, mut answered) = oneshot::channel();
        // A thread of its own: what it holds of the program, it lets go of when it ends, whatever happened.
        thread::Builder::new()
            .name("freeze".into())
            .spawn(move || {
                // Whoever waited may be gone: then the template is.
                drop(answer.send(freeze::freeze(subject)));
            })?;
        // Some calls on a stopped program wait for what it does itself (execve(2) in a thread that is not stopped yet). Its
        // end is theirs.
        let answer = match timeout(FREEZE_PATIENCE, &mut answered).await {
            Ok(answer) => answer,
            Err(_) => {
                self.living.sandbox.kill();
                answered.await
            }
        };
        let template = answer.map_err(io::Error::other)??;
        self.frozen.store(true, Ordering::Release);
        Ok(template)
    }
}

impl Living {
    pub(crate) async fn wait(&self) -> Exit {
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

    /// From now on init outlives the program.
    pub(crate) fn stay(&self) -> io::Result<()> {
        self.control.get_ref().send(&Order::Stay.encode(), &[])
    }
}
