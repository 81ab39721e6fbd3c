//! From a folder to a zip. The same files make the same bytes, so that an unchanged folder is an
//! unchanged function.

use std::collections::HashSet;
use std::fs;
use std::io::{Cursor, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use pilotlight_model::limits::CODE_UNPACKED_BYTES;
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime};

/// Names that never belong into a package.
const SKIPPED: [&str; 5] = [".git", ".venv", "__pycache__", ".DS_Store", ".mypy_cache"];
/// Folders within folders; links that lead back into themselves end here.
const DEPTH: usize = 64;

/// Zips the contents of folders, of the same path the first one's; `without` are names at the top of the first
/// that stay out. Symbolic links are followed: packages hold files.
pub(super) fn zip(
    folders: &[PathBuf],
    without: &'static [&'static str],
) -> anyhow::Result<Vec<u8>> {
    let mut package = Package {
        writer: ZipWriter::new(Cursor::new(Vec::new())),
        names: HashSet::new(),
        without,
        left: CODE_UNPACKED_BYTES,
    };
    for folder in folders {
        package.add_folder(folder, "", 0)?;
        package.without = &[];
    }
    if package.left == CODE_UNPACKED_BYTES {
        let first = folders.first().map(|it| it.display().to_string());
        bail!("{} holds no code", first.unwrap_or_default());
    }
    Ok(package
        .writer
        .finish()
        .context("cannot finish the zip")?
        .into_inner())
}

struct Package<W: Write + Seek> {
    writer: ZipWriter<W>,
    names: HashSet<String>,
    without: &'static [&'static str],
    /// Bytes that may still be added.
    left: u64,
}

impl<W: Write + Seek> Package<W> {
    fn add_folder(&mut self, folder: &Path, prefix: &str, depth: usize) -> anyhow::Result<()> {
        if depth > DEPTH {
            bail!(
                "{} is more than {DEPTH} folders deep: does a link lead back up?",
                folder.display()
            );
        }
        let read = || format!("cannot read {}", folder.display());
        let mut entries = fs::read_dir(folder)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(read)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let Ok(name) = entry.file_name().into_string() else {
                bail!("{}: file names must be UTF-8", path.display());
            };
            let stays_out = prefix.is_empty() && self.without.contains(&name.as_str());
            if stays_out || SKIPPED.contains(&name.as_str()) || name.ends_with(".pyc") {
                continue;
            }
            let name = format!("{prefix}{name}");
            let metadata =
                fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
            if metadata.is_dir() {
                self.add_folder(&path, &format!("{name}/"), depth + 1)?;
            } else if metadata.is_file() {
                if !self.names.insert(name.clone()) {
                    continue;
                }
                self.add_file(&path, &name, metadata.permissions().mode())?;
            } else {
                bail!("{} is neither a file nor a folder", path.display());
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path, name: &str, mode: u32) -> anyhow::Result<()> {
        let contents = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        self.left = self
            .left
            .checked_sub(contents.len() as u64)
            .with_context(|| {
                format!(
                    "the folder holds more than {CODE_UNPACKED_BYTES} bytes, which no function may"
                )
            })?;
        let executable = mode & 0o111 != 0;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(if executable { 0o755 } else { 0o644 });
        self.writer.start_file(name, options)?;
        self.writer.write_all(&contents)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_same_files_make_the_same_bytes() {
        let make = || {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            fs::create_dir_all(root.join("lib/__pycache__")).unwrap();
            fs::create_dir(root.join(".git")).unwrap();
            for name in [
                "b.py",
                "a.py",
                "lib/c.py",
                "lib/c.pyc",
                "lib/__pycache__/c.pyc",
                ".git/config",
            ] {
                fs::write(root.join(name), name).unwrap();
            }
            fs::write(root.join("bootstrap"), "#!").unwrap();
            fs::set_permissions(root.join("bootstrap"), fs::Permissions::from_mode(0o700)).unwrap();
            zip(&[root.to_owned()], &[]).unwrap()
        };
        let bytes = make();
        assert_eq!(bytes, make());
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let names: Vec<String> = archive.file_names().map(str::to_owned).collect();
        assert_eq!(names, ["a.py", "b.py", "bootstrap", "lib/c.py"]);
        assert_eq!(
            archive.by_name("bootstrap").unwrap().unix_mode().unwrap() & 0o777,
            0o755
        );
        let mut text = String::new();
        archive
            .by_name("lib/c.py")
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "lib/c.py");
    }

    #[test]
    fn folders_are_laid_over_one_another() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (folder, text) in [(&first, "first"), (&second, "second")] {
            fs::create_dir_all(folder.path().join("node_modules")).unwrap();
            fs::write(folder.path().join("same.py"), text).unwrap();
            fs::write(folder.path().join(format!("node_modules/{text}")), text).unwrap();
        }
        let folders = [first.path().to_owned(), second.path().to_owned()];
        let bytes = zip(&folders, &["node_modules"]).unwrap();
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let names: Vec<String> = archive.file_names().map(str::to_owned).collect();
        assert_eq!(names, ["same.py", "node_modules/second"]);
        let mut text = String::new();
        archive
            .by_name("same.py")
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "first");
    }

    #[test]
    fn links_are_followed_but_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("real.py"), "x").unwrap();
        std::os::unix::fs::symlink("real.py", folder.path().join("link.py")).unwrap();
        let archive =
            zip::ZipArchive::new(Cursor::new(zip(&[folder.path().to_owned()], &[]).unwrap()))
                .unwrap();
        assert_eq!(archive.len(), 2);
        std::os::unix::fs::symlink(".", folder.path().join("again")).unwrap();
        assert!(zip(&[folder.path().to_owned()], &[]).is_err());
    }
}
