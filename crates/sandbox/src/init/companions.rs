//! Companions: programs that run beside the program, in the same sandbox, as the same user and under the same limits. Init
//! forks them when it is in the function's root, while it still has the privilege to put them into the program's user
//! namespace, and reports how each of them ended.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{DumpableBehavior, chdir, set_dumpable_behavior, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Birth, Broken, PROGRAM_OOM_SCORE, step};
use crate::channel::Channel;
use crate::companions::MAX_COMPANIONS;
use crate::identity::{INNER_GID, INNER_UID, become_user, give_up_capabilities, limit_resources};
use crate::message::{MAX_RUN_BYTES, MAX_RUN_STRINGS, Report, Run};
use crate::seccomp::Filter;
use crate::sys::clone::{Child, Namespaces, fork};
use crate::sys::exec::Exec;
use crate::sys::{fd, signal};

/// The companions of a sandbox's program.
pub(super) struct Companions {
    /// To the agent.
    channel: Channel,
    /// They wait until this is closed.
    gate: Option<Channel>,
    children: Vec<Child>,
}

/// What all of them are forked with.
struct Common<'a> {
    user_namespace: &'a OwnedFd,
    filter: &'a Filter,
    channel: &'a Channel,
    gate: &'a Channel,
    outputs: [OwnedFd; 2],
}

impl Companions {
    /// Forks all that the channel's first message asks for. They have given up every privilege and wait at the gate when
    /// that is reported; what goes wrong until then ends the sandbox.
    pub(super) fn park(
        birth: &Birth<'_>,
        user_namespace: &OwnedFd,
        channel: Channel,
    ) -> Result<Companions, Broken> {
        let mut message = vec![0; MAX_RUN_BYTES];
        let mut received = channel
            .receive(&mut message)
            .map_err(step("receive what to run beside the program"))?;
        let malformed = || step("understand what to run beside the program")(malformed());
        let run = Run::decode(&message[..received.length]).ok_or_else(malformed)?;
        let mut output = || received.descriptor().map_err(|_| malformed());
        let outputs = [output()?, output()?];
        let (programs, env) = split(run.strings, run.argc).ok_or_else(malformed)?;
        let (gate, theirs) = Channel::pair().map_err(step("make a gate"))?;
        let common = Common {
            user_namespace,
            filter: birth.filter,
            channel: &channel,
            gate: &theirs,
            outputs,
        };
        let mut children = Vec::with_capacity(programs.len());
        for (index, program) in (0..).zip(programs) {
            let strings = [program, env].concat();
            let child = fork(birth.proof, Namespaces::NONE, || {
                common.run(index, run.cwd, &strings)
            });
            children.push(child.map_err(step("fork a companion"))?);
        }
        let pidfds: Vec<BorrowedFd<'_>> =
            children.iter().map(|child| child.pidfd.as_fd()).collect();
        Report::Accompanied
            .send(&channel, &pidfds)
            .map_err(step("report companions"))?;
        Ok(Companions {
            channel,
            gate: Some(gate),
            children,
        })
    }

    /// Lets them be executed.
    pub(super) fn let_go(mut self) -> Companions {
        self.gate = None;
        self
    }

    /// A child has ended, with that code or by that signal: if it is one of them, the agent hears of it.
    pub(super) fn ended(&self, pid: i32, end: Result<i32, i32>) {
        let Some(index) = self.children.iter().position(|child| child.pid == pid) else {
            return;
        };
        let index = index as u32;
        let report = match end {
            Ok(code) => Report::CompanionExited { index, code },
            Err(signal) => Report::CompanionKilled { index, signal },
        };
        // When the agent is not interested any more, there is nobody to tell.
        let _ = report.send(&self.channel, &[]);
    }
}

impl Common<'_> {
    /// The life of a child until it is the companion; returns its exit code if it does not become that.
    fn run(&self, index: u32, cwd: &[u8], strings: &[u8]) -> i32 {
        let Err(error) = self.become_companion(cwd, strings);
        let errno = error.raw_os_error().unwrap_or(libc::EPROTO);
        let _ = Report::CompanionNotExecuted { index, errno }.send(self.channel, &[]);
        127
    }

    fn become_companion(&self, cwd: &[u8], strings: &[u8]) -> io::Result<std::convert::Infallible> {
        let [stdout, stderr] = &self.outputs;
        fd::close_all_but(&mut [
            self.user_namespace.as_raw_fd(),
            self.channel.as_raw_fd(),
            self.gate.as_raw_fd(),
            stdout.as_raw_fd(),
            stderr.as_raw_fd(),
        ])?;
        signal::reset();
        setsid()?;
        // Init's own score would spare it where memory is short. In a nest the file is writable for who can be seen only.
        set_dumpable_behavior(DumpableBehavior::Dumpable)?;
        fs::write("/proc/self/oom_score_adj", PROGRAM_OOM_SCORE)?;
        move_into_link_name_space(self.user_namespace.as_fd(), Some(LinkNameSpaceType::User))?;
        limit_resources()?;
        become_user(INNER_UID, INNER_GID)?;
        give_up_capabilities()?;
        self.filter.install()?;

        // Init has closed its end when nothing of its privileges is left.
        if self.gate.receive(&mut [0; 1])?.length != 0 {
            return Err(malformed());
        }
        dup2_stdin(open(
            c"/dev/null",
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?)?;
        dup2_stdout(stdout)?;
        dup2_stderr(stderr)?;
        fd::close_on_exec_from(3)?;
        let cwd = std::ffi::CStr::from_bytes_with_nul(cwd).map_err(io::Error::other)?;
        chdir(cwd)?;
        Err(Exec::with_room_for(MAX_RUN_STRINGS).exec(strings, 1))
    }
}

/// The programs, each with its zero byte, and the environment behind them.
fn split(strings: &[u8], programs: usize) -> Option<(Vec<&[u8]>, &[u8])> {
    let (mut found, mut rest) = (Vec::new(), strings);
    while found.len() < programs.min(MAX_COMPANIONS) {
        let end = rest.iter().position(|byte| *byte == 0)? + 1;
        let (program, behind) = rest.split_at(end);
        found.push(program);
        rest = behind;
    }
    (found.len() == programs).then_some((found, rest))
}

fn malformed() -> io::Error {
    io::Error::from_raw_os_error(libc::EPROTO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_from_their_environment() {
        let (programs, env) = split(b"/a\0/b\0A=1\0", 2).unwrap();
        assert_eq!(
            (programs, env),
            (vec![&b"/a\0"[..], b"/b\0"], &b"A=1\0"[..])
        );
        assert!(split(b"/a\0", 2).is_none());
        assert!(split(&b"/a\0".repeat(MAX_COMPANIONS + 1), MAX_COMPANIONS + 1).is_none());
    }
}
