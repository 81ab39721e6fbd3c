//! From what a user uploads, or a directory on disk, to an image in the store.

mod disk;
mod error;

use std::path::Path;

use pilotlight_model::Digest;
use pilotlight_model::node::CompiledFile;

use crate::erofs::{self, Entry, Sink, Tree};
use crate::store::Store;
use crate::zip::{Archive, Inflater, Packed, ZipLimits};

pub use error::{ContentDefect, LinkDefect, PathDefect, PublishError};

/// An image that is in the store, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Name of the image.
    pub digest: Digest,
    /// Bytes of the image on disk.
    pub image_bytes: u64,
    /// Bytes of all contents as they are read.
    pub unpacked_bytes: u64,
    /// Files, links and directories.
    pub entries: u64,
}

impl Store {
    /// Makes the image of a zip, with `extra` files in place of those of the same path. Blocking: it
    /// takes as long as inflating, and an fsync.
    ///
    /// `limits` are for what the user gave; `extra` is the platform's own and does not count. An extra
    /// file whose path the user's files stand in the way of (a file where it needs a directory, or the
    /// reverse) is left out: byte code saves time, the user's files are the function.
    pub fn publish_zip(
        &self,
        zip: &[u8],
        extra: &[CompiledFile],
        limits: &ZipLimits,
    ) -> Result<Published, PublishError> {
        let archive = Archive::open(zip)?;
        let mut tree = archive.tree(limits)?;
        for file in extra {
            add_compiled(&mut tree, file);
        }
        let mut inflater = Inflater::new();
        self.publish(&tree, |packed, sink| {
            inflater.unpack(packed, |piece| Ok(sink.write(piece)?))
        })
    }

    /// Makes the image of the directory `root`. Links are kept as they are, absolute ones too; hard links
    /// become files that share their data; devices, pipes and sockets are left out. Blocking.
    pub fn publish_tree(&self, root: &Path) -> Result<Published, PublishError> {
        let tree = disk::read(root)?;
        self.publish(&tree, disk::copy)
    }

    fn publish<S>(
        &self,
        tree: &Tree<S>,
        copy: impl FnMut(&S, &mut Sink<'_>) -> Result<(), PublishError>,
    ) -> Result<Published, PublishError> {
        let draft = self.draft()?;
        let summary = erofs::write(draft.file(), tree, copy)?;
        let digest = draft.keep_image()?;
        tracing::debug!(%digest, bytes = summary.image_bytes, entries = tree.len(), "image published");
        Ok(Published {
            digest,
            image_bytes: summary.image_bytes,
            unpacked_bytes: summary.content_bytes,
            entries: tree.len() as u64,
        })
    }
}

fn add_compiled<'z>(tree: &mut Tree<Packed<'z>>, file: &'z CompiledFile) {
    let path: Vec<&[u8]> = file.path.split('/').map(str::as_bytes).collect();
    let entry = Entry::File {
        size: file.bytes.len() as u64,
        executable: false,
        source: Packed::plain(&file.path, &file.bytes),
    };
    if let Err(error) = tree.replace(&path, entry) {
        tracing::debug!(path = file.path, %error, "compiled file left out");
    }
}
