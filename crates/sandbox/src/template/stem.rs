//! Stems: the processes that forks are cloned from. A stem shares its template's memory and lives in the fork's slot for as
//! long as it takes to clone the fork; it has a part of the engine's region to itself, with its tape.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;

use super::Frozen;
use crate::channel::{Channel, Received};
use crate::template::memory::Memory;
use crate::template::region::Region;
use crate::template::scripts::{FAILED, FORKED, ORDER_BYTES, PARKED, STEM_BYTES, stem};

/// Longer than any message of a stem or fork.
const MAX_WORD_BYTES: usize = 64;

/// What a stem says, or the fork that it was cloned into.
#[derive(Debug)]
pub(super) enum Word {
    /// It waits; its process id on the host. First the stem says that, then the fork.
    Parked { pid: i32 },
    /// The fork is complete: its process id on the host, and when, in nanoseconds of CLOCK_MONOTONIC.
    Forked { pid: i32, at: u64 },
    /// An operation failed.
    Failed { operation: u64, source: io::Error },
}

impl Word {
    /// Waits for the next.
    pub(super) async fn receive(channel: &AsyncFd<Channel>) -> io::Result<Word> {
        let mut buffer = [0; MAX_WORD_BYTES];
        loop {
            let mut readable = channel.readable().await?;
            if let Ok(received) = readable.try_io(|channel| channel.get_ref().receive(&mut buffer))
            {
                return Word::decode(&buffer, &received?);
            }
        }
    }

    /// Waits until somebody is parked, and returns its process id. Blocks.
    pub(super) fn wait_parked(channel: &Channel) -> io::Result<i32> {
        let mut buffer = [0; MAX_WORD_BYTES];
        let received = channel.receive(&mut buffer)?;
        match Word::decode(&buffer, &received)? {
            Word::Parked { pid } => Ok(pid),
            Word::Failed { operation, source } => {
                tracing::debug!(operation, "a stem failed");
                Err(source)
            }
            Word::Forked { .. } => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn decode(buffer: &[u8], received: &Received) -> io::Result<Word> {
        if received.length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (words, _) = buffer[..received.length].as_chunks();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let pid = received.sender.unwrap_or(0);
        Ok(match *words {
            [PARKED] => Word::Parked { pid },
            [FORKED, .., seconds, nanoseconds] => Word::Forked {
                pid,
                at: seconds * 1_000_000_000 + nanoseconds,
            },
            [FAILED, result, operation] => Word::Failed {
                operation,
                source: io::Error::from_raw_os_error((result as i32).wrapping_neg()),
            },
            _ => return Err(io::ErrorKind::InvalidData.into()),
        })
    }
}

impl Frozen {
    /// Has the helper leave a stem that plays the tape at that place.
    pub(super) fn plant(&self, place: &Place, descriptors: &[OwnedFd]) -> io::Result<()> {
        let tape = place.write(&self.memory, self.fork)?;
        let mut order = [0; ORDER_BYTES];
        order[..8].copy_from_slice(&tape.to_le_bytes());
        order[8..].copy_from_slice(&self.living.sandbox.node().knock.bytes());
        let [child, ended, result, operation] = self.order(&order, descriptors)?;
        if (child as i64) < 0 {
            return Err(io::Error::from_raw_os_error(-(child as i64) as i32));
        }
        if ended as u32 != 0 {
            tracing::debug!(
                result = result as i64,
                operation,
                "a template's helper failed"
            );
            return Err(io::Error::from_raw_os_error(-(result as i64) as i32));
        }
        Ok(())
    }
}

/// Places for stems.
#[derive(Debug)]
pub(super) struct Places {
    /// Each with the stem that was last there, if it may be there still. Locked to take or give back one.
    free: Mutex<Vec<(u64, Option<OwnedFd>)>>,
}

impl Places {
    pub(super) fn new(begin: u64, end: u64) -> Places {
        let count = end.saturating_sub(begin) / STEM_BYTES;
        let free = (0..count)
            .rev()
            .map(|index| (begin + index * STEM_BYTES, None));
        Places {
            free: Mutex::new(free.collect()),
        }
    }
}

/// A place for one stem, which is given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    address: u64,
    stem: Option<OwnedFd>,
    template: Arc<Frozen>,
}

impl Place {
    /// One that nobody is at.
    pub(super) fn take(template: &Arc<Frozen>) -> Option<Place> {
        let mut free = template
            .places
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let index = free
            .iter()
            .rposition(|(_, stem)| stem.as_ref().is_none_or(has_ended))?;
        let (address, _) = free.swap_remove(index);
        Some(Place {
            address,
            stem: None,
            template: Arc::clone(template),
        })
    }

    pub(super) fn occupied_by(&mut self, pid: i32) -> io::Result<()> {
        self.stem = Some(process(pid)?);
        Ok(())
    }

    /// Waits until the stem, whose fork is made, has ended. Blocks, for that long at most.
    pub(super) fn wait_empty(&mut self, patience: Duration) -> io::Result<()> {
        if let Some(stem) = &self.stem
            && !ends_within(stem, patience)
        {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stem = None;
        Ok(())
    }

    /// Writes the stem's tape; returns where it begins.
    fn write(&self, memory: &Memory, fork: u64) -> io::Result<u64> {
        let mut region = Region::part(self.address, STEM_BYTES);
        let tape = stem(&mut region, fork);
        region.check().map_err(io::Error::other)?;
        region.write(memory)?;
        Ok(tape)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.template
            .places
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((self.address, self.stem.take()));
    }
}

/// A handle of the process with that id on the host.
pub(super) fn process(pid: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

pub(super) fn has_ended(process: &OwnedFd) -> bool {
    ends_within(process, Duration::ZERO)
}

fn ends_within(process: &OwnedFd, patience: Duration) -> bool {
    let mut source = [PollFd::new(process, PollFlags::IN)];
    let patience = Timespec::try_from(patience).ok();
    matches!(poll(&mut source, patience.as_ref()), Ok(1..))
}
