//! The launcher's own process.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountAttrFlags, MountFlags, mount_remount};
use rustix::process::{setsid, umask};
use rustix::thread::{set_name, set_thread_groups};

use super::nest::{self, Nest};
use super::{ANSWER_BYTES, MAX_QUESTION_BYTES, NAME};
use crate::channel::{Channel, Received};
use crate::identity::{IdMap, Users};
use crate::init::{self, Birth};
use crate::mounts::{attach, enter_empty_namespace, new_mount};
use crate::seccomp::{Filter, Knock};
use crate::sys::clone::{Child, Namespaces, SingleThreaded, fork};
use crate::sys::signal;

/// What is where in the launcher's mount namespace, of which each sandbox starts with a copy.
pub(crate) mod place {
    /// Where a sandbox mounts the function's root before it switches to it.
    pub(crate) const NEW_ROOT: &str = "/new";
    /// A /proc as it is, without which the kernel lets nobody mount another in a sandbox that is born inside a template.
    pub(crate) const VISIBLE_PROC: &str = "/visible-proc";
    /// An empty folder to hide others with.
    pub(crate) const MASK: &str = "/mask";
    /// Where a sandbox keeps what it has prepared.
    pub(crate) const PROC: &str = "/proc";
    /// See [`PROC`].
    pub(crate) const DEV: &str = "/prepared-dev";
    /// See [`PROC`].
    pub(crate) const TMP: &str = "/tmp";
}

/// Name, major and minor number.
const DEVICES: [(&str, u32, u32); 5] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
];

const DEVICE_LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// To be called first thing in `main` of every program that makes sandboxes, before there is a second thread. Where the
/// program was started to be the launcher, this never returns; else it does nothing.
pub fn launcher_main_if_asked() {
    if std::env::args_os().next().is_none_or(|name| name != NAME) {
        return;
    }
    let Ok(channel) = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(Channel::from_socket)
    else {
        std::process::exit(1);
    };
    match Server::set_up(&channel) {
        Ok(server) => {
            // Until the channel ends, and with it the launcher.
            let _ = server.serve(&channel);
            std::process::exit(0);
        }
        Err(error) => {
            let _ = channel.send(&answer(Err(&error)), &[]);
            std::process::exit(1);
        }
    }
}

struct Server {
    proof: SingleThreaded,
    filter: Filter,
}

impl Server {
    fn set_up(channel: &Channel) -> io::Result<Server> {
        let proof = SingleThreaded::prove()?;
        let mut knock = [0; Knock::BYTES];
        channel.receive(&mut knock)?;
        set_name(c"launcher")?;
        // Out of reach of the terminal's signals: sandboxes are ended in order.
        setsid()?;
        signal::ignore_children()?;
        set_thread_groups(&[])?;
        umask(Mode::empty());
        enter_empty_namespace()?;
        furnish()?;
        umask(Mode::from_raw_mode(0o022));
        Ok(Server {
            proof,
            filter: Filter::for_programs(Knock::from_bytes(knock)),
        })
    }

    fn serve(&self, channel: &Channel) -> io::Result<()> {
        channel.send(&answer(Ok(0)), &[])?;
        loop {
            let mut question = [0; MAX_QUESTION_BYTES];
            let received = channel.receive(&mut question)?;
            if received.length == 0 {
                return Ok(());
            }
            let (birth, nest) = self.understand(&question, received)?;
            match nest {
                Some(nest) => {
                    if let Err(error) = nest::fork(&self.proof, birth, &nest) {
                        nest.agent.send(&answer(Err(&error)), &[])?;
                    }
                }
                None => match fork(&self.proof, Namespaces::SANDBOX, || init::run(birth)) {
                    Ok(Child { pid, pidfd }) => channel.send(&answer(Ok(pid)), &[pidfd.as_fd()])?,
                    Err(error) => channel.send(&answer(Err(&error)), &[])?,
                },
            }
        }
    }

    fn understand(
        &self,
        question: &[u8],
        mut received: Received,
    ) -> io::Result<(Birth<'_>, Option<Nest>)> {
        let malformed = || io::Error::from(io::ErrorKind::InvalidData);
        let (program, rest) = question[..received.length]
            .split_first_chunk()
            .ok_or_else(malformed)?;
        let (init, rest) = rest.split_first_chunk().ok_or_else(malformed)?;
        let (entrances, ids) = rest.split_first_chunk().ok_or_else(malformed)?;
        let entrances = u32::from_le_bytes(*entrances);
        let birth = Birth {
            proof: &self.proof,
            filter: &self.filter,
            users: Users {
                program: u32::from_le_bytes(*program),
                init: u32::from_le_bytes(*init),
            },
            ids: IdMap::decode(ids).ok_or_else(malformed)?,
            nested: false,
            control: Channel::from_socket(received.descriptor()?),
            program: Some(Channel::from_socket(received.descriptor()?)),
            entrances: (0..entrances)
                .map(|_| received.descriptor())
                .collect::<io::Result<_>>()?,
        };
        let nest = match [(); 3].map(|()| received.descriptor()) {
            [Ok(user), Ok(pid), Ok(agent)] => Some(Nest {
                user,
                pid,
                agent: Channel::from_socket(agent),
            }),
            _ => None,
        };
        Ok((birth, nest))
    }
}

pub(super) fn answer(result: Result<i32, &io::Error>) -> [u8; ANSWER_BYTES] {
    let (errno, pid) = match result {
        Ok(pid) => (0, pid),
        Err(error) => (error.raw_os_error().unwrap_or(libc::EPROTO), 0),
    };
    let mut answer = [0; ANSWER_BYTES];
    answer[..4].copy_from_slice(&errno.to_le_bytes());
    answer[4..].copy_from_slice(&pid.to_le_bytes());
    answer
}

/// Fills the empty namespace with what all sandboxes need, and makes it read-only.
fn furnish() -> io::Result<()> {
    for folder in [
        place::NEW_ROOT,
        place::VISIBLE_PROC,
        place::MASK,
        place::PROC,
        place::DEV,
        place::TMP,
        "/dev",
    ] {
        std::fs::create_dir(folder)?;
    }
    let dev = new_mount(
        "tmpfs",
        &[("mode", "755"), ("size", "64k")],
        MountAttrFlags::MOUNT_ATTR_NOSUID,
    )?;
    attach(dev, Path::new("/dev"))?;
    for (name, major, minor) in DEVICES {
        let path = Path::new("/dev").join(name);
        mknodat(
            CWD,
            &path,
            FileType::CharacterDevice,
            Mode::from_raw_mode(0o666),
            makedev(major, minor),
        )?;
    }
    for (name, target) in DEVICE_LINKS {
        symlink(target, Path::new("/dev").join(name))?;
    }
    std::fs::create_dir("/dev/shm")?;
    read_only(Path::new("/dev"), MountFlags::NOEXEC)?;
    read_only(Path::new("/"), MountFlags::NODEV)
}

fn read_only(mount: &Path, also: MountFlags) -> io::Result<()> {
    Ok(mount_remount(
        mount,
        MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | also,
        c"",
    )?)
}
