//! Whether a folder has changed since it was looked at last.

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// Folders that are watched for one version; the kernel keeps about a kilobyte for each.
const FOLDERS: usize = 32_768;
/// Bytes of events that are read at once.
const EVENTS: usize = 16 * 1024;
/// All by which contents, names or permissions can have changed.
const CHANGES: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::DONT_FOLLOW);
/// File systems that change without this kernel's knowing (`linux/magic.h`): NFS, CIFS and SMB 2, 9p, FUSE (virtiofs
/// too), Ceph, AFS.
const REMOTE: [u32; 8] = [
    0x6969,
    0xff53_4d42,
    0xfe53_4d42,
    0x0102_1997,
    0x6573_5546,
    0x00c3_6400,
    0x5346_414f,
    0x6b41_4653,
];

/// What is known of a folder.
pub(super) struct Watch {
    /// Device and inode: another folder can take its name.
    identity: (u64, u64),
    /// Absent where nothing tells of changes.
    queue: Option<OwnedFd>,
}

/// Whether the folder has changed, or may have, since the last look; true at the first. Blocks.
///
/// # Errors
/// There is no such folder, or it cannot be read.
pub(super) fn look(watch: &mut Option<Watch>, folder: &Path) -> io::Result<bool> {
    let real = folder.canonicalize()?;
    let meta = fs::metadata(&real)?;
    if !meta.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let identity = (meta.dev(), meta.ino());
    match watch {
        Some(known) if known.identity == identity => {
            let Some(queue) = &known.queue else {
                return Ok(true);
            };
            if !drain(queue)? {
                return Ok(false);
            }
            // There may be new folders in it. What changes meanwhile is in the queue for the next look.
            if !watch_all(queue, &real, identity.0)? {
                known.queue = None;
            }
        }
        _ => {
            *watch = Some(Watch {
                identity,
                queue: begin(&real, identity.0)?,
            });
        }
    }
    Ok(true)
}

/// A queue of the changes in a folder from now on, if one can be had.
fn begin(real: &Path, device: u64) -> io::Result<Option<OwnedFd>> {
    let kind = rustix::fs::statfs(real)?.f_type as u32;
    if REMOTE.contains(&kind) {
        tracing::info!(folder = %real.display(), "a file system that tells of no changes: every request of its function starts anew");
        return Ok(None);
    }
    let queue = match inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC) {
        Ok(queue) => queue,
        Err(error) => {
            tracing::warn!(folder = %real.display(), %error, "no changes can be watched: every request of its function starts anew");
            return Ok(None);
        }
    };
    Ok(watch_all(&queue, real, device)?.then_some(queue))
}

/// Watches the folder and all below it, on the same file system: what is mounted in it is not seen by
/// instances. False where there are more than can be watched.
fn watch_all(queue: &OwnedFd, real: &Path, device: u64) -> io::Result<bool> {
    let mut folders: Vec<PathBuf> = vec![real.to_owned()];
    let mut watched = 0;
    while let Some(folder) = folders.pop() {
        watched += 1;
        match inotify::add_watch(queue, &folder, CHANGES) {
            Ok(_) => {}
            // Gone meanwhile, which its parent's watch tells.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if folder != real => continue,
            Err(Errno::NOSPC) => watched = FOLDERS + 1,
            Err(error) => return Err(error.into()),
        }
        if watched > FOLDERS {
            tracing::warn!(folder = %real.display(), "too many folders to watch: every request of its function starts anew");
            return Ok(false);
        }
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            // Of a link that is the link.
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() && meta.dev() == device {
                folders.push(entry.path());
            }
        }
    }
    Ok(true)
}

/// Takes all events out of the queue; whether there were any.
fn drain(queue: &OwnedFd) -> io::Result<bool> {
    let mut buffer = [MaybeUninit::uninit(); EVENTS];
    let mut reader = Reader::new(queue, &mut buffer);
    let mut any = false;
    loop {
        match reader.next() {
            Ok(_) => any = true,
            Err(Errno::AGAIN) => return Ok(any),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each of those changes is seen at once, and only once.
    fn seen(folder: &Path, changes: &[fn(&Path)]) {
        let mut watch = None;
        assert!(look(&mut watch, folder).unwrap(), "the first look");
        assert!(!look(&mut watch, folder).unwrap());
        for (number, change) in changes.iter().enumerate() {
            change(folder);
            assert!(look(&mut watch, folder).unwrap(), "change {number}");
            assert!(!look(&mut watch, folder).unwrap(), "after change {number}");
        }
    }

    #[test]
    fn every_change_is_seen_when_it_returns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir_all(path.join("a/b")).unwrap();
        fs::write(path.join("a/b/f"), "1").unwrap();
        seen(
            path,
            &[
                |it| fs::write(it.join("a/b/f"), "2").unwrap(),
                // As editors save.
                |it| {
                    fs::write(it.join("a/b/.f.new"), "3").unwrap();
                    fs::rename(it.join("a/b/.f.new"), it.join("a/b/f")).unwrap();
                },
                |it| fs::create_dir_all(it.join("new/deep")).unwrap(),
                |it| fs::write(it.join("new/deep/f"), "4").unwrap(),
                |it| fs::rename(it.join("new"), it.join("a/moved")).unwrap(),
                |it| fs::write(it.join("a/moved/deep/f"), "5").unwrap(),
                |it| {
                    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                    fs::set_permissions(it.join("a/b/f"), executable).unwrap();
                },
                |it| fs::remove_dir_all(it.join("a")).unwrap(),
            ],
        );
    }

    #[test]
    fn another_folder_of_the_same_name_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("code"), folder.path().join("other"));
        fs::create_dir(&path).unwrap();
        fs::create_dir(&other).unwrap();
        let mut watch = None;
        assert!(look(&mut watch, &path).unwrap());
        fs::remove_dir(&path).unwrap();
        let error = look(&mut watch, &path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        fs::rename(&other, &path).unwrap();
        assert!(look(&mut watch, &path).unwrap());
        assert!(!look(&mut watch, &path).unwrap());
        fs::write(path.join("f"), "1").unwrap();
        assert!(look(&mut watch, &path).unwrap());
        // A link to a folder may point elsewhere.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut watch = None;
        assert!(look(&mut watch, &link).unwrap());
        fs::create_dir(&other).unwrap();
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        assert!(look(&mut watch, &link).unwrap());
        assert!(!look(&mut watch, &link).unwrap());
    }

    #[test]
    fn what_cannot_be_watched_may_always_have_changed() {
        let folder = tempfile::tempdir().unwrap();
        let meta = fs::metadata(folder.path()).unwrap();
        let mut watch = Some(Watch {
            identity: (meta.dev(), meta.ino()),
            queue: None,
        });
        for _ in 0..3 {
            assert!(look(&mut watch, folder.path()).unwrap());
        }
    }
}
