//! Berths: slots that belong to a template, each with a fork that waits for its start.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::ioctl_fionbio;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use super::Frozen;
use super::builders::Demand;
use super::stem::{Place, Word, has_ended, process};
use crate::channel::{Channel, are_open};
use crate::companions::{Beside, Companions};
use crate::error::{LaunchError, SlotError};
use crate::filling::{Filled, Filling};
use crate::foundation::{BUILD_PATIENCE, Foundation, Listeners, hear};
use crate::init::nested::PROGRAM;
use crate::launcher::Nest;
use crate::message::{Order, Report};
use crate::node::Sandbox;
use crate::process::{Origin, Process};
use crate::root::Root;
use crate::sys::reactor;
use crate::template::memory::Memory;
use crate::template::scripts::NAMESPACES;

/// A fork takes milliseconds; this is for a machine that is badly overloaded, and for one that waits for what does not come.
const FORK_PATIENCE: Duration = Duration::from_secs(10);

/// A stem's process id: high, so that it takes none of a fork's.
pub(crate) const STEM_PID: u64 = 32_000;

/// What a fork will find, known ahead of its start.
#[derive(Debug)]
pub struct Furnishing<'a> {
    /// Its file system.
    pub root: &'a Root,
    /// Memory limit, in MiB.
    pub memory_mb: u32,
    /// Size of `/tmp`, in MiB.
    pub tmp_mb: u32,
}

/// A sandbox with a fork in it that waits for its start. Dropping it deletes both.
#[derive(Debug)]
pub struct Berth {
    sandbox: Sandbox,
    control: AsyncFd<Channel>,
    fork: AsyncFd<Channel>,
    /// The fork's.
    memory: Memory,
    listeners: Option<Listeners>,
    furnished: Option<Filled>,
    template: Arc<Frozen>,
}

/// Why there is no fork. The berth is no more.
#[derive(Debug, thiserror::Error)]
pub enum ForkError {
    /// [`Berth::furnish`] has not been called.
    #[error("the berth is not furnished")]
    NotFurnished,
    /// A request socket is given to a template without one, or the other way round.
    #[error("the template has {}", if *.has { "a request socket" } else { "no request socket" })]
    RequestSocket {
        /// Whether the template has one.
        has: bool,
    },
    /// The fork did not get to the end of its tape.
    #[error("the fork fails in operation {operation:#x}")]
    Fork {
        /// The operation's address in the template.
        operation: u64,
        /// What it came to.
        #[source]
        source: io::Error,
    },
    /// The fork has died, or the talk with the sandbox's processes has ended.
    #[error("the fork does not answer as it should")]
    Channel(#[from] io::Error),
}

impl Berth {
    /// Builds one, and has the template forked into it. Blocks.
    pub(super) fn build(template: Arc<Frozen>, demand: Demand) -> Result<Berth, SlotError> {
        let node = Arc::clone(template.living.sandbox.node());
        let [user, pid] = &template.namespaces;
        let nest = Nest {
            user: user.as_fd(),
            pid: pid.as_fd(),
        };
        let Foundation {
            sandbox,
            control,
            program,
            program_pid,
            listeners,
        } = Foundation::lay(&node, &template.ids, Some(nest))?;
        if demand == Demand::Start {
            // Else it would yield to those that nobody waits for.
            sandbox.hurry()?;
        }
        let max = node.max_slots;
        let mut place = Place::take(&template).ok_or(SlotError::Exhausted { max })?;
        let stem = plant(&template, &sandbox, &control, program_pid, &mut place)?;
        // The stem is in the user namespace now: nobody has to hold it any more.
        drop(program);
        next_pid(&control, PROGRAM as u64)?;
        let (fork, memory) = grow(stem, &mut place).map_err(SlotError::Channel)?;
        // From here on async code waits on them.
        let waited_for = |channel: Channel| {
            ioctl_fionbio(&channel, true)?;
            reactor::readable(channel)
        };
        Ok(Berth {
            sandbox,
            control: waited_for(control).map_err(SlotError::Channel)?,
            fork: waited_for(fork).map_err(SlotError::Channel)?,
            memory,
            listeners: Some(listeners),
            furnished: None,
            template,
        })
    }

    /// What can be connected to inside.
    ///
    /// # Panics
    /// The second time.
    pub fn take_listeners(&mut self) -> Listeners {
        self.listeners
            .take()
            .expect("a berth's listeners are taken once")
    }

    /// Whether the fork and its sandbox are there still, as far as can be seen without waiting.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        are_open([&self.fork, &self.control])
    }

    /// Gives the fork ahead what the template has learned that forks touch first (see [`Process::teach_template`]), if it has.
    /// From then on it yields to nobody. For a start that nobody waits for yet: it saves the fork less time than it takes.
    /// Blocks.
    pub fn make_ready(&self) {
        if let Some(touches) = self.template.learned.get() {
            touches.repeat(&self.memory);
        }
        // Else it will when it has started.
        let _ = self.sandbox.hurry();
    }

    /// Switches to the root and sets the limits. To be done once, ahead of the start where the function is known.
    ///
    /// # Errors
    /// The platform failed; the berth is of no use then.
    pub async fn furnish(&mut self, furnishing: Furnishing<'_>) -> Result<(), LaunchError> {
        let Furnishing {
            root,
            memory_mb,
            tmp_mb,
        } = furnishing;
        let control = self.control.get_ref();
        let filling = Filling::begin(&self.sandbox, control, root, memory_mb, tmp_mb).await?;
        self.furnished = Some(filling.done(&self.control).await?);
        Ok(())
    }

    /// Switches to the root, sets the limits and starts companions: in the place of [`Berth::furnish`].
    ///
    /// # Errors
    /// The platform failed; the berth is of no use then.
    pub async fn accompany(&mut self, beside: Beside<'_>) -> Result<Companions, LaunchError> {
        let control = self.control.get_ref();
        let (filling, pending) = Filling::begin_beside(&self.sandbox, control, &beside).await?;
        let companions = pending.started(&self.control).await?;
        // They have the CPU for themselves, as the fork will.
        self.sandbox.hurry()?;
        self.furnished = Some(filling.done(&self.control).await?);
        Ok(companions)
    }

    /// Starts the fork. When this resolves, it is what the template was and goes on; connections that the template had to
    /// the Runtime API, the fork has made to this berth's listener. Dropping the future deletes the berth.
    ///
    /// # Errors
    /// The fork is dead, or the platform failed.
    pub async fn fork(self, request_socket: Option<OwnedFd>) -> Result<Process, ForkError> {
        let furnished = self.furnished.ok_or(ForkError::NotFurnished)?;
        let has = self.template.has_request_socket;
        if request_socket.is_some() != has {
            return Err(ForkError::RequestSocket { has });
        }
        let (stdout, their_stdout) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
        let (stderr, their_stderr) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
        let mut descriptors = vec![their_stdout.as_fd(), their_stderr.as_fd()];
        descriptors.extend(request_socket.as_ref().map(OwnedFd::as_fd));
        let node = self.sandbox.node();
        let origin = Origin {
            ids: self
                .template
                .ids
                .within(node.users(self.sandbox.id()).program),
            request_socket: request_socket
                .as_ref()
                .map(crate::process::inode)
                .transpose()?,
            within: Some(Arc::clone(&self.template.living)),
            template: Arc::downgrade(&self.template),
        };
        self.fork.get_ref().send(&[1], &descriptors)?;
        // What is held here would keep the pipes open when the program has ended.
        drop((their_stdout, their_stderr, request_socket));

        let (pid, spawn) = timeout(FORK_PATIENCE, self.complete())
            .await
            .map_err(io::Error::from)??;
        Ok(Process::new(
            self.sandbox,
            self.control,
            pid,
            furnished.memory_mb,
            [stdout, stderr],
            furnished.marks(spawn),
            origin,
        ))
    }
}

impl Berth {
    /// Waits until the fork is complete; returns its process id on the host, and when that was.
    async fn complete(&self) -> Result<(i32, u64), ForkError> {
        loop {
            match Word::receive(&self.fork).await? {
                Word::Forked { pid, at } => return Ok((pid, at)),
                Word::Parked { .. } => {}
                Word::Failed { operation, source } => {
                    return Err(ForkError::Fork { operation, source });
                }
            }
        }
    }
}

/// Has the template's helper leave a stem in the sandbox; returns the channel to it.
fn plant(
    template: &Arc<Frozen>,
    sandbox: &Sandbox,
    control: &Channel,
    holder: i32,
    place: &mut Place,
) -> Result<Channel, SlotError> {
    let (stem, theirs) = Channel::pair().map_err(SlotError::Channel)?;
    stem.ask_for_sender().map_err(SlotError::Channel)?;
    stem.set_deadline(Some(BUILD_PATIENCE))
        .map_err(SlotError::Channel)?;
    next_pid(control, STEM_PID)?;
    let mut descriptors = namespaces(sandbox.pid, holder).map_err(SlotError::Channel)?;
    descriptors.push(theirs.into());
    descriptors.extend(sandbox.with_cgroup(|cgroup| cgroup.entrances())?);
    template
        .plant(place, &descriptors)
        .map_err(SlotError::Channel)?;
    drop(descriptors);
    let pid = Word::wait_parked(&stem).map_err(SlotError::Channel)?;
    place.occupied_by(pid).map_err(SlotError::Channel)?;
    Ok(stem)
}

/// Has the stem clone the fork, and waits until that waits and the stem is gone; returns the channel to the fork, and
/// its memory.
fn grow(stem: Channel, place: &mut Place) -> io::Result<(Channel, Memory)> {
    stem.send(&[1], &[])?;
    let pid = Word::wait_parked(&stem)?;
    let fork = process(pid)?;
    let memory = Memory::open(pid)?;
    // Else the memory might be that of another, who has its id by now.
    if has_ended(&fork) {
        return Err(io::ErrorKind::NotFound.into());
    }
    // From then on init is the fork's parent.
    place.wait_empty(BUILD_PATIENCE)?;
    Ok((stem, memory))
}

/// All namespaces of a sandbox; the last is the program's user namespace, which the holder is in.
fn namespaces(init: i32, holder: i32) -> io::Result<Vec<OwnedFd>> {
    let last = NAMESPACES.len() - 1;
    let open = |(index, (kind, _)): (usize, &(&str, i32))| {
        let owner = if index == last { holder } else { init };
        Ok(File::open(format!("/proc/{owner}/ns/{kind}"))?.into())
    };
    NAMESPACES.iter().enumerate().map(open).collect()
}

/// The next process in the sandbox gets that id.
fn next_pid(control: &Channel, pid: u64) -> Result<(), SlotError> {
    control
        .send(&Order::NextPid { pid }.encode(), &[])
        .map_err(SlotError::Channel)?;
    hear(control, &Report::Done).map(drop)
}
