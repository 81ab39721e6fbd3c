//! A folder for the length of a check.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// An empty folder, deleted when dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one in the data directory or, if that does not exist yet, in the nearest folder above it: checks must
    /// meet the file system that the platform will.
    pub(super) fn near(data_dir: &Path) -> io::Result<Scratch> {
        let path = existing(data_dir)?.join(format!(".pilotlight-doctor-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Scratch(path))
    }

    /// A new folder inside.
    pub(super) fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        fs::create_dir(&path)?;
        Ok(path)
    }

    /// A new file inside.
    pub(super) fn file(&self, name: &str, content: &[u8]) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        fs::write(&path, content)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The data directory or the nearest folder above it that exists.
pub(super) fn existing(data_dir: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(data_dir)?;
    let found = absolute.ancestors().find(|path| path.is_dir());
    found
        .map(Path::to_owned)
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}
