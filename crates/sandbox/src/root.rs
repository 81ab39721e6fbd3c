//! Roots: what an instance sees as its file system, assembled from images once per version and node, and cloned into
//! each instance in microseconds.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::mount::{MountAttrFlags, MountFlags, mount_remount};

use crate::image::Image;
use crate::mounts::{
    self, MountError, Place, on_mount_thread, on_mount_thread_async, on_mount_thread_later,
};

/// What stands at `/var/task`.
#[derive(Debug, Clone, Copy)]
pub enum Code<'a> {
    /// A published package.
    Image(&'a Image),
    /// A folder of the host, as it changes; read-only, without what is mounted below it.
    Live(&'a Path),
    /// No code, and nothing but a `lib` folder there and, without layers, at `/opt`: for a process that is forked into
    /// others before it knows its code. The C library never looks again into a search folder that it found missing.
    Empty,
}

/// An assembled tree.
#[derive(Debug)]
pub struct Root {
    place: Arc<Place>,
    /// What its layers bring to run beside the program.
    extensions: Vec<CString>,
    /// A clone made ahead of time, so that a start need not wait for the mount thread. Locked to take or put it.
    spare: Arc<Mutex<Option<OwnedFd>>>,
}

impl Root {
    /// Puts a tree together: the runtime at `/`, the code at `/var/task`, the layers, lowest first, merged at `/opt`, and
    /// a copy of the node's `resolv.conf`. All of it is read-only. The runtime has the folders and the file as empty mount
    /// points, as well as `/tmp`, `/proc` and `/dev`. Blocks.
    ///
    /// # Errors
    /// A mount point is missing in the runtime, or a path on the host.
    pub fn assemble(
        runtime: &Image,
        code: Code<'_>,
        layers: &[&Image],
        resolv_conf: &Path,
    ) -> Result<Root, MountError> {
        // What is on the host can only be cloned from here, where it can be seen.
        let code = match code {
            Code::Image(image) => Part::Image(image.path().to_owned()),
            Code::Live(folder) => Part::Host(clone_of_host(folder)?),
            Code::Empty => Part::Libraries,
        };
        let opt = match layers {
            [] if matches!(code, Part::Libraries) => Part::Libraries,
            [] => Part::Nothing,
            [layer] => Part::Image(layer.path().to_owned()),
            // The first of an overlay's layers is its uppermost.
            several => Part::Overlay(
                several
                    .iter()
                    .rev()
                    .map(|layer| layer.path().to_owned())
                    .collect(),
            ),
        };
        let parts = [
            ("var/task", code),
            ("opt", opt),
            ("etc/resolv.conf", Part::File(content_of(resolv_conf)?)),
        ];
        let runtime = runtime.path().to_owned();
        on_mount_thread(move || {
            let place = Place::make()?;
            Part::Image(runtime)
                .attach(place.path())
                .map_err(MountError::step("mount the runtime at /"))?;
            for (target, part) in parts {
                part.attach(&place.path().join(target))
                    .map_err(MountError::step(match target {
                        "opt" => "mount the layers at /opt",
                        "var/task" => "mount the code at /var/task",
                        _ => "mount the name servers at /etc/resolv.conf",
                    }))?;
            }
            let extensions = extensions_in(place.path())
                .map_err(MountError::step("look into /opt/extensions"))?;
            let spare = Arc::new(Mutex::new(Some(clone_of(&place)?)));
            Ok(Root {
                place: Arc::new(place),
                extensions,
                spare,
            })
        })
    }

    /// Paths inside of what stands in `/opt/extensions`, folders aside, in order.
    #[must_use]
    pub fn extensions(&self) -> &[CString] {
        &self.extensions
    }

    /// A clone of the whole tree, attached nowhere.
    pub(crate) async fn clone_tree(&self) -> Result<OwnedFd, MountError> {
        let spare = lock(&self.spare).take();
        let place = Arc::clone(&self.place);
        match spare {
            Some(spare) => {
                let next = Arc::clone(&self.spare);
                on_mount_thread_later(move || *lock(&next) = clone_of(&place).ok())?;
                Ok(spare)
            }
            None => on_mount_thread_async(move || clone_of(&place)).await,
        }
    }
}

/// Where extensions stand.
const EXTENSIONS: &str = "opt/extensions";

/// Names found there that are kept; more than may run, so that it can be told that they are too many.
const MAX_EXTENSIONS: usize = 64;

fn extensions_in(root: &Path) -> io::Result<Vec<CString>> {
    let folder = root.join(EXTENSIONS);
    // A link might lead out of the root.
    if !fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir()) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)?.take(MAX_EXTENSIONS) {
        let entry = entry?;
        // A link is followed when it is executed, inside.
        if !entry.file_type()?.is_dir() {
            let path = Path::new("/").join(EXTENSIONS).join(entry.file_name());
            let path = CString::new(path.into_os_string().into_vec());
            found.push(path.map_err(io::Error::other)?);
        }
    }
    found.sort();
    Ok(found)
}

fn clone_of(place: &Place) -> Result<OwnedFd, MountError> {
    mounts::clone_tree(place.path()).map_err(MountError::step("clone the root"))
}

fn lock(spare: &Mutex<Option<OwnedFd>>) -> MutexGuard<'_, Option<OwnedFd>> {
    spare.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the mount thread keeps its copy of the last file that it mounted, mostly the only one.
const COPY: &str = "/copy";
/// See [`COPY`].
const FRESH_COPY: &str = "/copy.new";

/// A folder of the mount thread's with nothing but an empty `lib`.
const LIBRARIES: &str = "/libraries";

/// What is mounted at one place of a root.
enum Part {
    Nothing,
    /// An empty `lib`.
    Libraries,
    Image(PathBuf),
    Overlay(Vec<PathBuf>),
    Host(OwnedFd),
    File(Vec<u8>),
}

impl Part {
    fn attach(self, target: &Path) -> io::Result<()> {
        match self {
            Part::Nothing => Ok(()),
            Part::Libraries => {
                fs::create_dir_all(format!("{LIBRARIES}/lib"))?;
                attach_read_only(mounts::clone_one(Path::new(LIBRARIES))?, target)
            }
            Part::Image(place) => mounts::attach(mounts::clone_one(&place)?, target),
            Part::Overlay(places) => mounts::attach(overlay(&places)?, target),
            Part::Host(mount) => attach_read_only(mount, target),
            // On the mount thread's own file system: a mount of the host's would tell where on its disk that is.
            Part::File(content) => {
                if fs::read(COPY).ok().as_ref() != Some(&content) {
                    // Another file, for the old one is still mounted elsewhere.
                    fs::write(FRESH_COPY, content)?;
                    fs::set_permissions(FRESH_COPY, fs::Permissions::from_mode(0o444))?;
                    fs::rename(FRESH_COPY, COPY)?;
                }
                attach_read_only(mounts::clone_one(Path::new(COPY))?, target)
            }
        }
    }
}

fn attach_read_only(mount: OwnedFd, target: &Path) -> io::Result<()> {
    mounts::attach(mount, target)?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    Ok(mount_remount(target, MountFlags::BIND | flags, c"")?)
}

fn content_of(path: &Path) -> Result<Vec<u8>, MountError> {
    fs::read(path).map_err(|source| MountError::Open {
        path: path.to_owned(),
        source,
    })
}

fn clone_of_host(path: &Path) -> Result<OwnedFd, MountError> {
    // Follows links.
    let real = path.canonicalize().map_err(|source| MountError::Open {
        path: path.to_owned(),
        source,
    })?;
    mounts::clone_one(&real).map_err(MountError::step("clone a mount of the host"))
}

fn overlay(places: &[PathBuf]) -> io::Result<OwnedFd> {
    let places: Option<Vec<_>> = places.iter().map(|place| place.to_str()).collect();
    let lower = places.ok_or(io::ErrorKind::InvalidInput)?.join(":");
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV;
    mounts::new_mount("overlay", &[("lowerdir", &lower)], attributes)
}
