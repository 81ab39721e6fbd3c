//! Slots: pre-built, empty sandboxes, and the start path, which fills one.

mod accompanied;
mod program;

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::ioctl_fionbio;

use crate::channel::{Channel, are_open};
use crate::companions::{Beside, Companions};
use crate::error::{LaunchError, SlotError};
use crate::filling::Filling;
use crate::foundation::{Foundation, Listeners};
use crate::node::{Node, Sandbox};
use crate::process::Process;
use crate::root::Root;
use crate::sys::reactor;
use program::{executed, tell};

pub use accompanied::Accompanied;

/// What to run in a slot.
#[derive(Debug)]
pub struct Launch<'a> {
    /// What the program sees as its file system. (That of an [`Accompanied`] slot is there already, like its limits.)
    pub root: &'a Root,
    /// The program's path inside, and its arguments.
    pub argv: Vec<CString>,
    /// All of its environment, `NAME=value`.
    pub env: Vec<CString>,
    /// Where it starts.
    pub cwd: CString,
    /// Memory limit, in MiB. While it boots its share of the CPU is not limited, see [`Process::boot_ended`].
    pub memory_mb: u32,
    /// Size of `/tmp`, in MiB.
    pub tmp_mb: u32,
    /// Becomes its descriptor 3.
    pub request_socket: Option<OwnedFd>,
}

/// An empty sandbox. It serves once; dropping it deletes it.
#[derive(Debug)]
pub struct Slot {
    sandbox: Sandbox,
    control: Channel,
    program: Channel,
    program_pid: i32,
    listeners: Option<Listeners>,
    pub(crate) pooled: bool,
}

impl Slot {
    /// Builds one, from nothing. Blocks for milliseconds, most of them waiting for the kernel.
    pub(crate) fn build(node: &Arc<Node>) -> Result<Slot, SlotError> {
        let Foundation {
            sandbox,
            control,
            program,
            program_pid,
            listeners,
        } = Foundation::lay(node, &node.user_ids(), None)?;
        sandbox.hurry()?;
        // From here on async code waits on them.
        for channel in [&control, &program] {
            ioctl_fionbio(channel, true).map_err(|error| SlotError::Channel(error.into()))?;
        }
        Ok(Slot {
            sandbox,
            control,
            program,
            program_pid,
            listeners: Some(listeners),
            pooled: false,
        })
    }

    /// Whether it waited in the pool, and was not built for the caller.
    #[must_use]
    pub fn pooled(&self) -> bool {
        self.pooled
    }

    /// Whether its init and its program wait for orders still. With one that somebody killed meanwhile it is of no use.
    pub(crate) fn is_alive(&self) -> bool {
        are_open([&self.control, &self.program])
    }

    /// What can be connected to inside.
    ///
    /// # Panics
    /// The second time.
    pub fn take_listeners(&mut self) -> Listeners {
        self.listeners
            .take()
            .expect("a slot's listeners are taken once")
    }

    /// Fills the slot and executes the program. Dropping the future deletes the slot.
    ///
    /// # Errors
    /// The program cannot be executed, or the platform failed. The slot is no more.
    pub async fn launch(self, mut launch: Launch<'_>) -> Result<Process, LaunchError> {
        let Slot {
            sandbox,
            control,
            program,
            program_pid,
            ..
        } = self;
        // The parked program reads this while init mounts; it waits for init before it goes on.
        let (origin, outputs) = tell(&sandbox, &program, &mut launch)?;
        let (root, memory_mb, tmp_mb) = (launch.root, launch.memory_mb, launch.tmp_mb);
        let filling = Filling::begin(&sandbox, &control, root, memory_mb, tmp_mb).await?;
        let control = reactor::readable(control)?;
        let program = reactor::readable(program)?;
        let spawn = executed(&program, &control, &launch).await?;
        let filled = filling.done(&control).await?;
        Ok(Process::new(
            sandbox,
            control,
            program_pid,
            memory_mb,
            outputs,
            filled.marks(spawn),
            origin,
        ))
    }

    /// Fills the slot and starts companions; its program follows. Dropping the future deletes the slot.
    ///
    /// # Errors
    /// The platform failed. The slot is no more.
    pub async fn accompany(
        self,
        beside: Beside<'_>,
    ) -> Result<(Accompanied, Companions), LaunchError> {
        let (filling, pending) =
            Filling::begin_beside(&self.sandbox, &self.control, &beside).await?;
        let control = reactor::readable(self.control)?;
        let companions = pending.started(&control).await?;
        let accompanied = Accompanied {
            filled: filling.done(&control).await?,
            sandbox: self.sandbox,
            control,
            program: self.program,
            program_pid: self.program_pid,
        };
        Ok((accompanied, companions))
    }
}
