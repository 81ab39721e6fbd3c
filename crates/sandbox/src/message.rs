//! What the agent and the processes of a sandbox tell each other. Both sides are the same build of the same program, so
//! there is no version; still nothing is believed about lengths.
//!
//! ```text
//! agent → launcher  a question + channels[, namespaces]     builder → agent  Born + pidfd, Connected, Failed
//! agent → init      NextPid, Launch + root, Stay            init → agent     Ready + listeners, Done, Launched, Ended, Failed
//!                   Accompany + root, channel, Go           on that channel  Run + stdout, stderr; Accompanied + pidfds,
//!                                                                            Companion…
//! agent → program   Run + stdout, stderr[, fd 3]            program → agent  Parked, Failed, end of channel: executed
//! ```
//!
//! The talk with a template and its helpers is `template::tape`'s.

use std::ffi::CString;
use std::io;
use std::os::fd::BorrowedFd;

use crate::channel::{Channel, Received};

/// The longest message of the short kinds.
pub(crate) const MAX_SHORT_BYTES: usize = 128;

/// The longest [`Run`]: well below what a socket buffer takes by default.
pub(crate) const MAX_RUN_BYTES: usize = 64 * 1024;

/// Arguments and environment entries of one [`Run`] together.
pub(crate) const MAX_RUN_STRINGS: usize = 2048;

/// From the agent to a sandbox's init.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Switch to the root beside this message, with a `/tmp` of that size, and let the program run.
    Launch { tmp_bytes: u64 },
    /// The next process that is made inside gets that id.
    NextPid { pid: u64 },
    /// Live on when the program has ended: others, inside, would end too.
    Stay,
    /// As [`Order::Launch`], but the program waits for [`Order::Go`], and the companions that the channel beside the root
    /// brings ([`Run`]: each argument is a program) are started.
    Accompany { tmp_bytes: u64 },
    /// Let the program run.
    Go,
}

/// From a sandbox's builder or init, or its program before it is executed, to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Report {
    /// Init lives.
    Born,
    /// Its network is there.
    Connected,
    /// It waits for [`Order::Launch`].
    Ready,
    /// The program waits for [`Run`].
    Parked,
    /// [`Order::NextPid`] is carried out.
    Done,
    /// The root is switched and the program let go; when each step ended, in nanoseconds of CLOCK_MONOTONIC.
    Launched { mounts: u64, network: u64 },
    /// The program is executed next: now, in nanoseconds of CLOCK_MONOTONIC. The channel's end tells that it was.
    Executing { at: u64 },
    /// The program exited.
    Exited { code: i32 },
    /// The program was killed.
    Killed { signal: i32 },
    /// A step failed; the sandbox is no more.
    Failed(Failure),
    /// All companions wait to be executed.
    Accompanied,
    /// That companion exited.
    CompanionExited { index: u32, code: i32 },
    /// That companion was killed.
    CompanionKilled { index: u32, signal: i32 },
    /// That companion could not be executed.
    CompanionNotExecuted { index: u32, errno: i32 },
}

/// A step that failed in another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What was tried.
    pub(crate) step: String,
    /// Why it failed.
    pub(crate) errno: i32,
}

impl Order {
    pub(crate) fn encode(self) -> [u8; 9] {
        let (tag, value) = match self {
            Order::Launch { tmp_bytes } => (1, tmp_bytes),
            Order::NextPid { pid } => (2, pid),
            Order::Stay => (3, 0),
            Order::Accompany { tmp_bytes } => (4, tmp_bytes),
            Order::Go => (5, 0),
        };
        tagged(tag, value)
    }

    pub(crate) fn decode(bytes: &[u8]) -> io::Result<Order> {
        match untagged(bytes)? {
            (1, tmp_bytes, _) => Ok(Order::Launch { tmp_bytes }),
            (2, pid, _) => Ok(Order::NextPid { pid }),
            (3, _, _) => Ok(Order::Stay),
            (4, tmp_bytes, _) => Ok(Order::Accompany { tmp_bytes }),
            (5, _, _) => Ok(Order::Go),
            _ => Err(malformed()),
        }
    }
}

impl Report {
    /// Sends it, with descriptors beside it. Does not allocate.
    pub(crate) fn send(&self, channel: &Channel, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        channel.send(self.encode(&mut [0; MAX_SHORT_BYTES]), descriptors)
    }

    /// Waits for the next, and what is beside it; the end of the channel is an error.
    pub(crate) fn receive(channel: &Channel) -> io::Result<(Report, Received)> {
        let mut buffer = [0; MAX_SHORT_BYTES];
        let received = channel.receive(&mut buffer)?;
        match received.length {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => Ok((Report::decode(&buffer[..length])?, received)),
        }
    }

    /// Writes into `buffer`, without allocating, what to send.
    pub(crate) fn encode<'a>(&self, buffer: &'a mut [u8; MAX_SHORT_BYTES]) -> &'a [u8] {
        let (tag, value, rest): (u8, u64, &[u8]) = match self {
            Report::Born => (1, 0, &[]),
            Report::Ready => (2, 0, &[]),
            Report::Parked => (3, 0, &[]),
            Report::Launched { mounts, network } => (4, *mounts, &network.to_le_bytes()),
            Report::Done => (9, 0, &[]),
            Report::Connected => (10, 0, &[]),
            Report::Exited { code } => (5, *code as u32 as u64, &[]),
            Report::Killed { signal } => (6, *signal as u32 as u64, &[]),
            Report::Executing { at } => (8, *at, &[]),
            Report::Failed(failure) => return encode_failure(buffer, &failure.step, failure.errno),
            Report::Accompanied => (11, 0, &[]),
            Report::CompanionExited { index, code } => (12, pair(*index, *code), &[]),
            Report::CompanionKilled { index, signal } => (13, pair(*index, *signal), &[]),
            Report::CompanionNotExecuted { index, errno } => (14, pair(*index, *errno), &[]),
        };
        fill(buffer, tag, value, rest)
    }

    pub(crate) fn decode(bytes: &[u8]) -> io::Result<Report> {
        let (tag, value, rest) = untagged(bytes)?;
        Ok(match tag {
            1 => Report::Born,
            2 => Report::Ready,
            3 => Report::Parked,
            4 => {
                let network = u64::from_le_bytes(rest.try_into().map_err(|_| malformed())?);
                Report::Launched {
                    mounts: value,
                    network,
                }
            }
            5 => Report::Exited { code: value as i32 },
            6 => Report::Killed {
                signal: value as i32,
            },
            7 => Report::Failed(Failure {
                step: String::from_utf8_lossy(rest).into_owned(),
                errno: value as i32,
            }),
            8 => Report::Executing { at: value },
            9 => Report::Done,
            10 => Report::Connected,
            11 => Report::Accompanied,
            12 => Report::CompanionExited {
                index: (value >> 32) as u32,
                code: value as i32,
            },
            13 => Report::CompanionKilled {
                index: (value >> 32) as u32,
                signal: value as i32,
            },
            14 => Report::CompanionNotExecuted {
                index: (value >> 32) as u32,
                errno: value as i32,
            },
            _ => return Err(malformed()),
        })
    }
}

/// [`Report::Failed`] without an allocation.
pub(crate) fn encode_failure<'a>(
    buffer: &'a mut [u8; MAX_SHORT_BYTES],
    step: &str,
    errno: i32,
) -> &'a [u8] {
    fill(buffer, 7, errno as u32 as u64, step.as_bytes())
}

/// What the program is to execute, as one message: how many of the strings are arguments, the working directory, the
/// arguments, the environment; each string with its zero byte.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) cwd: &'a [u8],
    pub(crate) argc: usize,
    /// Arguments, then environment.
    pub(crate) strings: &'a [u8],
}

impl Run<'_> {
    /// The message, or nothing when it would be longer than it may.
    pub(crate) fn encode(cwd: &CString, argv: &[CString], env: &[CString]) -> Option<Vec<u8>> {
        let mut bytes = u32::try_from(argv.len()).ok()?.to_le_bytes().to_vec();
        for string in std::iter::once(cwd).chain(argv).chain(env) {
            bytes.extend_from_slice(string.as_bytes_with_nul());
        }
        (bytes.len() <= MAX_RUN_BYTES && argv.len() + env.len() <= MAX_RUN_STRINGS).then_some(bytes)
    }

    /// The parts of a message. Does not allocate.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Run<'_>> {
        let (argc, rest) = bytes.split_first_chunk()?;
        let end = rest.iter().position(|byte| *byte == 0)? + 1;
        let (cwd, strings) = rest.split_at(end);
        Some(Run {
            cwd,
            argc: u32::from_le_bytes(*argc) as usize,
            strings,
        })
    }
}

/// Two numbers in the place of one.
fn pair(index: u32, number: i32) -> u64 {
    u64::from(index) << 32 | u64::from(number as u32)
}

fn tagged(tag: u8, value: u64) -> [u8; 9] {
    let mut bytes = [0; 9];
    bytes[0] = tag;
    bytes[1..].copy_from_slice(&value.to_le_bytes());
    bytes
}

fn untagged(bytes: &[u8]) -> io::Result<(u8, u64, &[u8])> {
    let (tag, rest) = bytes.split_first().ok_or_else(malformed)?;
    let (value, rest) = rest.split_first_chunk().ok_or_else(malformed)?;
    Ok((*tag, u64::from_le_bytes(*value), rest))
}

fn fill<'a>(buffer: &'a mut [u8; MAX_SHORT_BYTES], tag: u8, value: u64, rest: &[u8]) -> &'a [u8] {
    let head = tagged(tag, value);
    let rest = &rest[..rest.len().min(MAX_SHORT_BYTES - head.len())];
    let end = head.len() + rest.len();
    buffer[..head.len()].copy_from_slice(&head);
    buffer[head.len()..end].copy_from_slice(rest);
    &buffer[..end]
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_survive_the_way() {
        let long = "s".repeat(500);
        for report in [
            Report::Born,
            Report::Launched {
                mounts: u64::MAX,
                network: 7,
            },
            Report::Executing { at: u64::MAX },
            Report::Exited { code: -1 },
            Report::Killed { signal: 9 },
            Report::CompanionExited { index: 9, code: -1 },
            Report::CompanionKilled {
                index: u32::MAX,
                signal: 9,
            },
            Report::CompanionNotExecuted {
                index: 0,
                errno: 13,
            },
            Report::Failed(Failure {
                step: "mount /proc".into(),
                errno: libc::EPERM,
            }),
        ] {
            let mut buffer = [0; MAX_SHORT_BYTES];
            assert_eq!(Report::decode(report.encode(&mut buffer)).unwrap(), report);
        }
        let mut buffer = [0; MAX_SHORT_BYTES];
        assert_eq!(encode_failure(&mut buffer, &long, 1).len(), MAX_SHORT_BYTES);
    }

    #[test]
    fn garbage_is_refused() {
        assert!(Report::decode(&[]).is_err());
        assert!(Report::decode(&[4, 0, 0, 0, 0, 0, 0, 0, 0, 1]).is_err());
        assert!(Order::decode(&[9; 9]).is_err());
        assert!(Run::decode(&[1, 0, 0, 0, b'/']).is_none());
    }

    #[test]
    fn a_run_is_bounded() {
        let cwd = c"/var/task".to_owned();
        let argv = [c"/bin/true".to_owned()];
        let bytes = Run::encode(&cwd, &argv, &[c"A=1".to_owned()]).unwrap();
        let run = Run::decode(&bytes).unwrap();
        assert_eq!(
            (run.cwd, run.argc, run.strings),
            (&b"/var/task\0"[..], 1, &b"/bin/true\0A=1\0"[..])
        );
        assert!(Run::encode(&cwd, &argv, &vec![c"A".to_owned(); MAX_RUN_STRINGS]).is_none());
        assert!(
            Run::encode(
                &cwd,
                &[CString::new(vec![b'a'; MAX_RUN_BYTES]).unwrap()],
                &[]
            )
            .is_none()
        );
    }
}
