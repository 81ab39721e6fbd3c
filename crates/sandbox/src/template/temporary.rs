//! What a program has left in the folders that every fork has empty ones of.

use std::fs;
use std::io;
use std::path::Path;

use crate::template::refusal::{FreezeError, Refusal};

/// A fork that goes on would not find there what its template has written.
pub(crate) fn refuse_temporary_files(pid: i32) -> Result<(), FreezeError> {
    for folder in ["/tmp", "/dev/shm"] {
        for entry in fs::read_dir(format!("/proc/{pid}/root{folder}"))? {
            let entry = entry?;
            if !is_xray_mark(&entry)? {
                let path = Path::new(folder).join(entry.file_name());
                return Err(Refusal::TemporaryFile {
                    path: path.to_string_lossy().into_owned(),
                }
                .into());
            }
        }
    }
    Ok(())
}

/// Whether it is the folder that AWS's X-Ray SDKs make as they are loaded, with an empty file: a sign for a daemon that is not
/// here. They never look at it again, so no fork lacks it.
fn is_xray_mark(entry: &fs::DirEntry) -> io::Result<bool> {
    if entry.file_name() != ".aws-xray" || !entry.file_type()?.is_dir() {
        return Ok(false);
    }
    for file in fs::read_dir(entry.path())? {
        let file = file?;
        let metadata = file.metadata()?;
        if file.file_name() != "initialized" || !metadata.is_file() || metadata.len() > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}
