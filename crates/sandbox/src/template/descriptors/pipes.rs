//! Pipes within a program, and what waits in them.

use std::io;
use std::os::fd::AsFd;

use rustix::io::ioctl_fionread;
use rustix::pipe::{
    PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, tee,
};

use super::fdinfo::FdInfo;
use super::{How, Known, Renewal};
use crate::template::refusal::{FreezeError, Refusal};

pub(super) fn how(
    known: &Known<'_>,
    fd: i32,
    inode: &str,
    info: &FdInfo,
) -> Result<How, FreezeError> {
    let number = inode.trim_end_matches(']').parse().ok();
    let id: u64 = number.ok_or(io::Error::from(io::ErrorKind::InvalidData))?;
    if let Some(output) = known.outputs.iter().position(|pipe| *pipe == id) {
        return Ok(How::Output(output));
    }
    if info.flags & libc::O_DIRECT != 0 {
        return Err(Refusal::Descriptor {
            fd,
            kind: "a pipe of packets".to_owned(),
        }
        .into());
    }
    let end = known.fetch(fd)?;
    Ok(How::Pipe {
        id,
        writes: info.flags & libc::O_ACCMODE == libc::O_WRONLY,
        size: fcntl_getpipe_size(&end).map_err(io::Error::from)?,
        content: Vec::new(),
    })
}

/// Looks at what is in the pipes, which stays there: a program that is refused has it still. More than `max` bytes of it
/// are too much.
pub(crate) fn look_into(
    known: &Known<'_>,
    renewals: &mut [Renewal],
    max: usize,
) -> Result<(), FreezeError> {
    let mut sum = 0;
    for renewal in renewals {
        if let How::Pipe {
            writes: false,
            size,
            content,
            ..
        } = &mut renewal.how
        {
            let end = known.fetch(renewal.fd)?;
            let waiting = ioctl_fionread(&end).map_err(io::Error::from)?;
            let waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
            sum = waiting.saturating_add(sum);
            if sum > max {
                return Err(Refusal::TooMuchState.into());
            }
            *content = copy(&end, *size, waiting)?;
        }
    }
    Ok(())
}

fn copy(end: &impl AsFd, size: usize, waiting: usize) -> io::Result<Vec<u8>> {
    let mut content = vec![0; waiting];
    if waiting == 0 {
        return Ok(content);
    }
    let (ours, into) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setpipe_size(&into, size)?;
    // Nobody else has either pipe now: one call copies everything.
    if tee(end, &into, waiting, SpliceFlags::NONBLOCK)? != waiting {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut filled = 0;
    while filled < waiting {
        match rustix::io::read(&ours, &mut content[filled..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => filled += more,
        }
    }
    Ok(content)
}
