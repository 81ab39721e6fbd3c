//! Decides where each inode goes. Pure: a tree in, places out.

use super::directory;
use super::format::{BLOCK, BLOCK_LEN, INODE_LEN, SUPERBLOCK_LEN, SUPERBLOCK_OFFSET};
use super::tree::{Kind, NodeId, Tree};

/// Blocks of metadata that are still filled. More pack tighter, fewer keep the inodes of a directory
/// closer together.
const OPEN_BLOCKS: usize = 8;

/// Where an inode is, and how its contents are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Byte offset of the inode in the image.
    pub(super) offset: u64,
    /// Bytes of the contents.
    pub(super) size: u64,
    /// Whether what is behind the last whole block follows the inode.
    pub(super) inline_tail: bool,
}

impl Place {
    /// The inode's number.
    pub(super) fn nid(&self) -> u64 {
        self.offset / INODE_LEN as u64
    }

    /// Bytes that follow the inode.
    pub(super) fn tail(&self) -> usize {
        if self.inline_tail {
            (self.size % BLOCK) as usize
        } else {
            0
        }
    }
}

/// Places of all nodes of a tree.
#[derive(Debug)]
pub(super) struct Layout {
    places: Vec<Place>,
    /// Blocks of metadata; contents start behind them.
    pub(super) metadata_blocks: u64,
}

impl Layout {
    pub(super) fn of<S>(tree: &Tree<S>) -> Self {
        let mut packer = Packer::new();
        let nowhere = Place {
            offset: 0,
            size: 0,
            inline_tail: false,
        };
        let mut places = vec![nowhere; tree.len() + 1];
        for id in tree.walk() {
            let size = match &tree.node(id).kind {
                Kind::Directory(children) => directory::size(children),
                Kind::Content { size, .. } => *size,
            };
            let tail = (size % BLOCK) as usize;
            let inline_tail = tail > 0 && INODE_LEN + tail <= BLOCK_LEN;
            let len = INODE_LEN + if inline_tail { tail } else { 0 };
            places[id.index()] = Place {
                offset: packer.place(len),
                size,
                inline_tail,
            };
        }
        Self {
            places,
            metadata_blocks: packer.blocks,
        }
    }

    pub(super) fn place(&self, id: NodeId) -> Place {
        self.places[id.index()]
    }
}

/// Puts pieces into blocks, none across an edge: into the first open block that has room, else into a
/// new one.
struct Packer {
    /// Where each open block's room starts.
    open: Vec<u64>,
    /// Blocks so far.
    blocks: u64,
}

impl Packer {
    /// Room starts behind the superblock, so that no inode has number 0, which user space takes for a
    /// deleted file.
    fn new() -> Self {
        Self {
            open: vec![(SUPERBLOCK_OFFSET + SUPERBLOCK_LEN) as u64],
            blocks: 1,
        }
    }

    fn place(&mut self, len: usize) -> u64 {
        let len = len.next_multiple_of(INODE_LEN) as u64;
        let index = match self.open.iter().position(|&start| room(start) >= len) {
            Some(index) => index,
            None => self.open_block(),
        };
        let offset = self.open[index];
        if room(offset) == len {
            self.open.remove(index);
        } else {
            self.open[index] += len;
        }
        offset
    }

    fn open_block(&mut self) -> usize {
        if self.open.len() == OPEN_BLOCKS {
            let fullest = (0..OPEN_BLOCKS)
                .min_by_key(|&index| room(self.open[index]))
                .expect("there are open blocks");
            self.open.remove(fullest);
        }
        self.open.push(self.blocks * BLOCK);
        self.blocks += 1;
        self.open.len() - 1
    }
}

/// Bytes from `start` to the end of its block.
fn room(start: u64) -> u64 {
    BLOCK - start % BLOCK
}
