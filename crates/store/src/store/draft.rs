//! A file on its way into the store.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use pilotlight_model::Digest;
use tempfile::NamedTempFile;

use super::{Store, StoreError, sync_directory};

/// A file that has no name yet. Dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Draft<'s> {
    store: &'s Store,
    file: NamedTempFile,
}

impl<'s> Draft<'s> {
    pub(super) fn new(store: &'s Store) -> Result<Self, StoreError> {
        let file = NamedTempFile::new_in(&store.tmp).map_err(StoreError::at(&store.tmp))?;
        Ok(Self { store, file })
    }

    /// The file itself, to be written.
    pub(crate) fn file(&self) -> &File {
        self.file.as_file()
    }

    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file()
            .write_all(bytes)
            .map_err(StoreError::at(self.file.path()))
    }

    /// Makes it an image.
    pub(crate) fn keep_image(self) -> Result<Digest, StoreError> {
        let (digest, store) = (self.digest()?, self.store);
        self.name(&store.images, &store.image_path(&digest), &digest)?;
        Ok(digest)
    }

    /// Makes it a blob.
    pub(super) fn keep_blob(self) -> Result<Digest, StoreError> {
        let (digest, store) = (self.digest()?, self.store);
        self.name(&store.blobs, &store.blob_path(&digest), &digest)?;
        Ok(digest)
    }

    /// The digest of what was written.
    fn digest(&self) -> Result<Digest, StoreError> {
        let begin = self.file().seek(SeekFrom::Start(0));
        begin
            .and_then(|_| digest_of(self.file()))
            .map_err(StoreError::at(self.file.path()))
    }

    /// Gives it its name, unless an equal file has it. One that is not equal was damaged since, and is replaced.
    /// Either way the name is on disk afterwards, also if another thread has just given it.
    fn name(self, directory: &Path, path: &Path, digest: &Digest) -> Result<(), StoreError> {
        let equal = File::open(path).and_then(|there| digest_of(&there));
        if !equal.is_ok_and(|there| there == *digest) {
            self.file()
                .sync_all()
                .map_err(StoreError::at(self.file.path()))?;
            self.file
                .persist(path)
                .map_err(|failed| StoreError::at(path)(failed.error))?;
        }
        sync_directory(directory)
    }
}

/// The digest of what the file holds from where it stands.
fn digest_of(file: &File) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file)?;
    Ok(hasher
        .finalize()
        .to_hex()
        .parse()
        .expect("a hash in hexadecimal is a digest"))
}
