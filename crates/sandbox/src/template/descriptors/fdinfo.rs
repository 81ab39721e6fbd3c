//! /proc/PID/fdinfo, see proc_pid_fdinfo(5).

use std::fs;
use std::io;

use super::{How, Watch};

/// What the kernel tells of one descriptor.
pub(super) struct FdInfo {
    text: String,
    /// `O_CLOEXEC`, access mode and status flags.
    pub(super) flags: i32,
}

impl FdInfo {
    pub(super) fn read(pid: i32, fd: i32) -> io::Result<FdInfo> {
        FdInfo::parse(fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}"))?)
    }

    fn parse(text: String) -> io::Result<FdInfo> {
        let mut info = FdInfo { text, flags: 0 };
        let flags = info
            .field("flags:")
            .and_then(|flags| i32::from_str_radix(flags, 8).ok());
        info.flags = flags.ok_or(io::ErrorKind::InvalidData)?;
        Ok(info)
    }

    fn field(&self, name: &str) -> Option<&str> {
        let value = self.text.lines().find_map(|line| line.strip_prefix(name));
        value.map(str::trim)
    }

    pub(super) fn decimal(&self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }

    pub(super) fn hex(&self, name: &str) -> Option<u64> {
        u64::from_str_radix(self.field(name)?, 16).ok()
    }

    /// Whether it is locked, or leased, by the program.
    pub(super) fn has_lock(&self) -> bool {
        self.field("lock:").is_some()
    }

    /// An armed timer has its remaining time; one that has run out runs out at once.
    pub(super) fn timer(&self) -> Option<How> {
        let [seconds, nanoseconds] = self.pair("it_value:")?;
        let [every_seconds, every_nanoseconds] = self.pair("it_interval:")?;
        let ran_out = self.decimal("ticks:").is_some_and(|ticks| ticks > 0);
        let value = match ran_out {
            true => [every_seconds, every_nanoseconds, 0, 1],
            false => [every_seconds, every_nanoseconds, seconds, nanoseconds],
        };
        Some(How::TimerFd {
            clock: i32::try_from(self.decimal("clockid:")?).ok()?,
            value,
        })
    }

    /// `(1, 500)`.
    fn pair(&self, name: &str) -> Option<[u64; 2]> {
        let inside = self.field(name)?.strip_prefix('(')?.strip_suffix(')')?;
        let (one, other) = inside.split_once(',')?;
        Some([one.trim().parse().ok()?, other.trim().parse().ok()?])
    }

    /// `tfd:        8 events:       19 data:                8  pos:0 ino:61 sdev:a`.
    pub(super) fn watches(&self) -> Vec<Watch> {
        let lines = self.text.lines().filter(|line| line.starts_with("tfd:"));
        lines.filter_map(watch).collect()
    }
}

fn watch(line: &str) -> Option<Watch> {
    let mut words = line.split_whitespace();
    let mut after = |name: &str| {
        words.find(|word| *word == name)?;
        words.next()
    };
    Some(Watch {
        fd: after("tfd:")?.parse().ok()?,
        events: u32::from_str_radix(after("events:")?, 16).ok()?,
        data: u64::from_str_radix(after("data:")?, 16).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(text: &str) -> FdInfo {
        FdInfo::parse(format!("pos:\t7\nflags:\t02004002\n{text}")).unwrap()
    }

    #[test]
    fn flags_and_positions() {
        let info = info("");
        assert_eq!(
            info.flags,
            libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_RDWR
        );
        assert_eq!(info.decimal("pos:"), Some(7));
        assert!(FdInfo::parse("pos:\t7\n".into()).is_err());
    }

    #[test]
    fn timers_keep_their_remaining_time() {
        let timer =
            "clockid: 1\nticks: 0\nsettime flags: 01\nit_value: (3, 250)\nit_interval: (1, 0)\n";
        assert_eq!(
            info(timer).timer(),
            Some(How::TimerFd {
                clock: 1,
                value: [1, 0, 3, 250]
            })
        );
        let ran_out = timer
            .replace("ticks: 0", "ticks: 2")
            .replace("(3, 250)", "(0, 0)");
        assert_eq!(
            info(&ran_out).timer(),
            Some(How::TimerFd {
                clock: 1,
                value: [1, 0, 0, 1]
            })
        );
        assert_eq!(info("clockid: 1\n").timer(), None);
    }

    #[test]
    fn epolls_tell_what_they_watch() {
        let epoll = "mnt_id:\t15\ntfd:        8 events:       19 data: ffffffff00000008  pos:0 ino:61 sdev:a\nnonsense\n";
        assert_eq!(
            info(epoll).watches(),
            [Watch {
                fd: 8,
                events: 0x19,
                data: 0xffff_ffff_0000_0008
            }]
        );
    }
}
