//! All unsafe code of the crate, each block with the reason why it is sound.

pub(crate) mod namespace;
