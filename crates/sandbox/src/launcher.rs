//! The launcher: a small process with one thread that forks the sandboxes. The process it serves has many threads and much
//! memory, which makes its own forks slow and what may happen in them little; and what a sandbox inherits should be next to
//! nothing. It is the same program, executed again under another name.

mod serve;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::channel::Channel;
use crate::identity::Users;

pub use self::serve::launcher_main_if_asked;
pub(crate) use self::serve::place;

/// The name that asks for it.
const NAME: &str = "pilotlight-launcher";

/// Answers of the launcher start with 0 or the error's number.
const ANSWER_BYTES: usize = 8;

/// The launcher does one thing at a time, each within milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// The handle. When it is dropped the launcher exits; sandboxes live on.
#[derive(Debug)]
pub(crate) struct Launcher {
    /// Held during one question and answer, by threads that may block.
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    channel: Option<Channel>,
    process: Child,
}

/// A new sandbox: its first process, waiting for orders.
#[derive(Debug)]
pub(crate) struct Newborn {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}

impl Launcher {
    /// Starts the process and waits until it serves. Blocks.
    pub(crate) fn start() -> io::Result<Launcher> {
        Ok(Launcher {
            running: Mutex::new(Some(Running::start()?)),
        })
    }

    /// Forks a sandbox that talks over these channels. A launcher that was killed is started again. Blocks.
    pub(crate) fn fork(
        &self,
        users: Users,
        control: &Channel,
        program: &Channel,
    ) -> io::Result<Newborn> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let launcher = running.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        match launcher.fork(users, control, program) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                tracing::warn!(%error, "the launcher is gone, starting another");
                *launcher = Running::start()?;
                launcher.fork(users, control, program)
            }
            result => result,
        }
    }

    /// Ends it, for good. Blocks.
    pub(crate) fn stop(&self) {
        drop(
            self.running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }
}

impl Running {
    fn start() -> io::Result<Running> {
        let (channel, theirs) = Channel::pair()?;
        let process = Command::new("/proc/self/exe")
            .arg0(NAME)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()?;
        let running = Running {
            channel: Some(channel),
            process,
        };
        running.answer()?;
        Ok(running)
    }

    fn fork(&self, users: Users, control: &Channel, program: &Channel) -> io::Result<Newborn> {
        let mut question = [0; 8];
        question[..4].copy_from_slice(&users.program.to_le_bytes());
        question[4..].copy_from_slice(&users.init.to_le_bytes());
        self.channel()?
            .send(&question, &[control.as_fd(), program.as_fd()])?;
        let (pid, pidfd) = self.answer()?;
        let pidfd = pidfd
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a descriptor is missing"))?;
        Ok(Newborn { pid, pidfd })
    }

    fn answer(&self) -> io::Result<(i32, Option<OwnedFd>)> {
        let channel = self.channel()?;
        channel.set_deadline(Some(PATIENCE))?;
        let mut answer = [0; ANSWER_BYTES];
        let mut received = channel.receive(&mut answer)?;
        let [errno @ .., _, _, _, _] = answer;
        match (received.length, i32::from_le_bytes(errno)) {
            (0, _) => Err(io::ErrorKind::BrokenPipe.into()),
            (_, 0) => {
                let [_, _, _, _, pid @ ..] = answer;
                Ok((i32::from_le_bytes(pid), received.descriptor().ok()))
            }
            (_, errno) => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    fn channel(&self) -> io::Result<&Channel> {
        self.channel
            .as_ref()
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The end of the channel is what it exits on.
        self.channel = None;
        if let Err(error) = self.process.wait() {
            tracing::warn!(%error, "cannot wait for the launcher");
        }
    }
}
