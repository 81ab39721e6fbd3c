//! Makes zips byte by byte, also such as no program should make.

use std::io::Write;

/// One entry with both its headers.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    pub(crate) name: Vec<u8>,
    /// Name in the local header, where it is another.
    pub(crate) local_name: Option<Vec<u8>>,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) local_method: Option<u16>,
    pub(crate) crc: u32,
    pub(crate) local_crc: Option<u32>,
    pub(crate) size: u32,
    pub(crate) data: Vec<u8>,
    /// Compressed size, where it is not that of the data.
    pub(crate) data_len: Option<u32>,
    /// Unix mode.
    pub(crate) mode: u32,
    /// Offset of the local header, where it is not that of this entry's.
    pub(crate) offset: Option<u32>,
}

impl Raw {
    pub(crate) fn stored(name: impl Into<Vec<u8>>, data: impl Into<Vec<u8>>) -> Self {
        let data = data.into();
        Self {
            name: name.into(),
            local_name: None,
            flags: 0,
            method: 0,
            local_method: None,
            crc: crc32fast::hash(&data),
            local_crc: None,
            size: data.len() as u32,
            data,
            data_len: None,
            mode: 0o100_644,
            offset: None,
        }
    }

    pub(crate) fn deflated(name: impl Into<Vec<u8>>, contents: &[u8]) -> Self {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(contents).unwrap();
        Self {
            method: 8,
            crc: crc32fast::hash(contents),
            size: contents.len() as u32,
            data: encoder.finish().unwrap(),
            ..Self::stored(name, "")
        }
    }

    pub(crate) fn directory(name: impl Into<Vec<u8>>) -> Self {
        Self {
            mode: 0o040_755,
            ..Self::stored(name, "")
        }
    }

    pub(crate) fn symlink(name: impl Into<Vec<u8>>, target: impl Into<Vec<u8>>) -> Self {
        Self {
            mode: 0o120_777,
            ..Self::stored(name, target)
        }
    }

    /// What both headers share, from the flags on.
    fn common(&self, method: u16, crc: u32, name: &[u8]) -> Vec<u8> {
        let data_len = self.data_len.unwrap_or(self.data.len() as u32);
        let mut raw = Vec::new();
        raw.extend(self.flags.to_le_bytes());
        raw.extend(method.to_le_bytes());
        raw.extend([0, 0, 0x21, 0x4c]);
        raw.extend(crc.to_le_bytes());
        raw.extend(data_len.to_le_bytes());
        raw.extend(self.size.to_le_bytes());
        raw.extend((name.len() as u16).to_le_bytes());
        raw.extend(0u16.to_le_bytes());
        raw
    }
}

/// The archive of those entries, in that order.
pub(crate) fn zip(entries: &[Raw]) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let offset = entry.offset.unwrap_or(zip.len() as u32);
        let local_name = entry.local_name.as_ref().unwrap_or(&entry.name);
        zip.extend(b"PK\x03\x04\x14\x00");
        zip.extend(entry.common(
            entry.local_method.unwrap_or(entry.method),
            entry.local_crc.unwrap_or(entry.crc),
            local_name,
        ));
        zip.extend(local_name);
        zip.extend(&entry.data);
        directory.extend(b"PK\x01\x02\x14\x03\x14\x00");
        directory.extend(entry.common(entry.method, entry.crc, &entry.name));
        directory.extend([0; 6]);
        directory.extend((entry.mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(&entry.name);
    }
    let (start, len, count) = (
        zip.len() as u32,
        directory.len() as u32,
        entries.len() as u16,
    );
    zip.extend(directory);
    zip.extend(b"PK\x05\x06\x00\x00\x00\x00");
    zip.extend(count.to_le_bytes());
    zip.extend(count.to_le_bytes());
    zip.extend(len.to_le_bytes());
    zip.extend(start.to_le_bytes());
    zip.extend(0u16.to_le_bytes());
    zip
}
