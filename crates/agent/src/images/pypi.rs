//! Packages of PyPI that are pure Python: wheels, which the image's own interpreter unpacks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use super::command::Program;
use super::error::{BuildError, at};
use super::registry::{self, Archive};
use super::tree;

const PIP: Program = Program {
    name: "pip3",
    package: "python3-pip",
    advice: "check that pip reaches its index: pip3 download six",
};

/// Where the public index has its files.
const FILES: &str = "https://files.pythonhosted.org/packages";
/// Where the interpreter finds the wheels, below the image's root.
const FOLDER: &str = "wheels";
/// The first argument is the folder for what is in the wheels that follow. Scripts of wheels are for a `bin` that
/// functions have no use for.
const UNPACK: &str = "\
import shutil, sys, zipfile
for name in sys.argv[2:]:
    with zipfile.ZipFile(name) as wheel:
        wheel.extractall(sys.argv[1], [n for n in wheel.namelist() if '.data/' not in n])
";

/// What of PyPI an image has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wheels {
    interpreter: String,
    /// Where it goes.
    folder: String,
    /// By name.
    pub(super) packages: BTreeMap<String, Wheel>,
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wheel {
    pub(super) version: String,
    /// Of the file, as the index has it: in hexadecimal digits.
    sha256: String,
    /// Where PyPI keeps the file: a digest in three parts, and the file's name.
    path: String,
}

impl Wheel {
    fn file(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// As [`Archive`] has it.
    fn integrity(&self) -> Option<String> {
        let digit = |at| u8::from_str_radix(self.sha256.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..self.sha256.len()).step_by(2).map(digit).collect();
        Some(format!("sha256-{}", BASE64.encode(bytes?)))
    }
}

impl Wheels {
    /// What is wrong with it, if anything is.
    pub(super) fn check(&self) -> Result<(), String> {
        for (name, wheel) in &self.packages {
            if wheel.integrity().is_none() {
                return Err(format!("sha256 of {name} is not one"));
            }
        }
        Ok(())
    }
}

/// Puts the packages into the tree. `scratch` is on the same file system.
pub(super) fn unpack(wheels: &Wheels, root: &Path, scratch: &Path) -> Result<(), BuildError> {
    let folder = root.join(FOLDER);
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let archives: Vec<Archive> = wheels
        .packages
        .iter()
        .map(|(name, wheel)| Archive {
            package: name.clone(),
            url: format!("{FILES}/{}", wheel.path),
            file: folder.join(wheel.file()),
            integrity: wheel.integrity().unwrap_or_default(),
        })
        .collect();
    registry::fetch(&archives, || by_pip(wheels, &folder, scratch))?;
    let arguments = [UNPACK.to_owned(), wheels.folder.clone()];
    let files = wheels.packages.values();
    let files = files.map(|wheel| format!("/{FOLDER}/{}", wheel.file()));
    tree::run(
        root,
        [wheels.interpreter.as_str(), "-I", "-S", "-c"]
            .into_iter()
            .map(str::to_owned)
            .chain(arguments)
            .chain(files),
    )?;
    fs::remove_dir_all(&folder).map_err(at(&folder))
}

fn by_pip(wheels: &Wheels, folder: &Path, scratch: &Path) -> Result<(), BuildError> {
    let list = scratch.join("requirements.txt");
    let lines: String = wheels
        .packages
        .iter()
        .map(|(name, wheel)| format!("{name}=={} --hash=sha256:{}\n", wheel.version, wheel.sha256))
        .collect();
    fs::write(&list, lines).map_err(at(&list))?;
    PIP.run(
        PIP.command()
            .args(["download", "--quiet", "--no-input", "--no-deps"])
            .args([
                "--only-binary",
                ":all:",
                "--require-hashes",
                "--requirement",
            ])
            .arg(&list)
            .arg("--dest")
            .arg(folder),
    )
    .map(drop)
}
