//! Reads the programs of an image before anything maps them.
//!
//! What a process first sees of a file is what the page cache then keeps for all: pages that were read because
//! somebody touched them are small, and each is mapped for itself, in every fork again. Pages that were read one
//! after the other are large (up to a huge page), and mapping sixteen of them costs what mapping one does.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{Advice, AtFlags, Dir, FileType, Mode, OFlags, fadvise, openat, statat};
use rustix::path::Arg;

/// Smaller files fit into what one fault maps.
const LEAST_BYTES: u64 = 64 * 1024;
/// How much is read at once.
const CHUNK_BYTES: usize = 1024 * 1024;
/// First bytes of what is mapped rather than read: programs and libraries (ELF), and archives of Java classes
/// (`CDS_ARCHIVE_MAGIC`, little-endian).
const MAPPED: [[u8; 4]; 2] = [*b"\x7fELF", [0xa2, 0xba, 0x0b, 0xf0]];

/// Reads what is below that folder. Blocks.
///
/// # Errors
/// Something cannot be read; what comes after it is not.
pub(super) fn read_ahead(root: &OwnedFd) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    // By name, for an image may have more folders than a process may have descriptors.
    let mut folders = vec![PathBuf::from(".")];
    while let Some(path) = folders.pop() {
        let folder = open(root.as_fd(), &path, OFlags::DIRECTORY)?;
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            match entry.file_type() {
                FileType::Directory if !matches!(name.as_bytes(), b"." | b"..") => {
                    folders.push(path.join(name));
                }
                FileType::RegularFile => {
                    let about = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    if u64::try_from(about.st_size).is_ok_and(|size| size >= LEAST_BYTES) {
                        let file = open(folder.as_fd(), name, OFlags::empty())?;
                        read_program(file.into(), &mut buffer)?;
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn open(folder: BorrowedFd<'_>, path: impl Arg, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(folder, path, flags, Mode::empty())?)
}

/// Reads the file from its begin to its end, if it is one that is mapped.
fn read_program(mut file: File, buffer: &mut [u8]) -> io::Result<()> {
    let mut magic = [0; 4];
    file.read_exact(&mut magic)?;
    if !MAPPED.contains(&magic) {
        return Ok(());
    }
    fadvise(&file, 0, None, Advice::Sequential)?;
    file.rewind()?;
    while file.read(buffer)? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn programs_are_read_wherever_they_are_and_nothing_else_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::create_dir_all(path.join("usr/lib")).unwrap();
        let mut program = b"\x7fELF".to_vec();
        program.resize(3 * CHUNK_BYTES + 5, 1);
        std::fs::write(path.join("usr/lib/libx.so"), program).unwrap();
        std::fs::write(path.join("data"), vec![0; CHUNK_BYTES]).unwrap();
        std::fs::write(path.join("small"), b"x").unwrap();
        symlink("/proc/kmsg", path.join("link")).unwrap();
        symlink("..", path.join("usr/loop")).unwrap();
        read_ahead(&File::open(path).unwrap().into()).unwrap();
    }

    #[test]
    fn what_is_no_folder_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        assert!(read_ahead(&file.into()).is_err());
    }
}
