//! Packages of the npm registry, of which an image takes single files: fetched by npm where the machine has
//! it, with its settings, else, or where that fails, by curl. What comes is the recipe's, or refused.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha512};

use super::command::Program;
use super::error::{BuildError, at};
use super::recipe::{Npm, NpmBuild};
use super::tree;

const NPM: Program = Program {
    name: "npm",
    package: "npm",
    advice: "check that npm reaches its registry: npm ping",
};
const CURL: Program = Program {
    name: "curl",
    package: "curl",
    advice: "check that https://registry.npmjs.org is reachable, or install npm and configure it",
};
const TAR: Program = Program {
    name: "tar",
    package: "tar",
    advice: "check free space below the data directory",
};

/// Where packages are when npm is not there to say.
const REGISTRY: &str = "https://registry.npmjs.org";
/// The folder that every package's archive has its files in.
const WITHIN: &str = "package";

/// Puts the files of a package that a recipe names into the tree. `scratch` is on the same file system.
pub(super) fn unpack(npm: &Npm, root: &Path, scratch: &Path) -> Result<(), BuildError> {
    let build = npm.build()?;
    let folder = scratch.join("npm").join(&build.package);
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let archive = download(build, &npm.version, &folder)?;
    check(build, &archive)?;
    let members = npm.files.values().map(|file| format!("{WITHIN}/{file}"));
    TAR.run(
        TAR.command()
            .args(["--extract", "--gzip", "--no-same-owner", "--file"])
            .arg(&archive)
            .arg("--directory")
            .arg(&folder)
            .args(members),
    )?;
    for (path, file) in &npm.files {
        let from = folder.join(WITHIN).join(file);
        fs::rename(&from, tree::with_parent(root, path)?).map_err(at(&from))?;
    }
    fs::remove_dir_all(&folder).map_err(at(&folder))
}

fn download(build: &NpmBuild, version: &str, folder: &Path) -> Result<PathBuf, BuildError> {
    let package = &build.package;
    let archive = folder.join(format!("{package}-{version}.tgz"));
    let packed = NPM.run(
        NPM.command()
            .args(["pack", "--silent", "--ignore-scripts", "--pack-destination"])
            .arg(folder)
            .arg(format!("{package}@{version}"))
            .current_dir(folder),
    );
    let Err(npm) = packed else {
        return Ok(archive);
    };
    let url = format!("{REGISTRY}/{package}/-/{package}-{version}.tgz");
    let fetched = CURL.run(
        CURL.command()
            .args(["--silent", "--show-error", "--fail", "--location"])
            .args(["--retry", "3", "--output"])
            .arg(&archive)
            .arg(url),
    );
    match (fetched, npm) {
        (Ok(_), _) => Ok(archive),
        (Err(curl), BuildError::NoProgram { .. }) => Err(curl),
        // Whoever has npm will rather mend that.
        (Err(_), npm) => Err(npm),
    }
}

fn check(build: &NpmBuild, archive: &Path) -> Result<(), BuildError> {
    let mut hasher = Sha512::new();
    let mut file = File::open(archive).map_err(at(archive))?;
    io::copy(&mut file, &mut hasher).map_err(at(archive))?;
    let found = format!("sha512-{}", BASE64.encode(hasher.finalize()));
    if found == build.integrity {
        return Ok(());
    }
    Err(BuildError::Integrity {
        package: build.package.clone(),
        expected: build.integrity.clone(),
        found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_recipes_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("a.tgz");
        fs::write(&archive, "abc").unwrap();
        let mut build = NpmBuild {
            package: "a".into(),
            integrity: "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw=="
                .into(),
        };
        check(&build, &archive).unwrap();
        build.integrity.replace_range(7..8, "4");
        assert!(matches!(
            check(&build, &archive),
            Err(BuildError::Integrity { .. })
        ));
    }
}
