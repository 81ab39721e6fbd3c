//! The engine's memory in a program: the player, tapes, and what tapes refer to.

use std::io;

use crate::sys::arch::player;
use crate::template::memory::Memory;
use crate::template::refusal::Refusal;
use crate::template::tape::Tape;

/// The player has a page of its own, which is executable and not writable.
pub(crate) const CODE_BYTES: u64 = 4096;

/// Of memory that is protected, or advised about, as one.
const PAGE: usize = 4096;

/// So that signal frames may hold extended state.
const ALIGNMENT: u64 = 64;

/// What is to be written there, at which addresses.
pub(crate) struct Region {
    pub(crate) base: u64,
    end: u64,
    bytes: Vec<u8>,
}

impl Region {
    /// The region at `base`, of that size.
    pub(crate) fn new(base: u64, size: u64) -> Region {
        let mut bytes = player().to_vec();
        bytes.resize(CODE_BYTES as usize, 0);
        Region {
            base,
            end: base + size,
            bytes,
        }
    }

    /// A part of a region, without the player.
    pub(crate) fn part(base: u64, size: u64) -> Region {
        Region {
            base,
            end: base + size,
            bytes: Vec::new(),
        }
    }

    /// Where the next thing will stand.
    pub(crate) fn next(&self) -> u64 {
        (self.base + self.bytes.len() as u64).next_multiple_of(ALIGNMENT)
    }

    /// Puts bytes there; returns where.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> u64 {
        let address = self.next();
        self.bytes.resize((address - self.base) as usize, 0);
        self.bytes.extend_from_slice(bytes);
        address
    }

    pub(crate) fn put_words(&mut self, words: &[u64]) -> u64 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.put(&bytes)
    }

    pub(crate) fn put_tape(&mut self, tape: &Tape) -> u64 {
        self.put(&tape.encode())
    }

    /// A string with its zero byte.
    pub(crate) fn put_string(&mut self, string: &str) -> u64 {
        let mut bytes = string.as_bytes().to_vec();
        bytes.push(0);
        self.put(&bytes)
    }

    /// What is put from here on stands on other pages than what was put so far. Returns where.
    pub(crate) fn turn_page(&mut self) -> u64 {
        self.bytes
            .resize(self.bytes.len().next_multiple_of(PAGE), 0);
        self.base + self.bytes.len() as u64
    }

    /// Zeros.
    pub(crate) fn reserve(&mut self, bytes: usize) -> u64 {
        self.put(&vec![0; bytes])
    }

    /// The rest of the region, which is not written.
    pub(crate) fn rest(&self) -> (u64, u64) {
        (self.next().next_multiple_of(4096), self.end)
    }

    /// Whether all of it fits.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        match self.next() <= self.end {
            true => Ok(()),
            false => Err(Refusal::TooMuchState),
        }
    }

    pub(crate) fn write(&self, memory: &Memory) -> io::Result<()> {
        memory.write(self.base, &self.bytes)
    }
}

/// A message buffer for `recvmsg`: the header, the bytes, and the descriptors beside them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inbox {
    pub(crate) header: u64,
    /// Where the bytes arrive.
    pub(crate) bytes: u64,
    /// How many it has room for.
    pub(crate) descriptors: usize,
    control: u64,
}

impl Inbox {
    /// Of `struct cmsghdr`, before the descriptors.
    const CONTROL_HEAD: u64 = 16;

    /// For messages of that many bytes and descriptors.
    pub(crate) fn new(region: &mut Region, bytes: usize, descriptors: usize) -> Inbox {
        let at = region.reserve(bytes);
        let control_bytes = (Inbox::CONTROL_HEAD as usize + 4 * descriptors).next_multiple_of(8);
        let control = region.reserve(control_bytes);
        let vector = region.put_words(&[at, bytes as u64]);
        // struct msghdr: name, its length, vectors, their number, control, its length, flags.
        let header = region.put_words(&[0, 0, vector, 1, control, control_bytes as u64, 0]);
        Inbox {
            header,
            bytes: at,
            descriptors,
            control,
        }
    }

    /// Where a descriptor's number stands.
    pub(crate) fn descriptor(&self, index: usize) -> u64 {
        self.control + Inbox::CONTROL_HEAD + 4 * index as u64
    }
}

/// A status block: what failed, and the tape to go on with then. The word before it makes it a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status {
    pub(crate) block: u64,
    /// Kind, result and operation: [`Status::MESSAGE_BYTES`].
    pub(crate) message: u64,
}

impl Status {
    pub(crate) const MESSAGE_BYTES: usize = 24;

    /// One whose failure tape stands where `then` says: that is told the status first.
    pub(crate) fn new(region: &mut Region, kind: u64, then: impl FnOnce(Status) -> Tape) -> Status {
        let message = region.reserve(32);
        let status = Status {
            block: message + 8,
            message,
        };
        let tape = region.put_tape(&then(status));
        region.set_word(message, kind);
        region.set_word(message + 24, tape);
        status
    }
}

impl Region {
    /// Changes a word of what was put.
    pub(crate) fn set_word(&mut self, address: u64, word: u64) {
        let at = (address - self.base) as usize;
        self.bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
}
