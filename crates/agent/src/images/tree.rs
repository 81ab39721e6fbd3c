//! The tree of files that becomes an image: packages unpacked, and the recipe followed. No maintainer
//! script runs; the only programs of the tree that run are its own interpreter, which unpacks and compiles, and the
//! build steps of the recipe.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::command::Program;
use super::error::{BuildError, at};
use super::recipe::{ByteCode, Tree};

const DPKG_DEB: Program = Program {
    name: "dpkg-deb",
    package: "dpkg",
    advice: "a package may be damaged: try again",
};
const TAR: Program = Program {
    name: "tar",
    package: "tar",
    advice: "check free space below the data directory",
};
const LDCONFIG: Program = Program {
    name: "ldconfig",
    package: "libc-bin",
    advice: "check free space below the data directory",
};
const CHROOT: Program = Program {
    name: "chroot",
    package: "coreutils",
    advice: "runtime images are built as root, in a data directory that is not mounted noexec",
};

/// Where Debian's `ca-certificates` has the certificates, and where their bundle goes.
const CERTIFICATES: (&str, &str) = (
    "usr/share/ca-certificates/mozilla",
    "etc/ssl/certs/ca-certificates.crt",
);

/// Makes the folders and links that packages are unpacked onto.
pub(super) fn prepare(root: &Path, tree: &Tree) -> Result<(), BuildError> {
    for folder in &tree.directories {
        let path = root.join(folder);
        fs::create_dir_all(&path).map_err(at(&path))?;
    }
    for (link, target) in &tree.links {
        let path = with_parent(root, link)?;
        symlink(target, &path).map_err(at(&path))?;
    }
    Ok(())
}

/// Unpacks one package, without what is to be left out. Links to folders (`/bin` and the like) are
/// followed, as dpkg does when it installs.
pub(super) fn unpack(deb: &Path, root: &Path, remove: &[String]) -> Result<(), BuildError> {
    let mut from = DPKG_DEB.command();
    from.arg("--fsys-tarfile")
        .arg(deb)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut packed = from.spawn().map_err(|error| DPKG_DEB.not_started(error))?;
    let data = packed
        .stdout
        .take()
        .expect("standard output was asked to be a pipe");

    let mut into = TAR.command();
    into.args([
        "--extract",
        "--file=-",
        "--keep-directory-symlink",
        "--no-same-owner",
    ])
    .args(["--preserve-permissions", "--anchored", "--wildcards"])
    .args(
        remove
            .iter()
            .map(|pattern| format!("--exclude=./{pattern}")),
    )
    .arg("--directory")
    .arg(root)
    .stdin(data);
    // tar ends when dpkg-deb does; what dpkg-deb writes to standard error fits into a pipe.
    let unpacked = TAR.run(&mut into);
    let packed = packed.wait_with_output().map_err(at(deb))?;
    unpacked?;
    DPKG_DEB.check(&from, &packed)
}

/// Adds what maintainer scripts would have made, and the recipe's own files.
pub(super) fn finish(root: &Path, tree: &Tree) -> Result<(), BuildError> {
    for (name, text) in &tree.files {
        let path = with_parent(root, name)?;
        fs::write(&path, text).map_err(at(&path))?;
    }
    bundle_certificates(root)?;
    LDCONFIG
        .run(LDCONFIG.command().arg("-r").arg(root))
        .map(drop)
}

/// Compiles the image's own modules with the image's own interpreter.
pub(super) fn compile(root: &Path, byte_code: &ByteCode) -> Result<(), BuildError> {
    let interpreter = [byte_code.interpreter.as_str(), "-S", "-W", "ignore"];
    let compiler = ["-m", "compileall", "-q", "-f"];
    let kind = ["--invalidation-mode", "unchecked-hash"];
    let folders = byte_code.folders.iter().map(String::as_str);
    run(
        root,
        interpreter
            .into_iter()
            .chain(compiler)
            .chain(kind)
            .chain(folders),
    )
}

/// Runs a program of the tree, with the tree as its root.
pub(super) fn run(
    root: &Path,
    program: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<(), BuildError> {
    let mut command = CHROOT.command();
    command.arg(root).args(program);
    CHROOT.run(&mut command).map(drop)
}

fn bundle_certificates(root: &Path) -> Result<(), BuildError> {
    let folder = root.join(CERTIFICATES.0);
    let mut files = fs::read_dir(&folder)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(at(&folder))?;
    files.sort();
    let mut bundle = Vec::new();
    for file in files {
        bundle.extend(fs::read(&file).map_err(at(&file))?);
        if !bundle.ends_with(b"\n") {
            bundle.push(b'\n');
        }
    }
    let path = with_parent(root, CERTIFICATES.1)?;
    fs::write(&path, bundle).map_err(at(&path))
}

/// The path of that name below `root`, in a folder that exists.
pub(super) fn with_parent(root: &Path, name: &str) -> Result<PathBuf, BuildError> {
    let path = root.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(at(parent))?;
    }
    Ok(path)
}
