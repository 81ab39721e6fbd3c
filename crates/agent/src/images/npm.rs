//! Packages of the npm registry: single files of one, and whole trees of them that a lock file names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::command::Program;
use super::error::{BuildError, at};
use super::recipe::Npm;
use super::registry::{self, Archive};
use super::tree;

const NPM: Program = Program {
    name: "npm",
    package: "npm",
    advice: "check that npm reaches its registry: npm ping",
};
const TAR: Program = Program {
    name: "tar",
    package: "tar",
    advice: "check free space below the data directory",
};

/// The public registry.
const REGISTRY: &str = "https://registry.npmjs.org";
/// The folder that every package's archive has its files in.
const WITHIN: &str = "package";

/// Puts the files of a package that a recipe names into the tree. `scratch` is on the same file system.
pub(super) fn unpack(npm: &Npm, root: &Path, scratch: &Path) -> Result<(), BuildError> {
    let build = npm.build()?;
    let folder = scratch.join("npm").join(&build.package);
    let package = Locked {
        path: build.package.clone(),
        name: build.package.clone(),
        version: npm.version.clone(),
        integrity: build.integrity.clone(),
    };
    let archives = fetch(std::slice::from_ref(&package), &folder)?;
    let members = npm.files.values().map(|file| format!("{WITHIN}/{file}"));
    for archive in &archives {
        TAR.run(
            TAR.command()
                .args(["--extract", "--gzip", "--no-same-owner", "--file"])
                .arg(&archive.file)
                .arg("--directory")
                .arg(&folder)
                .args(members.clone()),
        )?;
    }
    for (path, file) in &npm.files {
        let from = folder.join(WITHIN).join(file);
        fs::rename(&from, tree::with_parent(root, path)?).map_err(at(&from))?;
    }
    fs::remove_dir_all(&folder).map_err(at(&folder))
}

/// Puts packages where the lock file has them, below `folder`, without what is to be left out.
pub(super) fn unpack_all(
    packages: &[Locked],
    remove: &[String],
    folder: &Path,
    scratch: &Path,
) -> Result<(), BuildError> {
    let scratch = scratch.join("npm");
    let archives = fetch(packages, &scratch)?;
    for (package, archive) in packages.iter().zip(&archives) {
        let into = folder.join(&package.path);
        fs::create_dir_all(&into).map_err(at(&into))?;
        TAR.run(
            TAR.command()
                .args(["--extract", "--gzip", "--no-same-owner"])
                .args(["--strip-components=1", "--wildcards"])
                .args(remove.iter().map(|pattern| format!("--exclude={pattern}")))
                .arg("--file")
                .arg(&archive.file)
                .arg("--directory")
                .arg(&into),
        )?;
    }
    fs::remove_dir_all(&scratch).map_err(at(&scratch))
}

/// The archives of these packages, in their order, in a folder that is made.
fn fetch(packages: &[Locked], folder: &Path) -> Result<Vec<Archive>, BuildError> {
    fs::create_dir_all(folder).map_err(at(folder))?;
    let archives: Vec<Archive> = packages
        .iter()
        .map(|package| Archive {
            package: package.name.clone(),
            url: package.url(),
            file: folder.join(package.packed()),
            integrity: package.integrity.clone(),
        })
        .collect();
    registry::fetch(&archives, || {
        NPM.run(
            NPM.command()
                .args(["pack", "--silent", "--ignore-scripts", "--pack-destination"])
                .arg(folder)
                .args(packages.iter().map(Locked::wanted))
                .current_dir(folder),
        )
        .map(drop)
    })?;
    Ok(archives)
}

/// A package as a lock file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Locked {
    /// Its folder, such as `node_modules/a/node_modules/@b/c`.
    pub(super) path: String,
    /// Its name, such as `@b/c`.
    pub(super) name: String,
    pub(super) version: String,
    /// Of its archive, as npm writes it: `sha512-` and base64.
    pub(super) integrity: String,
}

impl Locked {
    fn url(&self) -> String {
        let Self { name, version, .. } = self;
        let file = name.rsplit('/').next().unwrap_or(name);
        format!("{REGISTRY}/{name}/-/{file}-{version}.tgz")
    }

    /// The name that `npm pack` gives its archive.
    fn packed(&self) -> PathBuf {
        let name = self.name.trim_start_matches('@').replace('/', "-");
        format!("{name}-{}.tgz", self.version).into()
    }

    fn wanted(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// The folder of packages, and the end of every path to one.
const MODULES: &str = "node_modules/";

#[derive(Deserialize)]
struct Lock {
    packages: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    version: Option<String>,
    integrity: Option<String>,
}

/// The packages of a `package-lock.json`, in the order of their paths: what contains others comes first.
pub(super) fn locked(text: &str) -> Result<Vec<Locked>, String> {
    let lock: Lock = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut packages = Vec::new();
    for (path, entry) in lock.packages {
        // The project itself has no path.
        let Some((_, name)) = path.rsplit_once(MODULES) else {
            continue;
        };
        let (Some(version), Some(integrity)) = (entry.version, entry.integrity) else {
            return Err(format!("{path} has no version or integrity"));
        };
        packages.push(Locked {
            name: name.to_owned(),
            version,
            integrity,
            path,
        });
    }
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"{
        "lockfileVersion": 3,
        "packages": {
            "": {"dependencies": {"@b/c": "1.0.0"}},
            "node_modules/a/node_modules/@b/c": {"version": "2.0.0", "integrity": "sha512-x"},
            "node_modules/a": {"version": "1.0.0", "integrity": "sha512-y", "license": "MIT"}
        }
    }"#;

    #[test]
    fn packages_are_where_the_lock_file_has_them() {
        let found = locked(LOCK).unwrap();
        assert_eq!(
            found.iter().map(Locked::wanted).collect::<Vec<_>>(),
            ["a@1.0.0", "@b/c@2.0.0"]
        );
        assert_eq!(found[1].path, "node_modules/a/node_modules/@b/c");
        assert_eq!(
            found[1].url(),
            "https://registry.npmjs.org/@b/c/-/c-2.0.0.tgz"
        );
        assert_eq!(found[1].packed(), Path::new("b-c-2.0.0.tgz"));
    }

    #[test]
    fn a_package_that_cannot_be_checked_is_an_error() {
        let error = locked(&LOCK.replace("\"sha512-x\"", "null")).unwrap_err();
        assert!(error.contains("@b/c has no version or integrity"));
    }
}
