//! Files and folders of a hierarchy, reached from one descriptor.

use std::fmt::Display;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

use super::CgroupError;

/// More than any file that is read here holds, the list of a cgroup's processes at its limit included.
const MAX_FILE_BYTES: usize = 1 << 20;

/// The folder of a node in one hierarchy.
#[derive(Debug)]
pub(super) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    pub(super) fn open(path: PathBuf) -> Result<Dir, CgroupError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat(CWD, &path, flags, Mode::empty()) {
            Ok(fd) => Ok(Dir { fd, path }),
            Err(source) => Err(CgroupError::Io {
                action: "open",
                path,
                source: source.into(),
            }),
        }
    }

    /// One that another process has opened. Needs /proc.
    pub(super) fn take_over(fd: OwnedFd) -> io::Result<Dir> {
        let path = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))?;
        Ok(Dir { fd, path })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn folder(&self, name: &str) -> Folder<'_> {
        Folder {
            dir: self,
            name: name.to_owned(),
        }
    }

    /// Names of the folders inside.
    pub(super) fn children(&self) -> Result<Vec<String>, CgroupError> {
        let failed = |source| CgroupError::Io {
            action: "list",
            path: self.path.clone(),
            source,
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_dir() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    pub(super) fn delete(&self) -> Result<(), CgroupError> {
        match fs::remove_dir(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(CgroupError::Io {
                action: "delete",
                path: self.path.clone(),
                source,
            }),
            _ => Ok(()),
        }
    }
}

/// The folder of a slot in one hierarchy; it need not exist.
#[derive(Debug)]
pub(super) struct Folder<'a> {
    dir: &'a Dir,
    name: String,
}

impl Folder<'_> {
    pub(super) fn path(&self) -> PathBuf {
        self.dir.path.join(&self.name)
    }

    pub(super) fn make(&self) -> Result<(), CgroupError> {
        mkdirat(&self.dir.fd, &self.name, Mode::from_raw_mode(0o755))
            .map_err(|source| self.failed("make", "", source))
    }

    pub(super) fn write(&self, file: &'static str, value: impl Display) -> Result<(), CgroupError> {
        let fd = self.open_to_write(file)?;
        rustix::io::write(&fd, value.to_string().as_bytes())
            .map(drop)
            .map_err(|source| self.failed("write", file, source))
    }

    pub(super) fn open_to_write(&self, file: &'static str) -> Result<OwnedFd, CgroupError> {
        openat(
            &self.dir.fd,
            self.at(file),
            OFlags::WRONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|source| self.failed("open", file, source))
    }

    /// Like [`Folder::write`]; that the kernel has no such file counts as success.
    pub(super) fn write_if_present(
        &self,
        file: &'static str,
        value: impl Display,
    ) -> Result<(), CgroupError> {
        match self.write(file, value) {
            Err(error) if error.is_not_found() => Ok(()),
            done => done,
        }
    }

    pub(super) fn read(&self, file: &'static str) -> Result<String, CgroupError> {
        let read = || {
            let fd = openat(
                &self.dir.fd,
                self.at(file),
                OFlags::RDONLY | OFlags::CLOEXEC,
                Mode::empty(),
            )?;
            let mut content = Vec::new();
            let mut chunk = [0_u8; 4096];
            while content.len() < MAX_FILE_BYTES {
                let filled = rustix::io::read(&fd, &mut chunk[..])?;
                if filled == 0 {
                    break;
                }
                content.extend_from_slice(&chunk[..filled]);
            }
            Ok(content)
        };
        let content = read().map_err(|source| self.failed("read", file, source))?;
        Ok(String::from_utf8_lossy(&content).into_owned())
    }

    /// The processes inside; 0 for each that this process cannot see.
    pub(super) fn process_list(&self) -> Result<Vec<i32>, CgroupError> {
        let list = self.read("cgroup.procs")?;
        list.lines()
            .map(|line| {
                line.parse()
                    .map_err(|_| self.format("cgroup.procs", "numbers"))
            })
            .collect()
    }

    /// The number in a file that holds nothing else.
    pub(super) fn number(&self, file: &'static str) -> Result<u64, CgroupError> {
        let content = self.read(file)?;
        content
            .trim()
            .parse()
            .map_err(|_| self.format(file, "a number"))
    }

    /// The number after `key` in a file of lines "key number".
    pub(super) fn keyed_number(
        &self,
        file: &'static str,
        key: &'static str,
    ) -> Result<u64, CgroupError> {
        let content = self.read(file)?;
        let fields = content.lines().filter_map(|line| line.split_once(' '));
        let value = fields
            .filter(|(name, _)| *name == key)
            .find_map(|(_, value)| value.trim().parse().ok());
        value.ok_or_else(|| self.format(file, key))
    }

    /// Sends SIGKILL to every process listed. A process id may change hands between the list and the signal, so each
    /// is pinned by a descriptor first and killed only if the list still has it then.
    pub(super) fn kill_listed(&self) -> Result<(), CgroupError> {
        let pinned: Vec<(Pid, OwnedFd)> = self
            .processes()?
            .into_iter()
            .filter(|pid| *pid != getpid())
            .filter_map(|pid| Some((pid, pidfd_open(pid, PidfdFlags::empty()).ok()?)))
            .collect();
        if pinned.is_empty() {
            return Ok(());
        }
        let still_there = self.processes()?;
        for (pid, pidfd) in pinned {
            if still_there.contains(&pid) {
                match pidfd_send_signal(&pidfd, Signal::KILL) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(source) => return Err(self.failed("kill the processes of", "", source)),
                }
            }
        }
        Ok(())
    }

    /// Deletes the folder; false when processes are in it. That it does not exist counts as deleted.
    pub(super) fn try_delete(&self) -> Result<bool, CgroupError> {
        match unlinkat(&self.dir.fd, &self.name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::BUSY) => Ok(false),
            Err(source) => Err(self.failed("delete", "", source)),
        }
    }

    /// The processes inside, none if the folder does not exist. Those that this process cannot see are left out.
    fn processes(&self) -> Result<Vec<Pid>, CgroupError> {
        match self.read("cgroup.procs") {
            Ok(list) => Ok(list
                .lines()
                .filter_map(|line| Pid::from_raw(line.parse().ok()?))
                .collect()),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn at(&self, file: &str) -> String {
        format!("{}/{file}", self.name)
    }

    fn failed(&self, action: &'static str, file: &str, source: Errno) -> CgroupError {
        CgroupError::Io {
            action,
            path: self.path().join(file),
            source: source.into(),
        }
    }

    fn format(&self, file: &str, field: &'static str) -> CgroupError {
        CgroupError::Format {
            path: self.path().join(file),
            field,
        }
    }
}
