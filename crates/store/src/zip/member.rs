//! One entry of an archive: its two headers, which must agree, and what kind of file it is.

use rawzip::{CompressionMethod, ZipFileHeaderRecord, ZipLocalFileHeader, ZipSliceArchive};

use super::{Packed, shown};
use crate::publish::PublishError;

/// An entry whose headers are in order.
pub(super) struct Member<'z> {
    /// As the archive has it.
    pub(super) name: &'z [u8],
    /// Whether the name is marked as UTF-8.
    pub(super) utf8: bool,
    pub(super) kind: MemberKind,
    pub(super) packed: Packed<'z>,
    /// From the local header to the end of the contents.
    pub(super) span: (u64, u64),
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberKind {
    Directory,
    File { executable: bool },
    Symlink,
}

impl<'z> Member<'z> {
    pub(super) fn read(
        archive: &'z ZipSliceArchive<&[u8]>,
        record: &ZipFileHeaderRecord<'z>,
    ) -> Result<Self, PublishError> {
        let name = record.file_path().as_bytes();
        let flags = record.flags();
        if flags.is_encrypted() || flags.has_strong_encryption() || flags.is_masked() {
            return Err(PublishError::Encrypted { name: shown(name) });
        }
        let deflated = match record.compression_method() {
            CompressionMethod::STORE => false,
            CompressionMethod::DEFLATE => true,
            CompressionMethod::AES => return Err(PublishError::Encrypted { name: shown(name) }),
            other => {
                return Err(PublishError::Method {
                    name: shown(name),
                    method: other.as_u16(),
                });
            }
        };
        let local = archive
            .get_entry(record.wayfinder())
            .map_err(|_| PublishError::Truncated)?;
        if !agree(record, &local.local_header()) {
            return Err(PublishError::Headers { name: shown(name) });
        }
        Ok(Self {
            name,
            utf8: flags.is_utf8(),
            kind: kind(record)?,
            packed: Packed {
                name,
                data: local.data(),
                deflated,
                size: record.uncompressed_size_hint(),
                crc: record.crc32(),
            },
            span: (
                record.local_header_offset(),
                local.compressed_data_range().1,
            ),
        })
    }
}

/// Whether the header in front of the contents says what the directory says. A streaming writer leaves
/// checksum and sizes at zero there and marks that.
fn agree(record: &ZipFileHeaderRecord<'_>, local: &ZipLocalFileHeader<'_>) -> bool {
    let streamed = local.flags().has_data_descriptor();
    let same = |here: u64, there: u64| {
        here == there || (streamed && (here == 0 || here == u64::from(u32::MAX)))
    };
    local.file_path().as_bytes() == record.file_path().as_bytes()
        && local.compression_method() == record.compression_method()
        && !local.flags().is_encrypted()
        && same(u64::from(local.crc32()), u64::from(record.crc32()))
        && same(local.compressed_size_hint(), record.compressed_size_hint())
        && same(
            local.uncompressed_size_hint(),
            record.uncompressed_size_hint(),
        )
}

/// A slash at the end of the name makes a directory, whatever the mode says, as unzip has it.
fn kind(record: &ZipFileHeaderRecord<'_>) -> Result<MemberKind, PublishError> {
    const TYPE: u32 = 0o170_000;
    const DIRECTORY: u32 = 0o040_000;
    const REGULAR: u32 = 0o100_000;
    const SYMLINK: u32 = 0o120_000;
    let name = record.file_path().as_bytes();
    let mode = record.mode().value();
    let empty = record.uncompressed_size_hint() == 0;
    if name.ends_with(b"/") {
        return match empty {
            true => Ok(MemberKind::Directory),
            false => Err(PublishError::Clash { name: shown(name) }),
        };
    }
    match mode & TYPE {
        0 | REGULAR => Ok(MemberKind::File {
            executable: mode & 0o111 != 0,
        }),
        DIRECTORY if empty => Ok(MemberKind::Directory),
        DIRECTORY => Err(PublishError::Clash { name: shown(name) }),
        SYMLINK => Ok(MemberKind::Symlink),
        _ => Err(PublishError::SpecialFile { name: shown(name) }),
    }
}
