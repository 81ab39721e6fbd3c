//! A stopped program's memory: reading and writing it, and whether it can be forked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;

use crate::template::refusal::{FreezeError, Refusal};

/// The memory of a process, through its file in /proc.
#[derive(Debug)]
pub(crate) struct Memory(File);

impl Memory {
    pub(crate) fn open(pid: i32) -> io::Result<Memory> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(format!("/proc/{pid}/mem"))?;
        Ok(Memory(file))
    }

    /// The eight bytes at that address.
    pub(crate) fn word(&self, address: u64) -> io::Result<u64> {
        let mut word = [0; 8];
        self.0.read_exact_at(&mut word, address)?;
        Ok(u64::from_le_bytes(word))
    }

    pub(crate) fn read(&self, address: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(bytes, address)
    }

    pub(crate) fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, address)
    }
}

/// Of a program. A fork copies one after the other; the kernel's own limit may be high.
const MAX_MAPPINGS: usize = 16 << 10;

/// A mapping, as /proc/PID/smaps tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    /// Where in the file it begins.
    pub(crate) offset: u64,
    /// Two letters each (proc_pid_smaps(5), `VmFlags`).
    flags: Vec<String>,
    pub(crate) path: String,
}

impl Mapping {
    fn is(&self, flag: &str) -> bool {
        self.flags.iter().any(|have| have == flag)
    }

    pub(crate) fn has(&self, address: u64) -> bool {
        (self.begin..self.end).contains(&address)
    }

    pub(crate) fn is_executable(&self) -> bool {
        self.is("ex")
    }

    /// Whether the program has asked that forks have nothing there: V8 does.
    pub(crate) fn is_kept_from_forks(&self) -> bool {
        self.is("dc")
    }

    fn refusal(&self) -> Option<Refusal> {
        // Shared and may be written: "sh" is set for what was opened for writing only.
        (self.is("sh") && self.is("mw")).then(|| Refusal::SharedMemory {
            address: self.begin,
            what: self.path.clone(),
        })
    }
}

/// All mappings, or why they cannot be forked.
pub(crate) fn mappings(pid: i32) -> Result<Vec<Mapping>, FreezeError> {
    let mappings = parse(BufReader::new(File::open(format!("/proc/{pid}/smaps"))?))?;
    if mappings.len() > MAX_MAPPINGS {
        return Err(Refusal::TooMuchState.into());
    }
    match mappings.iter().find_map(Mapping::refusal) {
        Some(refusal) => Err(refusal.into()),
        None => Ok(mappings),
    }
}

/// At most one more than there may be.
fn parse(smaps: impl BufRead) -> io::Result<Vec<Mapping>> {
    let mut mappings: Vec<Mapping> = Vec::new();
    // Whoever names a file need not do it in UTF-8.
    for line in smaps.split(b'\n') {
        let line = line?;
        let line = &*String::from_utf8_lossy(&line);
        if mappings.len() > MAX_MAPPINGS {
            break;
        }
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            if let Some(last) = mappings.last_mut() {
                last.flags = flags.split_whitespace().map(str::to_owned).collect();
            }
        } else if let Some(mapping) = head(line) {
            mappings.push(mapping);
        }
    }
    Ok(mappings)
}

/// `55d…-55e… r-xp 00000000 08:01 1234   /usr/bin/true`.
pub(crate) fn head(line: &str) -> Option<Mapping> {
    let (range, rest) = line.split_once(' ')?;
    let (begin, end) = range.split_once('-')?;
    let mut fields = rest.splitn(5, ' ');
    let offset = fields.nth(1)?;
    let path = fields.nth(2).unwrap_or_default().trim();
    Some(Mapping {
        begin: u64::from_str_radix(begin, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        offset: u64::from_str_radix(offset, 16).ok()?,
        flags: Vec::new(),
        path: path.to_owned(),
    })
}

/// Memory that belongs to this process alone, in bytes.
pub(crate) fn private_bytes(pid: i32) -> io::Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kilobytes = |line: &str| -> Option<u64> {
        let rest = line
            .strip_prefix("Private_Clean:")
            .or_else(|| line.strip_prefix("Private_Dirty:"))?;
        rest.trim().strip_suffix(" kB")?.parse().ok()
    };
    Ok(rollup.lines().filter_map(kilobytes).sum::<u64>() << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
7f0000000000-7f0000021000 rw-p 00000000 00:00 0 \n\
Size:                132 kB\n\
VmFlags: rd wr mr mw me dc sd \n\
7f0000100000-7f0000101000 rw-s 00000000 00:01 99                         /dev/zero (deleted)\n\
VmFlags: rd wr sh mr mw me ms sd \n\
7f0000200000-7f0000201000 r--s 00000000 00:2e 7                          /usr/lib/locale/a b\n\
VmFlags: rd mr me ms sd \n";

    #[test]
    fn smaps_are_understood() {
        let mappings = parse(SMAPS.as_bytes()).unwrap();
        assert_eq!(mappings.len(), 3);
        assert_eq!(mappings[0].end - mappings[0].begin, 132 << 10);
        assert!(mappings[0].is_kept_from_forks());
        assert_eq!(mappings[0].refusal(), None);
        assert_eq!(
            mappings[1].refusal(),
            Some(Refusal::SharedMemory {
                address: 0x7f00_0010_0000,
                what: "/dev/zero (deleted)".into()
            })
        );
        assert_eq!(mappings[2].path, "/usr/lib/locale/a b");
        assert_eq!(mappings[2].refusal(), None);
    }
}
