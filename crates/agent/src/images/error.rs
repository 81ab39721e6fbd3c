//! Why a runtime image could not be built, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use pilotlight_store::PublishError;

/// Why a runtime image could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A recipe is not one. They are part of the program, so this is a fault of ours.
    #[error("recipe of {runtime}: {reason}")]
    Recipe {
        /// Whose recipe.
        runtime: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A program that the build needs is not on this machine.
    #[error(
        "{program} is not installed; runtime images are built with it, which Debian has by: \
         apt-get install {package}"
    )]
    NoProgram {
        /// What was to be run.
        program: &'static str,
        /// Debian package that has it.
        package: &'static str,
    },
    /// A program that the build needs failed.
    #[error("{command} failed ({status}): {output}; {advice}")]
    Command {
        /// What was run.
        command: String,
        /// How it ended.
        status: String,
        /// The last lines that it wrote to standard error.
        output: String,
        /// What can be done.
        advice: &'static str,
    },
    /// Who asked for it wants it no more.
    #[error("the build was ended before its time")]
    Ended,
    /// A package was resolved, and is not among the downloaded ones.
    #[error("package {package} was not downloaded")]
    NotDownloaded {
        /// Its name.
        package: String,
    },
    /// There is no package for machines like this one.
    #[error("there is no build for {architecture}")]
    NoBuild {
        /// Of this machine.
        architecture: &'static str,
    },
    /// What was downloaded is not what the recipe means.
    #[error("package {package} has integrity {found} where {expected} is expected")]
    Integrity {
        /// Its name.
        package: String,
        /// What the recipe says.
        expected: String,
        /// Of what was downloaded.
        found: String,
    },
    /// The packages do not hold what gives the image its version.
    #[error("package {package}, which gives the image its version, is not part of it")]
    NoVersion {
        /// Its name.
        package: String,
    },
    /// A file or folder could not be read or written.
    #[error("{}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The tree is there, and the store does not take it.
    #[error("image not stored")]
    Publish(#[from] PublishError),
}

/// For `map_err`: says at which path an operation failed.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> BuildError + use<> {
    let path = path.to_owned();
    move |source| BuildError::Io { path, source }
}
