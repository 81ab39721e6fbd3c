//! Code packages: from an uploaded zip to images in the store, and back out to clients. The one place
//! that talks to the store.

use std::collections::HashSet;
use std::error::Error;
use std::io::{self, ErrorKind as ErrorIs};
use std::iter::successors;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use pilotlight_model::error::Causes;
use pilotlight_model::limits::CODE_ZIP_BYTES;
use pilotlight_model::node::CompiledFile;
use pilotlight_model::{Digest, ErrorKind, LambdaError};
use pilotlight_store::{PublishError, Store, ZipLimits};
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedRwLockReadGuard, RwLock, Semaphore};

/// The store with the rules of use that keep it whole: publishing takes memory, so only a few do it at
/// once; what is published is kept alive by a catalog row, so nothing is collected in between.
pub(crate) struct Packages {
    store: Arc<Store>,
    publishing: Semaphore,
    /// Held for reading from before a publish until its row is committed, for writing while collecting.
    unlisted: Arc<RwLock<()>>,
}

/// A package that was accepted: its zip and its image are in the store.
#[derive(Debug)]
pub(crate) struct Package {
    /// The zip, a blob of the store.
    pub(crate) zip: Digest,
    /// Its image.
    pub(crate) image: Digest,
    /// SHA-256 of the zip in base64.
    pub(crate) sha256: String,
    /// Bytes of the zip.
    pub(crate) size: u64,
    /// Bytes of what is in it.
    pub(crate) unpacked_bytes: u64,
}

/// Keeps what was published from being collected before a row names it.
pub(crate) type Unlisted = OwnedRwLockReadGuard<()>;

impl Packages {
    pub(crate) fn new(store: Arc<Store>, publishes: usize) -> Self {
        Self {
            store,
            publishing: Semaphore::new(publishes.max(1)),
            unlisted: Arc::default(),
        }
    }

    /// Call before [`Packages::accept`] or [`Packages::publish`], and hold until the row is committed.
    pub(crate) async fn hold(&self) -> Unlisted {
        Arc::clone(&self.unlisted).read_owned().await
    }

    /// Validates an uploaded zip and makes its image.
    pub(crate) async fn accept(
        &self,
        zip: Bytes,
        _held: &Unlisted,
    ) -> Result<Package, LambdaError> {
        let size = zip.len() as u64;
        if size > CODE_ZIP_BYTES {
            return Err(LambdaError::new(
                ErrorKind::RequestEntityTooLarge,
                format!("Zipped size must be smaller than {CODE_ZIP_BYTES} bytes"),
            ));
        }
        let store = Arc::clone(&self.store);
        self.blocking(move || {
            let published = store
                .publish_zip(&zip, &[], &ZipLimits::default())
                .map_err(refused)?;
            let kept = store.put_blob(&zip).map_err(failed)?;
            Ok(Package {
                zip: kept,
                image: published.digest,
                sha256: BASE64_STANDARD.encode(Sha256::digest(&zip)),
                size,
                unpacked_bytes: published.unpacked_bytes,
            })
        })
        .await
    }

    /// Makes the image of a kept zip with compiled files added.
    pub(crate) async fn publish(
        &self,
        zip: &Digest,
        compiled: Vec<CompiledFile>,
        _held: &Unlisted,
    ) -> Result<Digest, LambdaError> {
        let (store, path) = (Arc::clone(&self.store), self.store.blob_path(zip));
        self.blocking(move || {
            let zip = std::fs::read(path).map_err(failed)?;
            let published = store
                .publish_zip(&zip, &compiled, &ZipLimits::default())
                .map_err(refused)?;
            Ok(published.digest)
        })
        .await
    }

    /// Whether an image is there.
    pub(crate) fn contains(&self, image: &Digest) -> bool {
        self.store.contains(image)
    }

    /// A kept zip.
    pub(crate) async fn zip(&self, zip: &Digest) -> std::io::Result<Bytes> {
        tokio::fs::read(self.store.blob_path(zip))
            .await
            .map(Bytes::from)
    }

    /// Removes what `live` does not name. Waits until no publish is without its row, and keeps new ones
    /// waiting until `live` has been read and the rest removed.
    pub(crate) async fn collect<F, E>(&self, live: F) -> Result<(), E>
    where
        F: AsyncFnOnce() -> Result<HashSet<Digest>, E>,
    {
        let _alone = self.unlisted.write().await;
        let live = live().await?;
        let store = Arc::clone(&self.store);
        let removed = tokio::task::spawn_blocking(move || store.remove_unreferenced(&live)).await;
        match removed {
            Ok(Ok(removed)) => tracing::debug!(?removed, "store collected"),
            Ok(Err(error)) => {
                tracing::warn!(error = %Causes(&error), "store not collected");
            }
            Err(error) => tracing::error!(%error, "collecting the store panicked"),
        }
        Ok(())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, LambdaError> + Send + 'static,
    ) -> Result<T, LambdaError> {
        let _turn = self.publishing.acquire().await.map_err(failed)?;
        tokio::task::spawn_blocking(work).await.map_err(failed)?
    }
}

/// A package that the store refuses, or a fault of the store.
fn refused(error: PublishError) -> LambdaError {
    match error.user_message() {
        Some(message) => LambdaError::new(ErrorKind::InvalidParameterValue, message),
        None => failed(error),
    }
}

fn failed(error: impl Error + 'static) -> LambdaError {
    tracing::error!(error = %Causes(&error), "store failed");
    let mut causes = successors(Some(&error as &(dyn Error + 'static)), |error| {
        (*error).source()
    });
    let full = causes.any(|cause| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(kind, Some(ErrorIs::StorageFull | ErrorIs::QuotaExceeded))
    });
    let message = if full {
        "The store has no space left."
    } else {
        "The store failed."
    };
    LambdaError::new(ErrorKind::Service, message)
}
