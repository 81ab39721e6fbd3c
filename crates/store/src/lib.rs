//! The store: content-addressed EROFS images, and how they are made from what users upload.
//!
//! [`Store::publish_zip`] turns a zip into an image while it inflates, [`Store::publish_tree`] does the
//! same for a directory; [`erofs`] is the writer of the format. An image is named by the BLAKE3 digest
//! of its bytes and never changes.
#![forbid(unsafe_code)]

pub mod erofs;
mod publish;
mod store;
mod zip;

pub use publish::{ContentDefect, LinkDefect, PathDefect, PublishError, Published};
pub use store::{Removed, Store, StoreError};
pub use zip::ZipLimits;
