//! What an uploaded package may be.

use pilotlight_model::limits::CODE_UNPACKED_BYTES;

/// Limits of a package. Names count with the directories that they imply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZipLimits {
    /// Names, with the directories that lead to them.
    pub entries: usize,
    /// Bytes of all contents together.
    pub unpacked_bytes: u64,
    /// Bytes of contents per byte of the zip, for contents over [`ZipLimits::small_bytes`].
    pub ratio: u64,
    /// Contents up to this many bytes may have any ratio.
    pub small_bytes: u64,
    /// Components of a path.
    pub depth: usize,
    /// Bytes of a path.
    pub path_bytes: usize,
}

impl Default for ZipLimits {
    fn default() -> Self {
        Self {
            entries: 65_536,
            unpacked_bytes: CODE_UNPACKED_BYTES,
            ratio: 200,
            small_bytes: 10 * 1024 * 1024,
            depth: 32,
            path_bytes: 4096,
        }
    }
}
