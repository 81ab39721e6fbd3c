//! Why the store failed.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store failed. Nothing was stored under any name.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or its quota is full; room has to be made.
    #[error("no space left for the store")]
    NoSpace {
        /// What the kernel said.
        source: io::Error,
    },
    /// The disk, or its permissions.
    #[error("the store failed at '{}'", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl StoreError {
    /// For `map_err`: a failure at `path`.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { source },
            _ => Self::Io {
                path: path.to_path_buf(),
                source,
            },
        }
    }

    /// A failure at an image that has no name yet.
    pub(crate) fn image(source: io::Error) -> Self {
        Self::at(Path::new("tmp"))(source)
    }
}
