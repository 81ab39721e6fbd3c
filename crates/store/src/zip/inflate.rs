//! Contents of an entry, inflated piece by piece and checked against size and checksum.

use flate2::{Decompress, FlushDecompress, Status};

use super::shown;
use crate::publish::{ContentDefect, PublishError};

/// Bytes that are inflated at once.
const PIECE: usize = 64 * 1024;

/// An entry's contents as the archive has them.
#[derive(Debug, Clone)]
pub(crate) struct Packed<'z> {
    /// Name as the archive has it, for messages.
    pub(super) name: &'z [u8],
    pub(super) data: &'z [u8],
    pub(super) deflated: bool,
    pub(super) size: u64,
    pub(super) crc: u32,
}

impl<'z> Packed<'z> {
    /// Contents that are in no archive.
    pub(crate) fn plain(name: &'z str, data: &'z [u8]) -> Self {
        Self {
            name: name.as_bytes(),
            data,
            deflated: false,
            size: data.len() as u64,
            crc: crc32fast::hash(data),
        }
    }

    fn corrupt(&self, defect: ContentDefect) -> PublishError {
        PublishError::Content {
            name: shown(self.name),
            defect,
        }
    }
}

/// The working memory of inflating, used for one entry after the other.
pub(crate) struct Inflater {
    state: Decompress,
    piece: Vec<u8>,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self {
            state: Decompress::new(false),
            piece: vec![0; PIECE],
        }
    }

    /// Hands the contents to `out` in pieces. Never more than the size that the entry declares, and no
    /// success unless size and checksum are right.
    pub(crate) fn unpack(
        &mut self,
        packed: &Packed<'_>,
        mut out: impl FnMut(&[u8]) -> Result<(), PublishError>,
    ) -> Result<(), PublishError> {
        let mut check = Check {
            packed,
            crc: crc32fast::Hasher::new(),
            size: 0,
        };
        if packed.deflated {
            self.inflate(packed, |piece| {
                check.take(piece)?;
                out(piece)
            })?;
        } else {
            for piece in packed.data.chunks(PIECE) {
                check.take(piece)?;
                out(piece)?;
            }
        }
        check.end()
    }

    fn inflate(
        &mut self,
        packed: &Packed<'_>,
        mut out: impl FnMut(&[u8]) -> Result<(), PublishError>,
    ) -> Result<(), PublishError> {
        self.state.reset(false);
        let mut rest = packed.data;
        loop {
            let (read, written) = (self.state.total_in(), self.state.total_out());
            let status = self
                .state
                .decompress(rest, &mut self.piece, FlushDecompress::None)
                .map_err(|_| packed.corrupt(ContentDefect::Deflate))?;
            let read = (self.state.total_in() - read) as usize;
            let written = (self.state.total_out() - written) as usize;
            rest = &rest[read..];
            out(&self.piece[..written])?;
            match status {
                Status::StreamEnd if rest.is_empty() => return Ok(()),
                Status::StreamEnd => return Err(packed.corrupt(ContentDefect::Deflate)),
                // The input is whole, so no progress means that the stream does not end in it.
                _ if read == 0 && written == 0 => {
                    return Err(packed.corrupt(ContentDefect::Deflate));
                }
                _ => {}
            }
        }
    }
}

/// What has been seen of an entry's contents.
struct Check<'p, 'z> {
    packed: &'p Packed<'z>,
    crc: crc32fast::Hasher,
    size: u64,
}

impl Check<'_, '_> {
    fn take(&mut self, piece: &[u8]) -> Result<(), PublishError> {
        self.size += piece.len() as u64;
        if self.size > self.packed.size {
            return Err(self.packed.corrupt(ContentDefect::Size));
        }
        self.crc.update(piece);
        Ok(())
    }

    fn end(self) -> Result<(), PublishError> {
        if self.size != self.packed.size {
            return Err(self.packed.corrupt(ContentDefect::Size));
        }
        if self.crc.finalize() != self.packed.crc {
            return Err(self.packed.corrupt(ContentDefect::Checksum));
        }
        Ok(())
    }
}
