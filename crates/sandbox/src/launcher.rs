//! The launcher: a small process with one thread that forks the sandboxes. The process it serves has many threads and much
//! memory, which makes its own forks slow and what may happen in them little; and what a sandbox inherits should be next to
//! nothing. It is the same program, executed again under another name.
//!
//! For each sandbox it forks a builder, see there, which does all that takes the host's privileges and answers by itself.

mod builder;
mod serve;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::io::ioctl_fionbio;

use crate::cgroup::{MAX_ENTRANCES, Parent};
use crate::channel::{Channel, Received, are_open};
use crate::foundation::BUILD_PATIENCE;
use crate::identity::{IdMap, Users};
use crate::message::{Failure, Report};
use crate::network::{Subnet, Trunk};
use crate::seccomp::Knock;

pub use self::serve::launcher_main_if_asked;
pub(crate) use self::serve::place;

/// The name that asks for it.
const NAME: &str = "pilotlight-launcher";

/// Its first message: a knock, a subnet, and a word for each hierarchy of control groups. The router's network namespace is
/// beside it, and a descriptor of each hierarchy.
const MAX_SETTING_BYTES: usize = Knock::BYTES + Subnet::BYTES + 2 * MAX_ENTRANCES;

/// The longest question: the sandbox's id, two of users, and ranges of ids. Beside it: the other ends of three channels, and
/// a nest's two namespaces.
const MAX_QUESTION_BYTES: usize = 12 + 8 * IdMap::MAX_RANGES;

/// Until a builder says its first word: the launcher does one thing at a time, which takes less than a millisecond, and a
/// builder a few more. This is for a machine that is badly overloaded.
const PATIENCE: Duration = Duration::from_secs(10);

/// The handle. When it is dropped the launcher exits; sandboxes live on.
#[derive(Debug)]
pub(crate) struct Launcher {
    /// Held to ask a question, and while another process is started.
    running: Mutex<Option<Running>>,
    setting: Setting,
}

/// What it builds sandboxes with.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) knock: Knock,
    pub(crate) cgroups: Parent,
    pub(crate) trunk: Trunk,
}

/// Where a new sandbox is born.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nest<'a> {
    /// The user namespace of the template whose forks it is for.
    pub(crate) user: BorrowedFd<'a>,
    /// The template's PID namespace.
    pub(crate) pid: BorrowedFd<'a>,
}

/// The process. Dropping it ends it, and blocks until it has.
#[derive(Debug)]
pub(crate) struct Running {
    channel: Channel,
    process: Child,
}

/// A new sandbox, with its control group and its network: its first process, which makes the rest.
#[derive(Debug)]
pub(crate) struct Newborn {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    /// Talks with init.
    pub(crate) control: Channel,
    /// Talks with the program to be; each message says who sent it.
    pub(crate) program: Channel,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) enum BirthError {
    /// As many sandboxes are in use, or being deleted, as may be.
    Exhausted,
    /// The launcher is stopped.
    Stopped,
    /// It was dead, or stuck, and is replaced, or the builder has died: asked again, it may be done.
    Again(io::Error),
    /// The launcher cannot be replaced, or the builder has died that was inside a template.
    Talk(io::Error),
    /// The builder could not do something.
    Failed(Failure),
}

impl From<io::Error> for BirthError {
    fn from(error: io::Error) -> BirthError {
        BirthError::Talk(error)
    }
}

impl Launcher {
    /// Starts the process and waits until it serves. Blocks.
    pub(crate) fn start(setting: Setting) -> io::Result<Launcher> {
        Ok(Launcher {
            running: Mutex::new(Some(Running::start(&setting)?)),
            setting,
        })
    }

    /// Has a sandbox with that id built, with those ids and users, in new namespaces: next to the launcher's, or inside a
    /// template's. A launcher that was killed, or does not answer, is replaced. Blocks.
    pub(crate) fn build(
        &self,
        id: u32,
        users: Users,
        ids: &IdMap,
        nest: Option<Nest<'_>>,
    ) -> Result<Newborn, BirthError> {
        let (asked, asking) = {
            let running = self.running.lock();
            let running = running.unwrap_or_else(PoisonError::into_inner);
            let launcher = running.as_ref().ok_or(BirthError::Stopped)?;
            (launcher.process.id(), launcher.ask(id, users, ids, nest))
        };
        let heard = asking.and_then(|expected| Ok((Report::receive(&expected.builder)?, expected)));
        let error = match heard {
            // Whatever is amiss from here on, the launcher has done its part.
            Ok((first, expected)) => return expected.wait(first),
            Err(error) => error,
        };
        // Who builds inside a template ends with it, at any moment.
        if nest.is_some() && error.kind() == io::ErrorKind::UnexpectedEof {
            return Err(BirthError::Talk(error));
        }
        match self.replace(asked, &error) {
            Ok(()) => Err(BirthError::Again(error)),
            Err(error) => Err(BirthError::Talk(error)),
        }
    }

    /// Starts another in the place of the one with that process id, unless somebody has, or the builder ended and not the
    /// launcher.
    fn replace(&self, failed: u32, why: &io::Error) -> io::Result<()> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match running.as_mut() {
            Some(launcher) if launcher.process.id() == failed && launcher.is_to_blame(why) => {
                tracing::warn!(error = %why, "the launcher does not answer, starting another");
                *launcher = Running::start(&self.setting)?;
                Ok(())
            }
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Has nothing built from now on. The process, until it is dropped, goes on to reap the first processes of sandboxes,
    /// which those of a template wait for.
    pub(crate) fn stop(&self) -> Option<Running> {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Running {
    /// Whether it was not its builder that ended.
    fn is_to_blame(&self, error: &io::Error) -> bool {
        error.kind() != io::ErrorKind::UnexpectedEof || !are_open([&self.channel])
    }

    fn start(setting: &Setting) -> io::Result<Running> {
        let (channel, theirs) = Channel::pair()?;
        let process = Command::new("/proc/self/exe")
            .arg0(NAME)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()?;
        channel.set_deadline(Some(PATIENCE))?;
        let running = Running { channel, process };
        let mut words = setting.knock.bytes().to_vec();
        words.extend_from_slice(&setting.trunk.subnet.to_bytes());
        let mut descriptors = vec![setting.trunk.netns.as_fd()];
        for (word, descriptor) in setting.cgroups.hand_over() {
            words.extend_from_slice(&word);
            descriptors.push(descriptor);
        }
        running.channel.send(&words, &descriptors)?;
        match Report::receive(&running.channel)? {
            (Report::Ready, _) => Ok(running),
            (Report::Failed(failure), _) => Err(io::Error::from_raw_os_error(failure.errno)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn ask(
        &self,
        id: u32,
        users: Users,
        ids: &IdMap,
        nest: Option<Nest<'_>>,
    ) -> io::Result<Expected> {
        let (builder, builders_end) = Channel::pair()?;
        let (control, init_end) = Channel::pair()?;
        let (program, program_end) = Channel::pair()?;
        builder.set_deadline(Some(PATIENCE))?;
        program.ask_for_sender()?;
        let mut question = Vec::with_capacity(MAX_QUESTION_BYTES);
        for word in [id, users.program, users.init] {
            question.extend_from_slice(&word.to_le_bytes());
        }
        ids.encode(&mut question);
        let mut descriptors = vec![builders_end.as_fd(), init_end.as_fd(), program_end.as_fd()];
        if let Some(nest) = &nest {
            descriptors.extend([nest.user, nest.pid]);
        }
        // From here on only the sandbox has the other ends, so that its end is seen as theirs.
        self.channel.send(&question, &descriptors)?;
        Ok(Expected {
            builder,
            control,
            program,
        })
    }
}

/// A sandbox that is being built.
struct Expected {
    builder: Channel,
    control: Channel,
    program: Channel,
}

impl Expected {
    /// Waits until init lives and has its network, in whatever order that is told.
    fn wait(self, first: (Report, Received)) -> Result<Newborn, BirthError> {
        match self.born(first) {
            Ok((pid, pidfd)) => Ok(Newborn {
                pid,
                pidfd,
                control: self.control,
                program: self.program,
            }),
            // Then the builder does not hear from init: what init says itself is the better answer.
            Err(error) => Err(self.inits_failure().map_or(error, BirthError::Failed)),
        }
    }

    fn born(&self, first: (Report, Received)) -> Result<(i32, OwnedFd), BirthError> {
        self.builder.set_deadline(Some(BUILD_PATIENCE))?;
        let (mut next, mut init, mut connected) = (first, None, false);
        loop {
            match next {
                (Report::Born, mut received) => {
                    let pidfd = received.descriptor()?;
                    init = Some((pid_of(&pidfd)?, pidfd));
                }
                (Report::Connected, _) => connected = true,
                (Report::Failed(failure), _) => return Err(BirthError::Failed(failure)),
                _ => return Err(io::Error::from(io::ErrorKind::InvalidData).into()),
            }
            if connected && let Some(born) = init {
                return Ok(born);
            }
            next = Report::receive(&self.builder)?;
        }
    }

    /// What has failed in init, if it has said so.
    fn inits_failure(&self) -> Option<Failure> {
        ioctl_fionbio(&self.control, true).ok()?;
        match Report::receive(&self.control) {
            Ok((Report::Failed(failure), _)) => Some(failure),
            _ => None,
        }
    }
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
