//! Slots with companions, whose program is executed when those are ready.

use tokio::io::unix::AsyncFd;

use super::Launch;
use super::program::{executed, tell};
use crate::channel::Channel;
use crate::error::LaunchError;
use crate::filling::Filled;
use crate::message::Order;
use crate::node::Sandbox;
use crate::process::{Marks, Process};
use crate::sys::reactor;

/// A slot that is filled and has companions; its program waits to be told what to execute. Dropping it deletes all.
#[derive(Debug)]
pub struct Accompanied {
    pub(super) sandbox: Sandbox,
    pub(super) control: AsyncFd<Channel>,
    pub(super) program: Channel,
    pub(super) program_pid: i32,
    pub(super) filled: Filled,
}

impl Accompanied {
    /// When each step up to here ended; the program is still to be executed.
    #[must_use]
    pub fn marks(&self) -> Marks {
        self.filled.marks_so_far()
    }

    /// Executes the program beside its companions. Dropping the future deletes the sandbox.
    ///
    /// # Errors
    /// The program cannot be executed, or the platform failed. The sandbox is no more.
    pub async fn launch(self, mut launch: Launch<'_>) -> Result<Process, LaunchError> {
        let (origin, outputs) = tell(&self.sandbox, &self.program, &mut launch)?;
        self.control.get_ref().send(&Order::Go.encode(), &[])?;
        let program = reactor::readable(self.program)?;
        let spawn = executed(&program, &self.control, &launch).await?;
        Ok(Process::new(
            self.sandbox,
            self.control,
            self.program_pid,
            self.filled.memory_mb,
            outputs,
            self.filled.marks(spawn),
            origin,
        ))
    }
}
