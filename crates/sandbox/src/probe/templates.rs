//! What freezing and forking programs takes besides what every sandbox does.

use std::fs;
use std::io;

use rustix::thread::UnshareFlags;

use super::Check;
use super::kernel::Waiting;
use crate::sys::kcmp::same_file;
use crate::sys::ptrace::{self, Stop};
use crate::template::berth::STEM_PID;

/// Whether starts can be forked here. Where they cannot, every cold start boots.
#[must_use]
pub fn templates() -> Check {
    const NAME: &str = "templates";
    match attempt() {
        Ok(()) => Check::ok(NAME, "programs can be stopped and looked at"),
        Err((what, error)) => Check::warn(
            NAME,
            format!("{what}: {error}"),
            "every cold start boots; use a kernel with CONFIG_CHECKPOINT_RESTORE, kernel.yama.ptrace_scope below 3 and the \
             usual kernel.pid_max",
        ),
    }
}

type Failed = (&'static str, io::Error);

fn attempt() -> Result<(), Failed> {
    let failed = |what| move |error| (what, error);
    if !cfg!(target_arch = "x86_64") {
        return Err(failed("this architecture")(
            io::ErrorKind::Unsupported.into(),
        ));
    }
    fs::metadata("/proc/sys/kernel/ns_last_pid").map_err(failed("ns_last_pid"))?;
    pid_max().map_err(failed("pid_max"))?;
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    same_file(own, 0, 0).map_err(failed("kcmp"))?;
    let child = Waiting::spawn(UnshareFlags::empty()).map_err(failed("a child"))?;
    let child = i32::try_from(child.0.id()).map(|pid| (pid, child));
    let (pid, _child) = child.map_err(io::Error::other).map_err(failed("a child"))?;
    stop(pid).map_err(failed("ptrace"))
}

fn pid_max() -> io::Result<()> {
    let max = fs::read_to_string("/proc/sys/kernel/pid_max")?;
    match max.trim().parse::<u64>() {
        Ok(max) if max > STEM_PID => Ok(()),
        _ => Err(io::Error::other(format!("{} is too low", max.trim()))),
    }
}

fn stop(pid: i32) -> io::Result<()> {
    ptrace::seize(pid)?;
    let stopped = ptrace::wait(pid).and_then(|stop| match stop {
        Stop::Gone => Err(io::ErrorKind::NotFound.into()),
        _ => ptrace::rseq(pid),
    });
    ptrace::detach(pid, 0)?;
    stopped.map(drop)
}
