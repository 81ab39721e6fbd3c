//! Files named by what is in them.
//!
//! ```text
//! <dir>/images/<digest>.erofs   images, made by us
//! <dir>/blobs/<digest>          anything else: uploaded zips
//! <dir>/tmp/…                   what is not finished; emptied by `open`
//! ```
//!
//! A file gets its name when it is complete and on disk (write, fsync, rename, fsync of the directory),
//! so a name never leads to half a file, whatever is killed or loses power. Names follow from contents,
//! so concurrent publishes of the same thing do no harm: the last rename wins, over an equal file.

mod draft;
mod error;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use pilotlight_model::Digest;

pub(crate) use draft::Draft;
pub use error::StoreError;

use crate::erofs::has_whole_length;

const IMAGE_SUFFIX: &str = ".erofs";

/// A directory of images and blobs. One process has it open at a time; within it, all of this may be
/// called from many threads.
#[derive(Debug)]
pub struct Store {
    images: PathBuf,
    blobs: PathBuf,
    tmp: PathBuf,
}

/// What [`Store::remove_unreferenced`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Images and blobs.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
}

impl Store {
    /// Opens the store in `dir`, which is made if it is not there, and removes what an earlier process
    /// left unfinished.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let store = Self {
            images: dir.join("images"),
            blobs: dir.join("blobs"),
            tmp: dir.join("tmp"),
        };
        for part in [&store.images, &store.blobs, &store.tmp] {
            fs::create_dir_all(part).map_err(StoreError::at(part))?;
        }
        for item in fs::read_dir(&store.tmp).map_err(StoreError::at(&store.tmp))? {
            let path = item.map_err(StoreError::at(&store.tmp))?.path();
            tracing::info!(path = %path.display(), "unfinished file removed");
            fs::remove_file(&path).map_err(StoreError::at(&path))?;
        }
        sync_directory(dir)?;
        Ok(store)
    }

    /// Where the image of that digest is, or would be.
    pub fn image_path(&self, digest: &Digest) -> PathBuf {
        self.images.join(format!("{digest}{IMAGE_SUFFIX}"))
    }

    /// Whether the image is there, and neither cut off nor overwritten by a file system that lost track of it.
    pub fn contains(&self, digest: &Digest) -> bool {
        File::open(self.image_path(digest)).is_ok_and(|it| has_whole_length(&it).unwrap_or(false))
    }

    /// Where the blob of that digest is, or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.as_str())
    }

    /// Keeps `bytes`. When this returns they are on disk. Blocking.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let draft = self.draft()?;
        draft.write(bytes)?;
        draft.keep_blob()
    }

    /// Removes every image and blob that `live` does not name. A file that is published while this runs
    /// may go too, so the caller keeps publishes out until what they return is in `live`. An image that
    /// is mounted stays readable until it is unmounted.
    pub fn remove_unreferenced(&self, live: &HashSet<Digest>) -> Result<Removed, StoreError> {
        let mut removed = Removed::default();
        remove_from(&self.images, IMAGE_SUFFIX, live, &mut removed)?;
        remove_from(&self.blobs, "", live, &mut removed)?;
        Ok(removed)
    }

    pub(crate) fn draft(&self) -> Result<Draft<'_>, StoreError> {
        Draft::new(self)
    }
}

fn remove_from(
    directory: &Path,
    suffix: &str,
    live: &HashSet<Digest>,
    removed: &mut Removed,
) -> Result<(), StoreError> {
    for item in fs::read_dir(directory).map_err(StoreError::at(directory))? {
        let item = item.map_err(StoreError::at(directory))?;
        let name = item.file_name();
        let digest = name
            .to_str()
            .and_then(|name| name.strip_suffix(suffix)?.parse().ok());
        // A file that is not ours is not ours to remove.
        if digest.is_none_or(|digest: Digest| live.contains(&digest)) {
            continue;
        }
        let path = item.path();
        let bytes = item.metadata().map_err(StoreError::at(&path))?.len();
        fs::remove_file(&path).map_err(StoreError::at(&path))?;
        removed.files += 1;
        removed.bytes += bytes;
    }
    Ok(())
}

/// Makes the names in a directory survive a power loss.
fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    let sync = || -> io::Result<()> { File::open(directory)?.sync_all() };
    sync().map_err(StoreError::at(directory))
}
