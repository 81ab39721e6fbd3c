//! Roots of this machine's sandboxes, mounted from the store's images.

use std::path::PathBuf;
use std::sync::Arc;

use pilotlight_model::function::VersionKey;
use pilotlight_model::ids::Digest;
use pilotlight_sandbox as sandbox;
use pilotlight_store::Store;

use super::{Company, Furnishing, LaunchError, RootKey};
use crate::roots::{Code, Mounter, Rooted, Roots};

/// Mounts the store's images.
pub(crate) struct Erofs {
    pub(super) store: Arc<Store>,
    pub(super) resolv_conf: PathBuf,
}

impl Mounter for Erofs {
    type Image = sandbox::Image;
    type Root = sandbox::Root;

    fn mount(&self, digest: &Digest) -> Result<sandbox::Image, LaunchError> {
        sandbox::Image::mount(&self.store.image_path(digest))
            .map_err(|error| LaunchError::platform("cannot mount an image", error))
    }

    fn read_ahead(&self, image: &sandbox::Image) {
        image.read_ahead();
    }

    fn assemble(
        &self,
        runtime: &sandbox::Image,
        code: Code<'_, sandbox::Image>,
        layers: &[&sandbox::Image],
    ) -> Result<sandbox::Root, LaunchError> {
        let code = match code {
            Code::Image(image) => sandbox::Code::Image(image),
            Code::Live(folder) => sandbox::Code::Live(folder),
            Code::Empty => sandbox::Code::Empty,
        };
        sandbox::Root::assemble(runtime, code, layers, &self.resolv_conf)
            .map_err(|error| LaunchError::platform("cannot assemble the root", error))
    }
}

/// A root that is mounted for as long as it is used.
pub(super) type KeptRoot = Arc<Rooted<Erofs>>;

/// The root of that key, kept for its owner if it has one.
pub(super) async fn rooted(
    roots: &Arc<Roots<Erofs>>,
    owner: Option<VersionKey>,
    key: RootKey,
) -> Result<KeptRoot, LaunchError> {
    match (roots.find(&key), owner) {
        (Some(rooted), _) => Ok(rooted),
        (None, Some(owner)) => keep(roots, owner, key).await,
        // Nobody waits for what has no owner: it is a zygote, or compiles something.
        (None, None) => {
            let roots = Arc::clone(roots);
            blocking(move || {
                let rooted = roots.once(&key)?;
                roots.read_ahead(&rooted);
                Ok(rooted)
            })
            .await
        }
    }
}

/// The root in which that company runs; none where it has no program to run.
pub(super) async fn rooted_beside(
    roots: &Arc<Roots<Erofs>>,
    company: &Company,
) -> Result<Option<KeptRoot>, LaunchError> {
    let Furnishing { owner, root, .. } = &company.furnishing;
    let rooted = rooted(roots, Some(owner.clone()), root.clone()).await?;
    Ok((!rooted.root.extensions().is_empty()).then_some(rooted))
}

/// The version's root, assembled if need be, and kept for as long as the version is.
pub(super) async fn keep(
    roots: &Arc<Roots<Erofs>>,
    owner: VersionKey,
    key: RootKey,
) -> Result<KeptRoot, LaunchError> {
    let roots = Arc::clone(roots);
    blocking(move || {
        let rooted = roots.get(&key)?;
        roots.own(owner, key);
        Ok(rooted)
    })
    .await
}

/// Mounts, which blocks, on a thread that may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LaunchError> + Send + 'static,
) -> Result<T, LaunchError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| LaunchError::platform("mounting was cut off", error))?
}
