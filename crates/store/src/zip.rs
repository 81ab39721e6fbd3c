//! Reads an uploaded zip strictly: everything is checked against the central directory before a byte is
//! inflated, and contents against their size and checksum while they are.
//!
//! What is refused, and why it is not repaired: an archive that two programs read differently (duplicate
//! names, local headers that disagree, overlapping entries) is either broken or an attack, and a name
//! that leaves the tree has no place in an image.
//!
//! Symbolic links are kept if they stay inside the package, because packages made by npm and pip have
//! them; see [`link`] for the rule.

mod archive;
mod inflate;
mod limits;
mod link;
mod member;
mod path;

pub(crate) use archive::Archive;
pub(crate) use inflate::{Inflater, Packed};
pub use limits::ZipLimits;
pub(crate) use path::shown;
