//! The program of a slot, which waits there to be told what to execute.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::unix::AsyncFd;

use super::Launch;
use crate::channel::Channel;
use crate::error::LaunchError;
use crate::init::program::{CHANGE_FOLDER, EXECUTE};
use crate::message::{Failure, Report, Run};
use crate::node::Sandbox;
use crate::process::Origin;
use crate::reports::receive;

/// Tells it what to execute; returns where it comes from, and our ends of its standard output and error.
pub(super) fn tell(
    sandbox: &Sandbox,
    program: &Channel,
    launch: &mut Launch<'_>,
) -> Result<(Origin, [OwnedFd; 2]), LaunchError> {
    let run = match Run::encode(&launch.cwd, &launch.argv, &launch.env) {
        Some(run) if !launch.argv.is_empty() => run,
        _ => return Err(LaunchError::Arguments),
    };
    let request_socket = launch.request_socket.take();
    let origin = Origin::of(sandbox, request_socket.as_ref())?;
    let (stdout, their_stdout) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
    let (stderr, their_stderr) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
    let mut descriptors = vec![their_stdout.as_fd(), their_stderr.as_fd()];
    descriptors.extend(request_socket.as_ref().map(OwnedFd::as_fd));
    // What is held here would keep the pipes open when the program has ended; it is dropped with this call.
    program.send(&run, &descriptors)?;
    Ok((origin, [stdout, stderr]))
}

/// Waits until it is executed; returns when it was about to be. It says when it is about to call `execve`; if that
/// succeeds, the kernel closes its end.
pub(super) async fn executed(
    program: &AsyncFd<Channel>,
    control: &AsyncFd<Channel>,
    launch: &Launch<'_>,
) -> Result<u64, LaunchError> {
    let (spawn, heard) = match receive(program).await? {
        Some(Report::Executing { at }) => (at, receive(program).await?),
        Some(report) => (0, Some(report)),
        None => return Err(LaunchError::instead(None)),
    };
    match heard {
        None => Ok(spawn),
        Some(Report::Failed(Failure { step, errno }))
            if step == EXECUTE || step == CHANGE_FOLDER =>
        {
            let path = if step == EXECUTE {
                &launch.argv[0]
            } else {
                &launch.cwd
            };
            Err(LaunchError::Exec {
                program: path.to_string_lossy().into_owned(),
                source: io::Error::from_raw_os_error(errno),
            })
        }
        // Init, without which the program could not go on, knows better.
        Some(report) => {
            let heard = receive(control).await?.unwrap_or(report);
            Err(LaunchError::instead(Some(heard)))
        }
    }
}
