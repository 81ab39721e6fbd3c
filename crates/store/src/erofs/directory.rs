//! Contents of a directory: blocks, each an array of entries followed by their names.
//!
//! The kernel searches by bisection, first among blocks by their first name, then within one, so names
//! ascend bytewise through the whole directory; `.` and `..` stand where that puts them. A name ends
//! where the next one starts; the last of a block ends with the block or at a NUL.

use super::format::{BLOCK_LEN, DIRENT_LEN, FileType, dirent};
use super::tree::Children;

/// Bytes of the contents.
pub(super) fn size(children: &Children) -> u64 {
    let (full, last) = split(names(children), |_, _| ());
    full as u64 * BLOCK_LEN as u64 + last as u64
}

/// The contents. `find` gives the inode number and type of a name, [`DOT`] and [`DOT_DOT`] included.
pub(super) fn encode(children: &Children, find: impl Fn(&[u8]) -> (u64, FileType)) -> Vec<u8> {
    let mut blocks: Vec<Vec<&[u8]>> = Vec::new();
    split(names(children), |block, name| {
        if block == blocks.len() {
            blocks.push(Vec::new());
        }
        blocks[block].push(name);
    });
    let mut contents = Vec::new();
    for names in &blocks {
        contents.resize(contents.len().next_multiple_of(BLOCK_LEN), 0);
        let mut name_offset = names.len() * DIRENT_LEN;
        for name in names {
            let (nid, file_type) = find(name);
            let offset = u16::try_from(name_offset).expect("an offset within a block");
            contents.extend(dirent(nid, offset, file_type));
            name_offset += name.len();
        }
        contents.extend(names.iter().copied().flatten());
    }
    contents
}

/// The directory itself.
pub(super) const DOT: &[u8] = b".";
/// The directory that it is in.
pub(super) const DOT_DOT: &[u8] = b"..";

/// The directory's names in order, with the two that every directory has.
fn names(children: &Children) -> Vec<&[u8]> {
    let mut names = vec![DOT, DOT_DOT];
    names.extend(children.keys().map(|name| &**name));
    names.sort();
    names
}

/// Distributes names over blocks: calls `put` with the number of a block and a name in it, and returns
/// how many blocks are full and how many bytes are in the last one, which is never empty.
fn split<'a>(names: Vec<&'a [u8]>, mut put: impl FnMut(usize, &'a [u8])) -> (usize, usize) {
    let (mut block, mut used) = (0, 0);
    for name in names {
        let len = DIRENT_LEN + name.len();
        if used + len > BLOCK_LEN {
            (block, used) = (block + 1, 0);
        }
        used += len;
        put(block, name);
    }
    (block, used)
}
