//! The launcher's own process.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountAttrFlags, MountFlags, mount_remount};
use rustix::process::{setsid, umask};
use rustix::thread::{set_name, set_thread_groups};

use super::{ANSWER_BYTES, NAME};
use crate::channel::Channel;
use crate::identity::Users;
use crate::init::{self, Birth};
use crate::mounts::{attach, enter_empty_namespace, new_mount};
use crate::seccomp::Filter;
use crate::sys::clone::{Child, Namespaces, SingleThreaded, fork};
use crate::sys::signal;

/// What is where in the launcher's mount namespace, of which each sandbox starts with a copy.
pub(crate) mod place {
    /// Where a sandbox mounts the function's root before it switches to it.
    pub(crate) const NEW_ROOT: &str = "/new";
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
    match Server::set_up() {
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
    fn set_up() -> io::Result<Server> {
        let proof = SingleThreaded::prove()?;
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
            filter: Filter::for_programs(),
        })
    }

    fn serve(&self, channel: &Channel) -> io::Result<()> {
        channel.send(&answer(Ok(0)), &[])?;
        loop {
            let mut question = [0; 8];
            let mut received = channel.receive(&mut question)?;
            if received.length == 0 {
                return Ok(());
            }
            let [p0, p1, p2, p3, init @ ..] = question;
            let users = Users {
                program: u32::from_le_bytes([p0, p1, p2, p3]),
                init: u32::from_le_bytes(init),
            };
            let (control, program) = (received.descriptor()?, received.descriptor()?);
            let birth = Birth {
                proof: &self.proof,
                filter: &self.filter,
                users,
                control: Channel::from_socket(control),
                program: Channel::from_socket(program),
            };
            match fork(&self.proof, Namespaces::SANDBOX, || init::run(birth)) {
                Ok(Child { pid, pidfd }) => channel.send(&answer(Ok(pid)), &[pidfd.as_fd()])?,
                Err(error) => channel.send(&answer(Err(&error)), &[])?,
            }
        }
    }
}

fn answer(result: Result<i32, &io::Error>) -> [u8; ANSWER_BYTES] {
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
