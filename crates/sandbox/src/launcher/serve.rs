//! The launcher's own process.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountAttrFlags, MountFlags, mount_remount};
use rustix::process::{setsid, umask};
use rustix::thread::{set_name, set_thread_groups};

use super::builder::{Builder, Nest};
use super::{MAX_QUESTION_BYTES, MAX_SETTING_BYTES, NAME, Setting};
use crate::cgroup::Parent;
use crate::channel::{Channel, Received};
use crate::identity::{IdMap, Users};
use crate::message::{MAX_SHORT_BYTES, Report, encode_failure};
use crate::mounts::{attach, enter_empty_namespace, new_mount};
use crate::network::{Subnet, Trunk};
use crate::seccomp::{Filter, Knock};
use crate::sys::clone::SingleThreaded;
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
            let mut buffer = [0; MAX_SHORT_BYTES];
            let errno = error.raw_os_error().unwrap_or(libc::EPROTO);
            let _ = channel.send(encode_failure(&mut buffer, "start", errno), &[]);
            std::process::exit(1);
        }
    }
}

pub(super) struct Server {
    pub(super) proof: SingleThreaded,
    pub(super) filter: Filter,
    pub(super) cgroups: Parent,
    pub(super) trunk: Trunk,
}

impl Server {
    fn set_up(channel: &Channel) -> io::Result<Server> {
        let proof = SingleThreaded::prove()?;
        let mut setting = [0; MAX_SETTING_BYTES];
        let received = channel.receive(&mut setting)?;
        let Setting {
            knock,
            cgroups,
            trunk,
        } = understand_setting(&setting, received)?;
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
            filter: Filter::for_programs(knock),
            cgroups,
            trunk,
        })
    }

    fn serve(&self, channel: &Channel) -> io::Result<()> {
        Report::Ready.send(channel, &[])?;
        loop {
            let mut question = [0; MAX_QUESTION_BYTES];
            let received = channel.receive(&mut question)?;
            if received.length == 0 {
                return Ok(());
            }
            understand(&question, received)?.fork(self);
        }
    }
}

fn understand_setting(
    setting: &[u8; MAX_SETTING_BYTES],
    mut received: Received,
) -> io::Result<Setting> {
    let setting = &setting[..received.length];
    let (knock, rest) = setting.split_first_chunk().ok_or_else(malformed)?;
    let (subnet, hierarchies) = rest.split_first_chunk().ok_or_else(malformed)?;
    let (words, _) = hierarchies.as_chunks();
    let netns = received.descriptor()?;
    let handed = words.iter().map(|word| (*word, received.descriptor()));
    Ok(Setting {
        knock: Knock::from_bytes(*knock),
        cgroups: Parent::take_over(handed)?,
        trunk: Trunk {
            subnet: Subnet::from_bytes(*subnet),
            netns,
        },
    })
}

fn understand(question: &[u8; MAX_QUESTION_BYTES], mut received: Received) -> io::Result<Builder> {
    let question = &question[..received.length];
    let (words, ids) = question.split_first_chunk::<12>().ok_or_else(malformed)?;
    let (words, _) = words.as_chunks();
    let [id, program, init] = [0, 1, 2].map(|index| u32::from_le_bytes(words[index]));
    let [agent, control, to_program] = [
        received.descriptor()?,
        received.descriptor()?,
        received.descriptor()?,
    ]
    .map(Channel::from_socket);
    let nest = match (received.descriptor(), received.descriptor()) {
        (Ok(user), Ok(pid)) => Some(Nest { user, pid }),
        _ => None,
    };
    Ok(Builder {
        id,
        users: Users { program, init },
        ids: IdMap::decode(ids).ok_or_else(malformed)?,
        nest,
        agent,
        control,
        program: to_program,
    })
}

fn malformed() -> io::Error {
    io::ErrorKind::InvalidData.into()
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
