//! The root file systems of this node: an image is mounted once, a root is assembled once, and both are
//! shared by everything that has the same contents. Assembling happens when a version is prepared; the
//! start path finds the root in the cache.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use pilotlight_model::function::VersionKey;
use pilotlight_model::ids::Digest;

use crate::launcher::{CodeKey, LaunchError, RootKey};

/// Roots kept assembled. Each holds a handful of mounts; a root that fell out is assembled again by the
/// start that needs it, in about a millisecond.
const KEPT_ROOTS: usize = 1024;

/// Mounts images and assembles roots.
pub(crate) trait Mounter: Send + Sync + 'static {
    /// A mounted image.
    type Image: Send + Sync + 'static;
    /// An assembled root.
    type Root: Send + Sync + 'static;

    /// Mounts an image of the store. Blocks.
    fn mount(&self, digest: &Digest) -> Result<Self::Image, LaunchError>;

    /// Reads an image's programs into the page cache, once. Blocks.
    fn read_ahead(&self, image: &Self::Image);

    /// Puts a root together. Blocks.
    fn assemble(
        &self,
        runtime: &Self::Image,
        code: Code<'_, Self::Image>,
        layers: &[&Self::Image],
    ) -> Result<Self::Root, LaunchError>;
}

/// What stands at `/var/task`.
pub(crate) enum Code<'a, I> {
    Image(&'a I),
    Live(&'a Path),
    Empty,
}

/// An assembled root, with the images that it came from: as long as it is kept, another root of the
/// same images shares their mounts.
pub(crate) struct Rooted<M: Mounter> {
    pub(crate) root: M::Root,
    images: Vec<Arc<M::Image>>,
}

/// The cache of a node.
pub(crate) struct Roots<M: Mounter> {
    mounter: M,
    kept: usize,
    /// Held for look-ups only; mounting happens under the lock of the one entry that it makes, so that
    /// nobody waits for another version's disk.
    cache: Mutex<Cache<M>>,
}

struct Cache<M: Mounter> {
    images: HashMap<Digest, Arc<Mutex<Weak<M::Image>>>>,
    roots: HashMap<RootKey, Entry<M>>,
    owners: HashMap<VersionKey, RootKey>,
    uses: u64,
}

struct Entry<M: Mounter> {
    cell: RootCell<M>,
    last_use: u64,
    /// Versions that use it.
    owners: u32,
}

type RootCell<M> = Arc<Mutex<Option<Arc<Rooted<M>>>>>;

impl<M: Mounter> Roots<M> {
    pub(crate) fn new(mounter: M) -> Self {
        Self::keeping(mounter, KEPT_ROOTS)
    }

    fn keeping(mounter: M, kept: usize) -> Self {
        Self {
            mounter,
            kept,
            cache: Mutex::default(),
        }
    }

    /// The root if it is there. Does not block.
    pub(crate) fn find(&self, key: &RootKey) -> Option<Arc<Rooted<M>>> {
        let mut cache = self.cache.lock();
        cache.uses += 1;
        let now = cache.uses;
        let entry = cache.roots.get_mut(key)?;
        entry.last_use = now;
        entry.cell.try_lock()?.clone()
    }

    /// A root of its own, which is not kept. Blocks.
    pub(crate) fn once(&self, key: &RootKey) -> Result<Arc<Rooted<M>>, LaunchError> {
        self.assemble(key).map(Arc::new)
    }

    /// The root, assembled now if need be. Blocks.
    pub(crate) fn get(&self, key: &RootKey) -> Result<Arc<Rooted<M>>, LaunchError> {
        if let CodeKey::Live(_) = key.code {
            // The folder may be replaced by another of the same name: bound afresh for each start.
            return self.once(key);
        }
        let cell = self.cell(key);
        let mut root = cell.lock();
        if let Some(root) = &*root {
            return Ok(Arc::clone(root));
        }
        let assembled = Arc::new(self.assemble(key)?);
        *root = Some(Arc::clone(&assembled));
        Ok(assembled)
    }

    /// Reads what programs the root has, before anything runs from it. Blocks.
    pub(crate) fn read_ahead(&self, rooted: &Rooted<M>) {
        for image in &rooted.images {
            self.mounter.read_ahead(image);
        }
    }

    /// From now on the version uses this root (and no other).
    pub(crate) fn own(&self, owner: VersionKey, key: RootKey) {
        let mut cache = self.cache.lock();
        if cache.owners.get(&owner) == Some(&key) {
            return;
        }
        let before = match cache.roots.get_mut(&key) {
            Some(entry) => {
                entry.owners += 1;
                cache.owners.insert(owner, key)
            }
            // A live folder is not kept, nor what the version used before.
            None => cache.owners.remove(&owner),
        };
        if let Some(before) = before {
            cache.disown(&before);
        }
    }

    /// The version uses no root any more.
    pub(crate) fn forget(&self, owner: &VersionKey) {
        let mut cache = self.cache.lock();
        if let Some(key) = cache.owners.remove(owner) {
            cache.disown(&key);
        }
    }

    fn cell(&self, key: &RootKey) -> RootCell<M> {
        let mut cache = self.cache.lock();
        cache.uses += 1;
        let now = cache.uses;
        if !cache.roots.contains_key(key) {
            cache.make_room(self.kept);
        }
        let entry = cache.roots.entry(key.clone()).or_insert_with(|| Entry {
            cell: RootCell::<M>::default(),
            last_use: now,
            owners: 0,
        });
        entry.last_use = now;
        Arc::clone(&entry.cell)
    }

    fn assemble(&self, key: &RootKey) -> Result<Rooted<M>, LaunchError> {
        let runtime = self.image(&key.runtime)?;
        let layers = key
            .layers
            .iter()
            .map(|layer| self.image(layer))
            .collect::<Result<Vec<_>, _>>()?;
        let layer_refs: Vec<&M::Image> = layers.iter().map(Arc::as_ref).collect();
        let mut images = Vec::with_capacity(layers.len() + 2);
        let root = match &key.code {
            CodeKey::Image(digest) => {
                let code = self.image(digest)?;
                let root = self
                    .mounter
                    .assemble(&runtime, Code::Image(&code), &layer_refs)?;
                images.push(code);
                root
            }
            CodeKey::Live(folder) => {
                self.mounter
                    .assemble(&runtime, Code::Live(folder), &layer_refs)?
            }
            CodeKey::Empty => self.mounter.assemble(&runtime, Code::Empty, &layer_refs)?,
        };
        images.push(runtime);
        images.extend(layers);
        Ok(Rooted { root, images })
    }

    fn image(&self, digest: &Digest) -> Result<Arc<M::Image>, LaunchError> {
        let cell = Arc::clone(self.cache.lock().images.entry(digest.clone()).or_default());
        let mut image = cell.lock();
        if let Some(mounted) = image.upgrade() {
            return Ok(mounted);
        }
        let mounted = Arc::new(self.mounter.mount(digest)?);
        *image = Arc::downgrade(&mounted);
        Ok(mounted)
    }
}

impl<M: Mounter> Cache<M> {
    fn disown(&mut self, key: &RootKey) {
        let Some(entry) = self.roots.get_mut(key) else {
            return;
        };
        entry.owners -= 1;
        if entry.owners == 0 {
            self.roots.remove(key);
            self.forget_images();
        }
    }

    /// Lets the roots used longest ago fall out until there is room for one more. Instances that run
    /// from one keep what they have.
    fn make_room(&mut self, kept: usize) {
        while self.roots.len() >= kept.max(1) {
            let oldest = self.roots.iter().min_by_key(|(_, entry)| entry.last_use);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            self.roots.remove(&key);
            self.owners.retain(|_, owned| *owned != key);
            self.forget_images();
        }
    }

    fn forget_images(&mut self) {
        // One that is being mounted is locked, and used.
        self.images.retain(|_, image| {
            Arc::strong_count(image) > 1
                || image
                    .try_lock()
                    .is_none_or(|image| image.strong_count() > 0)
        });
    }
}

impl<M: Mounter> Default for Cache<M> {
    fn default() -> Self {
        Self {
            images: HashMap::new(),
            roots: HashMap::new(),
            owners: HashMap::new(),
            uses: 0,
        }
    }
}

#[cfg(test)]
mod tests;
