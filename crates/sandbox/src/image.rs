//! Images: EROFS file systems in one file, mounted once per node.

mod read_ahead;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Once;

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

use crate::mounts::{MountError, Place, attach, on_mount_thread};
use crate::sys::loop_device;

/// A mounted image. Roots are assembled from clones of its mount, which live on when the image is dropped.
#[derive(Debug)]
pub struct Image {
    place: Place,
    read_ahead: Once,
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

        on_mount_thread(move || {
            let place = Place::make()?;
            attach(&mount, place.path()).map_err(MountError::step("attach the image"))?;
            Ok(Image {
                place,
                read_ahead: Once::new(),
            })
        })
    }

    /// Reads the image's programs into the page cache, in one go and once: then what maps them costs a fork the
    /// least (see `read_ahead`). Of use only before anything runs from the image. What cannot be read is logged.
    /// Blocks.
    pub fn read_ahead(&self) {
        self.read_ahead.call_once(|| {
            let path = self.place.path().to_owned();
            let opened = on_mount_thread(move || {
                File::open(path).map_err(MountError::step("open the image's root"))
            });
            match opened.map(|root| read_ahead::read_ahead(&root.into())) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "an image is not read ahead"),
                Err(error) => tracing::warn!(%error, "an image is not read ahead"),
            }
        });
    }

    pub(crate) fn path(&self) -> &Path {
        self.place.path()
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rustix::fs::fstatfs;

    use super::*;

    const EROFS_MAGIC: i64 = 0xE0F5_E1E2;

    #[test]
    fn an_image_mounts_from_its_file_and_through_a_loop_device() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(include_bytes!("probe/probe.erofs")).unwrap();
        for mount in [mount_file(&file), mount_loop(&file)] {
            assert_eq!(fstatfs(mount.unwrap()).unwrap().f_type, EROFS_MAGIC);
        }
    }

    #[test]
    fn garbage_is_no_image() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[7; 8192]).unwrap();
        assert!(matches!(
            Image::mount(file.path()),
            Err(MountError::Step { .. })
        ));
    }
}
