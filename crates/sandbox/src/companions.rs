//! Programs beside the program: started in the same sandbox before it, by init, and looked after one by one.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::ioctl_fionbio;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, pidfd_send_signal};
use tokio::io::unix::AsyncFd;

use crate::channel::Channel;
use crate::error::LaunchError;
use crate::message::{Order, Report, Run};
use crate::process::Exit;
use crate::reports::{receive, receive_all};
use crate::root::Root;
use crate::sys::reactor;

/// Companions of one program; as many as one message has room for, with some to spare.
pub const MAX_COMPANIONS: usize = 12;

/// Where a companion starts.
const WORKING_DIRECTORY: &[u8] = b"/";

/// What a sandbox is filled with before its program runs, and what is to run beside that.
#[derive(Debug)]
pub struct Beside<'a> {
    /// What all programs of the sandbox see as their file system.
    pub root: &'a Root,
    /// Memory limit of all together, in MiB.
    pub memory_mb: u32,
    /// Size of `/tmp`, in MiB.
    pub tmp_mb: u32,
    /// Paths inside, [`MAX_COMPANIONS`] at most.
    pub programs: Vec<CString>,
    /// All of the companions' environment, `NAME=value`.
    pub env: Vec<CString>,
}

/// The companions of one program. They end with its sandbox.
#[derive(Debug)]
pub struct Companions {
    /// What they write; ends when the last process that has it does.
    pub stdout: OwnedFd,
    /// See [`Companions::stdout`].
    pub stderr: OwnedFd,
    channel: AsyncFd<Channel>,
    processes: Vec<OwnedFd>,
}

/// What became of a companion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompanionEnd {
    /// It ended that way.
    Ended(Exit),
    /// It could not be executed: the error's number.
    NotExecuted(i32),
}

/// An order to start companions, under way.
pub(crate) struct Request {
    stdout: OwnedFd,
    stderr: OwnedFd,
    channel: Channel,
    theirs: Channel,
    count: usize,
}

impl Request {
    /// Says what to run, to whoever will have the other end.
    pub(crate) fn prepare(beside: &Beside<'_>) -> Result<Request, LaunchError> {
        let cwd = CString::new(WORKING_DIRECTORY).map_err(|_| LaunchError::Arguments)?;
        let count = beside.programs.len();
        let run = Run::encode(&cwd, &beside.programs, &beside.env)
            .filter(|_| count <= MAX_COMPANIONS)
            .ok_or(LaunchError::Arguments)?;
        let (channel, theirs) = Channel::pair()?;
        let (stdout, their_stdout) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
        let (stderr, their_stderr) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
        channel.send(&run, &[their_stdout.as_fd(), their_stderr.as_fd()])?;
        Ok(Request {
            stdout,
            stderr,
            channel,
            theirs,
            count,
        })
    }

    /// Has init carry it out, with that root.
    pub(crate) fn send(
        self,
        control: &Channel,
        root: &OwnedFd,
        tmp_bytes: u64,
    ) -> io::Result<Pending> {
        let order = Order::Accompany { tmp_bytes };
        control.send(&order.encode(), &[root.as_fd(), self.theirs.as_fd()])?;
        ioctl_fionbio(&self.channel, true)?;
        Ok(Pending {
            stdout: self.stdout,
            stderr: self.stderr,
            channel: reactor::readable(self.channel)?,
            count: self.count,
        })
    }
}

/// Companions that init is starting.
pub(crate) struct Pending {
    stdout: OwnedFd,
    stderr: OwnedFd,
    channel: AsyncFd<Channel>,
    count: usize,
}

impl Pending {
    /// Waits until init has forked them; when it cannot, `control`, which is its own, tells why.
    pub(crate) async fn started(
        self,
        control: &AsyncFd<Channel>,
    ) -> Result<Companions, LaunchError> {
        let processes = match self.processes().await {
            Ok(processes) => processes,
            Err(error) => {
                return Err(match receive(control).await {
                    Ok(Some(Report::Failed(failure))) => failure.into(),
                    _ => error.into(),
                });
            }
        };
        Ok(Companions {
            stdout: self.stdout,
            stderr: self.stderr,
            channel: self.channel,
            processes,
        })
    }

    async fn processes(&self) -> io::Result<Vec<OwnedFd>> {
        let processes = match receive_all(&self.channel).await? {
            Some((Report::Accompanied, received)) => received.descriptors,
            _ => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        let processes: Vec<OwnedFd> = processes.into_iter().flatten().collect();
        if processes.len() != self.count {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(processes)
    }
}

impl Companions {
    /// The next that has ended, by its place among the programs; none when the sandbox is no more. One that could not be
    /// executed is told of twice, as it ends, too.
    pub async fn next_end(&self) -> Option<(usize, CompanionEnd)> {
        loop {
            let (index, end) = match receive(&self.channel).await.ok()?? {
                Report::CompanionExited { index, code } => {
                    (index, CompanionEnd::Ended(Exit::Code(code)))
                }
                Report::CompanionKilled { index, signal } => {
                    (index, CompanionEnd::Ended(Exit::Signal(signal)))
                }
                Report::CompanionNotExecuted { index, errno } => {
                    (index, CompanionEnd::NotExecuted(errno))
                }
                _ => continue,
            };
            // What speaks on the channel was ours until it was executed, and still nothing is believed about numbers.
            let index = usize::try_from(index).ok()?;
            if index < self.processes.len() {
                return Some((index, end));
            }
        }
    }

    /// Kills that one; what it has started itself ends with the sandbox.
    pub fn kill(&self, index: usize) {
        if let Some(process) = self.processes.get(index) {
            // It may have ended already.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
    }
}
