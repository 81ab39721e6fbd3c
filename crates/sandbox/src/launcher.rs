//! The launcher: a small process with one thread that forks the sandboxes. The process it serves has many threads and much
//! memory, which makes its own forks slow and what may happen in them little; and what a sandbox inherits should be next to
//! nothing. It is the same program, executed again under another name.

mod nest;
mod serve;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::channel::Channel;
use crate::identity::{IdMap, Users};
use crate::seccomp::Knock;

pub use self::serve::launcher_main_if_asked;
pub(crate) use self::serve::place;

/// The name that asks for it.
const NAME: &str = "pilotlight-launcher";

/// Answers of the launcher start with 0 or the error's number.
const ANSWER_BYTES: usize = 8;

/// The longest question: two ids, how many entrances there are, and ranges of ids.
const MAX_QUESTION_BYTES: usize = 12 + 8 * IdMap::MAX_RANGES;

/// The launcher does one thing at a time, each within milliseconds; this is for a machine that is badly overloaded.
const PATIENCE: Duration = Duration::from_secs(10);

/// The handle. When it is dropped the launcher exits; sandboxes live on.
#[derive(Debug)]
pub(crate) struct Launcher {
    /// Held during one question and answer, by threads that may block.
    running: Mutex<Option<Running>>,
    knock: Knock,
}

/// Where a new sandbox is born.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nest<'a> {
    /// The user namespace of the template whose forks it is for.
    pub(crate) user: BorrowedFd<'a>,
    /// The template's PID namespace.
    pub(crate) pid: BorrowedFd<'a>,
}

#[derive(Debug)]
struct Running {
    channel: Channel,
    process: Child,
}

/// A new sandbox: its first process, waiting for orders.
#[derive(Debug)]
pub(crate) struct Newborn {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    /// Talks with init.
    pub(crate) control: Channel,
    /// Talks with the program to be; each message says who sent it.
    pub(crate) program: Channel,
}

impl Launcher {
    /// Starts the process and waits until it serves. Blocks.
    pub(crate) fn start(knock: Knock) -> io::Result<Launcher> {
        Ok(Launcher {
            running: Mutex::new(Some(Running::start(knock)?)),
            knock,
        })
    }

    /// Forks a sandbox, with those ids and users, into the control group with those entrances and into new namespaces: next to the launcher's, or inside a template's. A
    /// launcher that was killed, or does not answer, is replaced. Blocks.
    pub(crate) fn fork(
        &self,
        users: Users,
        ids: &IdMap,
        entrances: &[OwnedFd],
        nest: Option<Nest<'_>>,
    ) -> io::Result<Newborn> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let launcher = running.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        match launcher.fork(users, ids, entrances, nest) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "the launcher does not answer, starting another");
                // A late answer of the old one would be taken for that to a later question, and a sandbox that it
                // may still have forked has channels that nobody else has, and ends with them.
                *launcher = Running::start(self.knock)?;
                launcher.fork(users, ids, entrances, nest)?
            }
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
    fn start(knock: Knock) -> io::Result<Running> {
        let (channel, theirs) = Channel::pair()?;
        let process = Command::new("/proc/self/exe")
            .arg0(NAME)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()?;
        channel.set_deadline(Some(PATIENCE))?;
        channel.send(&knock.bytes(), &[])?;
        let running = Running { channel, process };
        match answer(&running.channel)? {
            Ok(_) => Ok(running),
            Err(error) => Err(error),
        }
    }

    /// The outer error is of the talk, after which the launcher cannot be used; the inner one is the launcher's answer.
    fn fork(
        &self,
        users: Users,
        ids: &IdMap,
        entrances: &[OwnedFd],
        nest: Option<Nest<'_>>,
    ) -> io::Result<io::Result<Newborn>> {
        let (control, init_end) = Channel::pair()?;
        let (program, program_end) = Channel::pair()?;
        program.ask_for_sender()?;
        let mut question = Vec::with_capacity(MAX_QUESTION_BYTES);
        question.extend_from_slice(&users.program.to_le_bytes());
        question.extend_from_slice(&users.init.to_le_bytes());
        question.extend_from_slice(&(entrances.len() as u32).to_le_bytes());
        ids.encode(&mut question);
        let mut descriptors = vec![init_end.as_fd(), program_end.as_fd()];
        descriptors.extend(entrances.iter().map(OwnedFd::as_fd));
        // Who answers inside a template ends with it, at any moment, and is then not waited for.
        let (inside, inside_end) = Channel::pair()?;
        inside.set_deadline(Some(PATIENCE))?;
        if let Some(nest) = &nest {
            descriptors.extend([nest.user, nest.pid, inside_end.as_fd()]);
        }
        self.channel.send(&question, &descriptors)?;
        // From here on only the sandbox has the other ends, so that its end is seen as theirs.
        drop((init_end, program_end, inside_end));
        let answer = match nest {
            Some(_) => answer(&inside).unwrap_or_else(Err),
            None => answer(&self.channel)?,
        };
        Ok(answer.and_then(|(pid, pidfd)| {
            let pidfd = pidfd?;
            // Who was in another PID namespace knows another id.
            let pid = if nest.is_some() { pid_of(&pidfd)? } else { pid };
            Ok(Newborn {
                pid,
                pidfd,
                control,
                program,
            })
        }))
    }
}

/// The outer error is of the talk.
fn answer(channel: &Channel) -> io::Result<io::Result<(i32, io::Result<OwnedFd>)>> {
    let mut answer = [0; ANSWER_BYTES];
    let mut received = channel.receive(&mut answer)?;
    if received.length == 0 {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    let [e0, e1, e2, e3, pid @ ..] = answer;
    Ok(match i32::from_le_bytes([e0, e1, e2, e3]) {
        0 => Ok((i32::from_le_bytes(pid), received.descriptor())),
        errno => Err(io::Error::from_raw_os_error(errno)),
    })
}

/// The id, in this process's PID namespace, of the process that a descriptor refers to (proc_pid_fdinfo(5)).
fn pid_of(pidfd: &OwnedFd) -> io::Result<i32> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    let pid = pid.and_then(|pid| pid.trim().parse().ok());
    pid.filter(|pid| *pid > 0)
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

impl Drop for Running {
    fn drop(&mut self) {
        // It would exit at the end of the channel, unless it is stuck; it has nothing to lose.
        if let Err(error) = self.process.kill().and_then(|()| self.process.wait()) {
            tracing::warn!(%error, "cannot wait for the launcher");
        }
    }
}
