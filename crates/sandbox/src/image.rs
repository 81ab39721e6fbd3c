//! Images: EROFS file systems in one file, mounted once per node.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

use crate::mounts::{self, MountError, on_mount_thread};
use crate::sys::loop_device;

/// A mounted image. Roots are assembled from clones of its mount, which live on when the image is dropped.
#[derive(Debug)]
pub struct Image {
    /// Where the mount thread has it.
    place: String,
}

impl Image {
    /// Mounts the image in that file, read-only and without devices and setuid programs: straight from the file where
    /// the kernel can (6.12 and later), else through a loop device. Blocks.
    ///
    /// # Errors
    /// The file cannot be opened, or is no EROFS file system that this kernel reads.
    pub fn mount(path: &Path) -> Result<Image, MountError> {
        let file = File::open(path).map_err(|source| MountError::Open {
            path: path.to_owned(),
            source,
        })?;
        let mount = match mount_file(&file) {
            Err(error) if error.raw_os_error() == Some(libc::ENOTBLK) => mount_loop(&file),
            result => result,
        }
        .map_err(MountError::step("mount the image"))?;

        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Short, for the kernel takes at most 255 bytes of them all as the layers of an overlay.
        let place = format!("/i/{:x}", NEXT.fetch_add(1, Ordering::Relaxed));
        on_mount_thread(move || {
            std::fs::create_dir(&place)
                .and_then(|()| mounts::attach(&mount, Path::new(&place)))
                .map_err(MountError::step("attach the image"))?;
            Ok(Image { place })
        })
    }

    pub(crate) fn place(&self) -> &Path {
        Path::new(&self.place)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        mounts::unmount_later(std::mem::take(&mut self.place));
    }
}

fn mount_file(file: &File) -> io::Result<OwnedFd> {
    // By descriptor, for an option's value has at most 255 bytes and a path may have more.
    mount_source(&PathBuf::from(format!(
        "/proc/thread-self/fd/{}",
        file.as_raw_fd()
    )))
}

fn mount_loop(file: &File) -> io::Result<OwnedFd> {
    let (_device, path) = loop_device::over(file.as_fd())?;
    mount_source(&path)
}

fn mount_source(source: &Path) -> io::Result<OwnedFd> {
    let source = source.to_str().ok_or(io::ErrorKind::InvalidInput)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV;
    let context = fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    // Without it the kernel asks the loop device for a writable one.
    fsconfig_set_flag(context.as_fd(), "ro")?;
    fsconfig_set_string(context.as_fd(), "source", source)?;
    fsconfig_create(context.as_fd())?;
    Ok(fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes,
    )?)
}
