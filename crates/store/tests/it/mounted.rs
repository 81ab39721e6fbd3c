//! Reads an image back through the kernel.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

/// What a tree holds, by path below its root.
pub(crate) type Contents = BTreeMap<Vec<u8>, Item>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Directory,
    File { executable: bool, bytes: Vec<u8> },
    Symlink(Vec<u8>),
}

pub(crate) fn file(bytes: impl Into<Vec<u8>>) -> Item {
    Item::File {
        executable: false,
        bytes: bytes.into(),
    }
}

/// A detached mount: it is in no namespace, and gone with the last descriptor.
pub(crate) struct Mounted {
    descriptor: OwnedFd,
}

impl Mounted {
    pub(crate) fn new(image: &Path) -> Self {
        Self::open(image).expect("root, a kernel with EROFS, and an image that it takes")
    }

    pub(crate) fn open(image: &Path) -> rustix::io::Result<Self> {
        let context = fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&context, "source", image)?;
        fsconfig_set_flag(&context, "ro")?;
        fsconfig_create(&context)?;
        let descriptor = fsmount(
            &context,
            FsMountFlags::FSMOUNT_CLOEXEC,
            MountAttrFlags::empty(),
        )?;
        Ok(Self { descriptor })
    }

    pub(crate) fn root(&self) -> PathBuf {
        format!("/proc/self/fd/{}/", self.descriptor.as_raw_fd()).into()
    }

    /// Everything in the image. Each name is found twice, by listing and by lookup.
    pub(crate) fn contents(&self) -> Contents {
        let mut contents = Contents::new();
        read(&self.root(), b"", &mut contents);
        contents
    }
}

fn read(directory: &Path, prefix: &[u8], contents: &mut Contents) {
    let mut directories = 0;
    for item in fs::read_dir(directory).unwrap() {
        let path = item.unwrap().path();
        let mut name = prefix.to_vec();
        name.extend(path.file_name().unwrap().as_bytes());
        let metadata = fs::symlink_metadata(&path).expect("a listed name is found");
        assert_eq!((metadata.uid(), metadata.gid()), (0, 0));
        assert_eq!(metadata.mtime(), pilotlight_store::erofs::MTIME as i64);
        assert_eq!(metadata.mtime_nsec(), 0);
        assert_ne!(metadata.ino(), 0, "number 0 means deleted");
        let item = match metadata.mode() {
            0o040_755 => {
                directories += 1;
                read(&path, &[&name[..], b"/"].concat(), contents);
                Item::Directory
            }
            0o120_777 => {
                let target = fs::read_link(&path)
                    .unwrap()
                    .as_os_str()
                    .as_bytes()
                    .to_vec();
                assert_eq!(metadata.len(), target.len() as u64);
                Item::Symlink(target)
            }
            mode @ (0o100_644 | 0o100_755) => {
                let bytes = fs::read(&path).unwrap();
                assert_eq!((metadata.len(), metadata.nlink()), (bytes.len() as u64, 1));
                Item::File {
                    executable: mode == 0o100_755,
                    bytes,
                }
            }
            mode => panic!("mode {mode:o} is not one that an image has"),
        };
        assert!(
            contents.insert(name, item).is_none(),
            "a name is listed once"
        );
    }
    assert_eq!(fs::metadata(directory).unwrap().nlink(), directories + 2);
    let missing = fs::symlink_metadata(directory.join("-not there")).unwrap_err();
    assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
}
