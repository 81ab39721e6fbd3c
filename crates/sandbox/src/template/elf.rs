//! Functions that a mapped program or library exports (System V ABI, "Object Files"; 64 bits, little-endian). The files
//! are the function's own: nothing in them is believed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const MAGIC: [u8; 4] = *b"\x7fELF";
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const EXECUTABLE: u16 = 2;
const DYNAMIC_SYMBOLS: u32 = 11;
const FUNCTION: u8 = 2;

const HEADER_BYTES: usize = 64;
const SECTION_BYTES: usize = 64;
const SYMBOL_BYTES: usize = 24;

/// Larger tables than any program's are not read: Node's, which is large, has 6 MiB.
const MAX_TABLE_BYTES: u64 = 16 << 20;
const MAX_SECTIONS: usize = 4096;

/// Where a function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    /// There.
    Absolute(u64),
    /// So far from where the file's begin is mapped.
    Relative(u64),
}

/// The exported function of that name, if there is one.
pub(super) fn exported(file: &File, name: &str) -> io::Result<Option<Address>> {
    let mut header = [0; HEADER_BYTES];
    if file.read_exact_at(&mut header, 0).is_err()
        || header[..4] != MAGIC
        || header[4] != CLASS_64
        || header[5] != LITTLE_ENDIAN
    {
        return Ok(None);
    }
    let sections = sections(file, &header)?;
    for section in &sections {
        if section.kind == DYNAMIC_SYMBOLS
            && let Some(strings) = sections.get(section.link as usize)
            && let Some(value) = find(&section.read(file)?, &strings.read(file)?, name)
        {
            return Ok(Some(match half(&header, 16) {
                EXECUTABLE => Address::Absolute(value),
                _ => Address::Relative(value),
            }));
        }
    }
    Ok(None)
}

struct Section {
    kind: u32,
    offset: u64,
    size: u64,
    link: u32,
}

impl Section {
    fn read(&self, file: &File) -> io::Result<Vec<u8>> {
        let within = self.offset.checked_add(self.size);
        let length = file.metadata()?.len();
        if self.size > MAX_TABLE_BYTES || within.is_none_or(|end| end > length) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; self.size as usize];
        file.read_exact_at(&mut bytes, self.offset)?;
        Ok(bytes)
    }
}

fn sections(file: &File, header: &[u8]) -> io::Result<Vec<Section>> {
    let count = usize::from(half(header, 60));
    if usize::from(half(header, 58)) != SECTION_BYTES || count > MAX_SECTIONS {
        return Ok(Vec::new());
    }
    let mut table = vec![0; count * SECTION_BYTES];
    file.read_exact_at(&mut table, word(header, 40))?;
    let section = |bytes: &[u8]| Section {
        kind: word(bytes, 4) as u32,
        offset: word(bytes, 24),
        size: word(bytes, 32),
        link: word(bytes, 40) as u32,
    };
    Ok(table.chunks_exact(SECTION_BYTES).map(section).collect())
}

/// The value of the function of that name among the symbols.
fn find(symbols: &[u8], strings: &[u8], name: &str) -> Option<u64> {
    let is_it = |symbol: &&[u8]| {
        let (at, value) = (word(symbol, 0) as u32 as usize, word(symbol, 8));
        value != 0
            && symbol[4] & 0xf == FUNCTION
            && strings
                .get(at..)
                .and_then(|rest| rest.strip_prefix(name.as_bytes()))
                .is_some_and(|rest| rest.first() == Some(&0))
    };
    let found = symbols.chunks_exact(SYMBOL_BYTES).find(is_it)?;
    Some(word(found, 8))
}

/// The eight bytes there; the caller has seen to it that they are.
fn word(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8]
        .iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_libraries_are_found() {
        // Every test has a C library.
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let libc = maps
            .lines()
            .filter_map(|line| line.split_whitespace().nth(5))
            .find(|path| path.contains("libc.so") || path.contains("libc-"))
            .unwrap();
        let file = File::open(libc).unwrap();
        assert!(matches!(
            exported(&file, "getpid").unwrap(),
            Some(Address::Relative(_))
        ));
        assert_eq!(exported(&file, "getpi").unwrap(), None);
        assert_eq!(exported(&file, "no_such_function").unwrap(), None);
    }

    #[test]
    fn damaged_files_are_survived() {
        let whole = std::fs::read("/proc/self/exe").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("elf");
        for at in (0..HEADER_BYTES).chain([1000, 5000]) {
            let mut bytes = whole[..whole.len().min(1 << 20)].to_vec();
            bytes[at] ^= 0xff;
            std::fs::write(&path, &bytes).unwrap();
            // Whatever comes of it, it comes back.
            let _ = exported(&File::open(&path).unwrap(), "main");
        }
        for length in [0, 3, 63, 64, 100] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let _ = exported(&File::open(&path).unwrap(), "main");
        }
    }
}
