//! Where contents go: whole blocks to the end of the image, unless they are there already, and the tail
//! to memory until its inode is written.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::WriteError;
use super::format::{BLOCK, BLOCK_LEN};
use super::layout::Place;

/// Bytes that are written at once.
const BUFFER: usize = 256 * 1024;

/// Takes the contents of one file, piece by piece.
#[derive(Debug)]
pub struct Sink<'a> {
    blocks: &'a mut Blocks,
    image: &'a File,
    first_block: u64,
    /// Hash of what goes to blocks.
    hash: blake3::Hasher,
    /// Bytes that blocks still take.
    body_left: u64,
    /// Bytes behind the body so far, and at the end.
    tail: Vec<u8>,
    tail_len: usize,
}

impl<'a> Sink<'a> {
    pub(super) fn new(blocks: &'a mut Blocks, image: &'a File, place: Place) -> Self {
        Self {
            first_block: blocks.end() / BLOCK,
            blocks,
            image,
            hash: blake3::Hasher::new(),
            body_left: place.size - place.tail() as u64,
            tail: Vec::new(),
            tail_len: place.tail(),
        }
    }

    /// Appends to the contents. More than the size that the tree says is an error.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let body =
            usize::try_from(self.body_left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let (body, tail) = bytes.split_at(body);
        if self.tail.len() + tail.len() > self.tail_len {
            return Err(WriteError::SizeChanged);
        }
        self.hash.update(body);
        self.body_left -= body.len() as u64;
        self.tail.extend_from_slice(tail);
        self.blocks.append(self.image, body)
    }

    /// Ends the contents: the block where the body starts, and the tail. Less than the size that the
    /// tree says is an error.
    pub(super) fn finish(self) -> Result<(u32, Vec<u8>), WriteError> {
        if self.body_left > 0 || self.tail.len() < self.tail_len {
            return Err(WriteError::SizeChanged);
        }
        let first = u32::try_from(self.first_block).map_err(|_| WriteError::TooLarge)?;
        if self.blocks.end() == self.first_block * BLOCK {
            return Ok((0, self.tail));
        }
        self.blocks.pad(self.image)?;
        let known = *self
            .blocks
            .known
            .entry(*self.hash.finalize().as_bytes())
            .or_insert(first);
        if known != first {
            self.blocks.rewind(self.first_block * BLOCK);
        }
        Ok((known, self.tail))
    }
}

/// The growing end of an image.
#[derive(Debug)]
pub(super) struct Blocks {
    /// What precedes this offset is in the file.
    written: u64,
    buffer: Vec<u8>,
    /// Where contents start, by hash: equal contents are kept once.
    known: HashMap<[u8; blake3::OUT_LEN], u32>,
}

impl Blocks {
    pub(super) fn starting_at(block: u64) -> Self {
        Self {
            written: block * BLOCK,
            buffer: Vec::with_capacity(BUFFER),
            known: HashMap::new(),
        }
    }

    /// Offset behind the last byte.
    pub(super) fn end(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Hands everything to the file.
    pub(super) fn flush(&mut self, image: &File) -> io::Result<()> {
        image.write_all_at(&self.buffer, self.written)?;
        self.written = self.end();
        self.buffer.clear();
        Ok(())
    }

    fn append(&mut self, image: &File, mut bytes: &[u8]) -> Result<(), WriteError> {
        while !bytes.is_empty() {
            if self.buffer.len() == BUFFER {
                self.flush(image)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(BUFFER - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Fills the last block with zeros.
    fn pad(&mut self, image: &File) -> Result<(), WriteError> {
        const ZEROS: [u8; BLOCK_LEN] = [0; BLOCK_LEN];
        let missing = self.end().next_multiple_of(BLOCK) - self.end();
        self.append(image, &ZEROS[..missing as usize])
    }

    /// Drops what was appended behind `end`. Bytes that the file has already are overwritten by what
    /// follows, or cut off at the end.
    fn rewind(&mut self, end: u64) {
        match end.checked_sub(self.written) {
            Some(kept) => self.buffer.truncate(kept as usize),
            None => {
                self.buffer.clear();
                self.written = end;
            }
        }
    }
}
