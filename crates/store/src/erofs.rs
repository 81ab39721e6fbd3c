//! Writes EROFS images: uncompressed, canonical, in one pass over the contents.
//!
//! The kernel's reader (Linux 5.4 and later) is the specification: `fs/erofs/erofs_fs.h` for the
//! structures, `fs/erofs/namei.c` and `dir.c` for the order of names, `fs/erofs/data.c` for the tail of a
//! file stored behind its inode.
//!
//! An image is, in blocks of 4 KiB:
//!
//! ```text
//! block 0    1024 bytes unused, superblock, first inodes
//! block 1…   inodes, each followed by the tail of its contents where that fits the block (metadata)
//! block m…   whole blocks of directories, files and long symbolic links, in the order of the tree
//! ```
//!
//! Sizes are known before contents are, so the metadata is laid out first ([`layout`]) and contents
//! stream straight to their final place: memory use follows the number of names, not their bytes.
//!
//! Canonical means that the image follows from names, contents, executable bits and link targets alone.
//! Owner is root, times are [`MTIME`], modes are 0755 and 0644, the UUID is zero, there are no extended
//! attributes. Equal contents share their blocks.

mod directory;
mod format;
mod layout;
mod sink;
mod tree;
mod write;

pub use format::MTIME;
pub use sink::Sink;
pub use tree::{Entry, InsertError, Tree};
pub use write::{Summary, WriteError, write};

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Whether the file is an image of the length that it had when it was written. Reads one block.
pub fn has_whole_length(image: &File) -> io::Result<bool> {
    let len = image.metadata()?.len();
    let mut block = [0; format::BLOCK_LEN];
    if len < format::BLOCK {
        return Ok(false);
    }
    image.read_exact_at(&mut block, 0)?;
    Ok(format::image_len(block) == Some(len))
}
