//! From a tree to an image file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::directory;
use super::format::{BLOCK, BLOCK_LEN, FileType, INODE_LEN, Inode, seal};
use super::layout::Layout;
use super::sink::{Blocks, Sink};
use super::tree::{Children, Kind, NodeId, Tree};

/// Why an image was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The image file cannot be written.
    #[error("the image cannot be written")]
    Io(#[from] io::Error),
    /// A source gave more or less than its entry says.
    #[error("the size of a file changed while it was read")]
    SizeChanged,
    /// A file of 4 GiB or more, or an image of 16 TiB.
    #[error("a file or the image is larger than the format can say")]
    TooLarge,
}

/// What an image holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of the image.
    pub image_bytes: u64,
    /// Bytes of all files and link targets as they are read.
    pub content_bytes: u64,
}

/// Writes the image of `tree` to `image`, an empty file. `copy` hands the contents of a source to the
/// sink; it is called once for each file and link, in the order of the tree. What it returns on failure
/// is passed on, and the file then holds garbage. Nothing is synced.
pub fn write<S, E: From<WriteError>>(
    image: &File,
    tree: &Tree<S>,
    mut copy: impl FnMut(&S, &mut Sink<'_>) -> Result<(), E>,
) -> Result<Summary, E> {
    let layout = Layout::of(tree);
    let mut blocks = Blocks::starting_at(layout.metadata_blocks);
    let mut content_bytes = 0;
    for (number, id) in (1..).zip(tree.walk()) {
        let place = layout.place(id);
        let size = u32::try_from(place.size).map_err(|_| WriteError::TooLarge)?;
        let node = tree.node(id);
        let mut sink = Sink::new(&mut blocks, image, place);
        let links = match &node.kind {
            Kind::Directory(children) => {
                let find = |name: &[u8]| resolve(tree, &layout, id, children, name);
                sink.write(&directory::encode(children, find))?;
                directory_links(tree, children)
            }
            Kind::Content { source, .. } => {
                content_bytes += place.size;
                copy(source, &mut sink)?;
                1
            }
        };
        let (first_block, tail) = sink.finish()?;
        let inode = Inode {
            file_type: node.kind.file_type(),
            inline_tail: place.inline_tail,
            size,
            links,
            first_block,
            number,
        };
        let mut record = Vec::with_capacity(INODE_LEN + tail.len());
        record.extend(inode.encode());
        record.extend(tail);
        image
            .write_all_at(&record, place.offset)
            .map_err(WriteError::Io)?;
    }
    let image_bytes = complete(image, tree, &layout, blocks)?;
    Ok(Summary {
        image_bytes,
        content_bytes,
    })
}

/// Cuts the file to its length and writes the superblock, the last thing, because its checksum covers
/// the inodes in its block.
fn complete<S>(
    image: &File,
    tree: &Tree<S>,
    layout: &Layout,
    mut blocks: Blocks,
) -> Result<u64, WriteError> {
    blocks.flush(image)?;
    let len = blocks.end();
    image.set_len(len)?;
    let count = u32::try_from(len / BLOCK).map_err(|_| WriteError::TooLarge)?;
    let root_nid = u16::try_from(layout.place(NodeId::ROOT).nid())
        .expect("the root is placed first, in the first two blocks");
    let mut first = [0; BLOCK_LEN];
    image.read_exact_at(&mut first, 0)?;
    seal(&mut first, root_nid, tree.len() as u64 + 1, count);
    image.write_all_at(&first, 0)?;
    Ok(len)
}

fn resolve<S>(
    tree: &Tree<S>,
    layout: &Layout,
    directory: NodeId,
    children: &Children,
    name: &[u8],
) -> (u64, FileType) {
    let id = match name {
        directory::DOT => directory,
        directory::DOT_DOT => tree.node(directory).parent,
        _ => children[name],
    };
    (layout.place(id).nid(), tree.node(id).kind.file_type())
}

/// Its name, its `.`, and the `..` of each directory in it.
fn directory_links<S>(tree: &Tree<S>, children: &Children) -> u16 {
    let is_directory = |&&id: &&NodeId| matches!(tree.node(id).kind, Kind::Directory(_));
    let links = 2 + children.values().filter(is_directory).count();
    u16::try_from(links).unwrap_or(1)
}
