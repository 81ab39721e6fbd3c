//! Filling a sandbox: its limits, its root and `/tmp`, and its companions, before its program runs.

use std::os::fd::AsFd;

use tokio::io::unix::AsyncFd;

use crate::cgroup::CgroupLimits;
use crate::channel::Channel;
use crate::clock::monotonic_now;
use crate::companions::{Beside, Pending, Request};
use crate::error::LaunchError;
use crate::message::{Order, Report};
use crate::node::Sandbox;
use crate::process::Marks;
use crate::reports::receive;
use crate::root::Root;

/// Under way: the limits are in force, and init is mounting.
pub(crate) struct Filling {
    memory_mb: u32,
    cgroup: u64,
}

/// Done: for how much memory, and when each step was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filled {
    pub(crate) memory_mb: u32,
    cgroup: u64,
    mounts: u64,
    network: u64,
}

impl Filling {
    /// Sets the limits and has init do the rest: mount that, make it the root of all, and give up its privileges.
    pub(crate) async fn begin(
        sandbox: &Sandbox,
        control: &Channel,
        root: &Root,
        memory_mb: u32,
        tmp_mb: u32,
    ) -> Result<Filling, LaunchError> {
        let filling = Filling::limit(sandbox, memory_mb)?;
        let root = root.clone_tree().await?;
        let tmp_bytes = bytes(tmp_mb);
        control.send(&Order::Launch { tmp_bytes }.encode(), &[root.as_fd()])?;
        Ok(filling)
    }

    /// As [`Filling::begin`], and has init start companions.
    pub(crate) async fn begin_beside(
        sandbox: &Sandbox,
        control: &Channel,
        beside: &Beside<'_>,
    ) -> Result<(Filling, Pending), LaunchError> {
        let request = Request::prepare(beside)?;
        let filling = Filling::limit(sandbox, beside.memory_mb)?;
        let root = beside.root.clone_tree().await?;
        let pending = request.send(control, &root, bytes(beside.tmp_mb))?;
        Ok((filling, pending))
    }

    /// Waits until init is done with it.
    pub(crate) async fn done(self, control: &AsyncFd<Channel>) -> Result<Filled, LaunchError> {
        match receive(control).await? {
            Some(Report::Launched { mounts, network }) => Ok(Filled {
                memory_mb: self.memory_mb,
                cgroup: self.cgroup,
                mounts,
                network,
            }),
            heard => Err(LaunchError::instead(heard)),
        }
    }

    /// A few writes to a file system without a disk.
    fn limit(sandbox: &Sandbox, memory_mb: u32) -> Result<Filling, LaunchError> {
        sandbox.limit(&CgroupLimits::booting(memory_mb))?;
        Ok(Filling {
            memory_mb,
            cgroup: monotonic_now(),
        })
    }
}

impl Filled {
    /// The marks of a start whose program was about to run at that time.
    pub(crate) fn marks(self, spawn: u64) -> Marks {
        Marks {
            cgroup: self.cgroup,
            mounts: self.mounts,
            network: self.network,
            spawn,
        }
    }

    /// The marks up to here: the program is still to run.
    pub(crate) fn marks_so_far(self) -> Marks {
        self.marks(self.network)
    }
}

fn bytes(mib: u32) -> u64 {
    u64::from(mib) << 20
}
