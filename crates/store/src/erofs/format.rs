//! The structures on disk, little-endian, as `fs/erofs/erofs_fs.h` of Linux defines them.

/// Modification time of everything in an image: 2018-01-01T00:00:00Z, in seconds since 1970. Not zero,
/// because times before 1980 break tools that make zip files from what they find.
pub const MTIME: u64 = 1_514_764_800;

/// Bytes of a block.
pub(super) const BLOCK: u64 = 4096;
/// [`BLOCK`] as the length of something in memory.
pub(super) const BLOCK_LEN: usize = BLOCK as usize;
/// Where the superblock starts.
pub(super) const SUPERBLOCK_OFFSET: usize = 1024;
/// Bytes of the superblock.
pub(super) const SUPERBLOCK_LEN: usize = 128;
/// Bytes of a compact inode, and the unit in which inodes are numbered: an inode's number (nid) is its
/// offset in the image divided by this.
pub(super) const INODE_LEN: usize = 32;
/// Bytes of a directory entry without its name.
pub(super) const DIRENT_LEN: usize = 12;
/// Bytes of the longest name.
pub(super) const NAME_LEN: usize = 255;

const MAGIC: u32 = 0xE0F5_E1E2;
const BLOCK_BITS: u8 = 12;
const FEATURE_COMPAT_SB_CHKSUM: u32 = 1;
const FEATURE_COMPAT_MTIME: u32 = 2;

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileType {
    Regular { executable: bool },
    Directory,
    Symlink,
}

impl FileType {
    /// `EROFS_FT_*`, which are the kernel's generic `FT_*`.
    pub(super) fn dirent(self) -> u8 {
        match self {
            FileType::Regular { .. } => 1,
            FileType::Directory => 2,
            FileType::Symlink => 7,
        }
    }

    /// `st_mode`: the type with the one mode that such a file has in an image.
    fn mode(self) -> u16 {
        match self {
            FileType::Regular { executable: false } => 0o100_644,
            FileType::Regular { executable: true } => 0o100_755,
            FileType::Directory => 0o040_755,
            FileType::Symlink => 0o120_777,
        }
    }
}

/// `struct erofs_inode_compact`, whose time is the superblock's.
pub(super) struct Inode {
    pub(super) file_type: FileType,
    /// `FLAT_INLINE`: what is behind the last whole block follows the inode.
    pub(super) inline_tail: bool,
    pub(super) size: u32,
    /// 1 where there are more links than the field holds, which means "unknown" to tools.
    pub(super) links: u16,
    pub(super) first_block: u32,
    /// Inode number for 32-bit `stat`.
    pub(super) number: u32,
}

impl Inode {
    pub(super) fn encode(&self) -> [u8; INODE_LEN] {
        const FLAT_PLAIN: u16 = 0;
        const FLAT_INLINE: u16 = 2;
        let layout = if self.inline_tail {
            FLAT_INLINE
        } else {
            FLAT_PLAIN
        };
        let mut raw = [0; INODE_LEN];
        put(&mut raw, 0, &(layout << 1).to_le_bytes());
        put(&mut raw, 4, &self.file_type.mode().to_le_bytes());
        put(&mut raw, 6, &self.links.to_le_bytes());
        put(&mut raw, 8, &self.size.to_le_bytes());
        put(&mut raw, 16, &self.first_block.to_le_bytes());
        put(&mut raw, 20, &self.number.to_le_bytes());
        raw
    }
}

/// `struct erofs_dirent`: an inode number, where the name starts in the block, and a type.
pub(super) fn dirent(nid: u64, name_offset: u16, file_type: FileType) -> [u8; DIRENT_LEN] {
    let mut raw = [0; DIRENT_LEN];
    put(&mut raw, 0, &nid.to_le_bytes());
    put(&mut raw, 8, &name_offset.to_le_bytes());
    raw[10] = file_type.dirent();
    raw
}

/// Puts `struct erofs_super_block` into the image's first block, with a checksum over the rest of that
/// block, so the inodes that live there must be in place already.
pub(super) fn seal(block: &mut [u8; BLOCK_LEN], root_nid: u16, inodes: u64, blocks: u32) {
    let raw = &mut block[SUPERBLOCK_OFFSET..];
    put(raw, 0, &MAGIC.to_le_bytes());
    put(
        raw,
        8,
        &(FEATURE_COMPAT_SB_CHKSUM | FEATURE_COMPAT_MTIME).to_le_bytes(),
    );
    put(raw, 12, &[BLOCK_BITS]);
    put(raw, 14, &root_nid.to_le_bytes());
    put(raw, 16, &inodes.to_le_bytes());
    put(raw, 24, &MTIME.to_le_bytes());
    put(raw, 36, &blocks.to_le_bytes());
    let checksum = crc32c(raw);
    put(raw, 4, &checksum.to_le_bytes());
}

/// Bytes of the image that begins with this block, as its superblock says; none if that is damaged or not ours.
pub(super) fn image_len(mut block: [u8; BLOCK_LEN]) -> Option<u64> {
    let raw = &mut block[SUPERBLOCK_OFFSET..];
    let field = |raw: &[u8], at| raw[at..].first_chunk().copied().map(u32::from_le_bytes);
    let (magic, checksum, blocks) = (field(raw, 0)?, field(raw, 4)?, field(raw, 36)?);
    put(raw, 4, &[0; 4]);
    (magic == MAGIC && checksum == crc32c(raw)).then_some(u64::from(blocks) << BLOCK_BITS)
}

fn put(raw: &mut [u8], at: usize, bytes: &[u8]) {
    raw[at..at + bytes.len()].copy_from_slice(bytes);
}

/// CRC-32C as the kernel computes it: seeded with all ones and not inverted at the end. It runs over
/// 3 KiB per image, so a bit at a time is fast enough.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 }
        })
    })
}
