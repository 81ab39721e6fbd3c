//! The build steps of a recipe: programs of the image, run in its tree before it becomes one.

use std::fs;
use std::path::Path;

use pilotlight_store::erofs::MTIME;

use super::command::Program;
use super::error::{BuildError, at};
use super::recipe::Build;
use super::tree::with_parent;

/// Where the programs find what is beside the recipe, and leave what the image is not to have.
const FOLDER: &str = "build";

/// The mounts live in a namespace of their own and end with the program.
const INSIDE: &str = "mount -t proc proc \"$1/proc\" && mount --rbind /dev \"$1/dev\" \
                      && exec chroot \"$@\"";

const UNSHARE: Program = Program {
    name: "unshare",
    package: "util-linux",
    advice: "runtime images are built as root, in a data directory that is not mounted noexec",
};

/// Puts what the steps need into the tree at `root`.
pub(super) fn prepare(root: &Path, build: &Build) -> Result<(), BuildError> {
    for (name, text) in &build.files {
        let path = with_parent(&root.join(FOLDER), name)?;
        fs::write(&path, text).map_err(at(&path))?;
    }
    Ok(())
}

/// Runs one step. `SOURCE_DATE_EPOCH` tells it the time that all files will have.
pub(super) fn run(root: &Path, program: &[String]) -> Result<(), BuildError> {
    let mut command = UNSHARE.command();
    command
        .args(["--mount", "--propagation", "slave"])
        .args(["sh", "-c", INSIDE, "sh"])
        .arg(root)
        .args(program)
        .env("SOURCE_DATE_EPOCH", MTIME.to_string());
    UNSHARE.run(&mut command).map(drop)
}

/// Removes what only the steps needed.
pub(super) fn finish(root: &Path) -> Result<(), BuildError> {
    let folder = root.join(FOLDER);
    fs::remove_dir_all(&folder).map_err(at(&folder))
}
