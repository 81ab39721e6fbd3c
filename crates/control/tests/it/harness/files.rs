//! Copies of a data folder that is in use.

use std::path::Path;

/// What a kill at this moment would leave of `from`.
pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let Some(entries) = still_there(std::fs::read_dir(from)) else {
        return;
    };
    for entry in entries {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            // The shared memory of the write-ahead log does not outlive its processes.
            false if entry.file_name().to_string_lossy().ends_with("-shm") => {}
            false => drop(still_there(std::fs::copy(entry.path(), target))),
        }
    }
}

/// Nothing, of what has been moved or removed since it was seen: no row of the catalog needs it yet, or any more.
fn still_there<T>(found: std::io::Result<T>) -> Option<T> {
    match found {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        found => Some(found.unwrap()),
    }
}
