//! A directory on disk as a tree.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::PublishError;
use crate::erofs::{Entry, Sink, Tree};

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// Where contents come from.
#[derive(Debug)]
pub(super) enum Source {
    File(PathBuf),
    Target(Vec<u8>),
}

/// Everything below `root` that an image can hold. Links are not followed.
pub(super) fn read(root: &Path) -> Result<Tree<Source>, PublishError> {
    let mut tree = Tree::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for item in fs::read_dir(&directory).map_err(|error| failed(&directory, error))? {
            let path = item.map_err(|error| failed(&directory, error))?.path();
            let Some(entry) = entry(&path).map_err(|error| failed(&path, error))? else {
                continue;
            };
            if matches!(entry, Entry::Directory) {
                pending.push(path.clone());
            }
            let name = path
                .strip_prefix(root)
                .expect("it was found below the root");
            let components: Vec<&[u8]> = name.iter().map(OsStrExt::as_bytes).collect();
            // A name is listed twice only if the directory changes meanwhile.
            tree.insert(&components, entry)
                .map_err(|error| failed(&path, io::Error::other(error)))?;
        }
    }
    Ok(tree)
}

/// Hands the contents to the image.
pub(super) fn copy(source: &Source, sink: &mut Sink<'_>) -> Result<(), PublishError> {
    let path = match source {
        Source::Target(target) => return Ok(sink.write(target)?),
        Source::File(path) => path,
    };
    let mut file = File::open(path).map_err(|error| failed(path, error))?;
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(len) => sink.write(&piece[..len])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(path, error)),
        }
    }
}

fn entry(path: &Path) -> io::Result<Option<Entry<Source>>> {
    let metadata = fs::symlink_metadata(path)?;
    let kind = metadata.file_type();
    Ok(if kind.is_dir() {
        Some(Entry::Directory)
    } else if kind.is_file() {
        Some(Entry::File {
            size: metadata.len(),
            executable: metadata.permissions().mode() & 0o111 != 0,
            source: Source::File(path.to_path_buf()),
        })
    } else if kind.is_symlink() {
        let target = fs::read_link(path)?.into_os_string().into_vec();
        Some(Entry::Symlink {
            size: target.len() as u64,
            source: Source::Target(target),
        })
    } else {
        tracing::debug!(path = %path.display(), "special file left out");
        None
    })
}

fn failed(path: &Path, source: io::Error) -> PublishError {
    PublishError::Read {
        path: path.to_path_buf(),
        source,
    }
}
