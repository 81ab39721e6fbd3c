//! Mounts by descriptor, and the thread that has a mount namespace of its own to keep images and roots in.
//!
//! The mount namespace of the process stays as it is: nothing of ours shows in it, nothing of the host's is kept busy by
//! us, and all of it is gone with the process. Before Linux 6.15 a mount can only be cloned or mounted upon where it is
//! attached, and by somebody in that namespace; so all such work is done by one thread that lives there.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
    mount_change, move_mount, open_tree, unmount,
};
use rustix::process::{chdir, pivot_root};
use rustix::thread::UnshareFlags;

use crate::sys::namespace;

/// Work that may wait for the mount thread.
const MAX_JOBS: usize = 4096;

/// Why something could not be mounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The image or folder cannot be opened.
    #[error("cannot open {path}")]
    Open {
        /// As given.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel refused.
    #[error("cannot {step}")]
    Step {
        /// What was tried.
        step: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The thread with the mounts could not be started, or has more to do than it ever should.
    #[error("the mount thread is not available")]
    NoThread,
}

impl MountError {
    pub(crate) fn step(step: &'static str) -> impl FnOnce(io::Error) -> MountError {
        move |source| MountError::Step { step, source }
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Runs `work` on the mount thread.
pub(crate) fn on_mount_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MountError> + Send + 'static,
) -> Result<T, MountError> {
    let (answer, answered) = mpsc::sync_channel(1);
    // Nobody listening is no concern of the thread's.
    let job: Job = Box::new(move || drop(answer.send(work())));
    mount_thread()?
        .send(job)
        .map_err(|_| MountError::NoThread)?;
    answered.recv().map_err(|_| MountError::NoThread)?
}

/// As [`on_mount_thread`], without blocking the caller's thread.
pub(crate) async fn on_mount_thread_async<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MountError> + Send + 'static,
) -> Result<T, MountError> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    on_mount_thread_later(move || drop(answer.send(work())))?;
    answered.await.map_err(|_| MountError::NoThread)?
}

/// Has the mount thread do something, some time.
pub(crate) fn on_mount_thread_later(
    work: impl FnOnce() + Send + 'static,
) -> Result<(), MountError> {
    // Must not wait: this may be the mount thread, or an async one.
    mount_thread()?
        .try_send(Box::new(work))
        .map_err(|_| MountError::NoThread)
}

/// A folder of the mount thread's to attach one image or root at. Dropping it unmounts that, some time.
#[derive(Debug)]
pub(crate) struct Place(String);

impl Place {
    /// A new one. To be called on the mount thread.
    pub(crate) fn make() -> Result<Place, MountError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Short, for the kernel takes at most 255 bytes of them all as the layers of an overlay.
        let path = format!("/{:x}", NEXT.fetch_add(1, Ordering::Relaxed));
        std::fs::create_dir(&path).map_err(MountError::step("make a place for a mount"))?;
        Ok(Place(path))
    }

    pub(crate) fn path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.0);
        let sent = on_mount_thread_later(move || {
            // Nothing is there when the attaching failed.
            let _ = unmount(&*path, UnmountFlags::DETACH);
            if let Err(error) = std::fs::remove_dir(&path) {
                tracing::warn!(%path, %error, "a mount stays until the process ends");
            }
        });
        if let Err(error) = sent {
            tracing::warn!(%error, "a mount stays until the process ends");
        }
    }
}

fn mount_thread() -> Result<&'static mpsc::SyncSender<Job>, MountError> {
    static JOBS: OnceLock<Option<mpsc::SyncSender<Job>>> = OnceLock::new();
    JOBS.get_or_init(|| {
        start_mount_thread()
            .inspect_err(|error| tracing::error!(%error, "no mount thread"))
            .ok()
    })
    .as_ref()
    .ok_or(MountError::NoThread)
}

fn start_mount_thread() -> io::Result<mpsc::SyncSender<Job>> {
    let (jobs, work) = mpsc::sync_channel::<Job>(MAX_JOBS);
    let (ready, is_ready) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("mounts".into())
        .spawn(move || {
            let entered = enter_empty_namespace();
            let failed = entered.is_err();
            if ready.send(entered).is_err() || failed {
                return;
            }
            work.iter().for_each(|job| job());
        })?;
    is_ready.recv().map_err(|_| io::ErrorKind::BrokenPipe)??;
    Ok(jobs)
}

/// Moves the calling thread into a new mount namespace that has nothing but an empty tmpfs.
pub(crate) fn enter_empty_namespace() -> io::Result<()> {
    namespace::unshare(UnshareFlags::NEWNS)?;
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )?;
    let root = new_mount(
        "tmpfs",
        &[("mode", "755"), ("size", "16m")],
        MountAttrFlags::MOUNT_ATTR_NOSUID,
    )?;
    // Any directory will do; this one is everywhere.
    attach(&root, Path::new("/proc"))?;
    chdir("/proc")?;
    // Puts the old root on top of the new one (pivot_root(2), "pivot_root(".", ".")").
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    Ok(chdir("/")?)
}

/// A new mount of a new file system, attached nowhere.
pub(crate) fn new_mount<V: AsRef<Path>>(
    kind: &str,
    options: &[(&str, V)],
    attributes: MountAttrFlags,
) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        fsconfig_set_string(context.as_fd(), *key, value.as_ref())?;
    }
    fsconfig_create(context.as_fd())?;
    Ok(fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes,
    )?)
}

/// A clone of what is mounted at that place, with the mounts below it, attached nowhere.
pub(crate) fn clone_tree(place: &Path) -> io::Result<OwnedFd> {
    clone_with(place, OpenTreeFlags::AT_RECURSIVE)
}

/// A mount of that file or folder alone, attached nowhere.
pub(crate) fn clone_one(place: &Path) -> io::Result<OwnedFd> {
    clone_with(place, OpenTreeFlags::empty())
}

fn clone_with(place: &Path, flags: OpenTreeFlags) -> io::Result<OwnedFd> {
    Ok(open_tree(
        CWD,
        place,
        flags | OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC,
    )?)
}

/// Attaches, or moves, a mount to that place.
pub(crate) fn attach(mount: impl AsFd, place: &Path) -> io::Result<()> {
    Ok(move_mount(
        mount,
        "",
        CWD,
        place,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?)
}
