//! Archives of package registries: fetched all at once, and what comes is the recipe's, or refused.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256, Sha512};

use super::command::Program;
use super::error::{BuildError, at};

const CURL: Program = Program {
    name: "curl",
    package: "curl",
    advice: "check that https://registry.npmjs.org and https://files.pythonhosted.org are reachable",
};

/// Connections at a time. Most archives are small.
const PARALLEL: &str = "8";
/// For a connection. Where a registry is reached through a mirror alone, its own client takes over.
const CONNECT_SECONDS: &str = "10";

/// One archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Archive {
    /// The package's name.
    pub(super) package: String,
    /// Where the public registry has it.
    pub(super) url: String,
    /// Where it goes.
    pub(super) file: PathBuf,
    /// As npm writes it: `sha256-` or `sha512-`, and base64.
    pub(super) integrity: String,
}

/// Fetches archives from the public registry, or, where it cannot be reached, by the registry's own client with
/// the machine's settings; then checks them.
pub(super) fn fetch(
    archives: &[Archive],
    by_client: impl FnOnce() -> Result<(), BuildError>,
) -> Result<(), BuildError> {
    if let Err(curl) = by_curl(archives) {
        by_client().map_err(|client| match client {
            // curl needs no settings, so mending that is the shorter way.
            BuildError::NoProgram { .. } => curl,
            // Whoever has the client will rather mend that.
            client => client,
        })?;
    }
    archives.iter().try_for_each(check)
}

fn by_curl(archives: &[Archive]) -> Result<(), BuildError> {
    let mut command = CURL.command();
    command
        .args(["--silent", "--show-error", "--fail", "--fail-early"])
        .args(["--location", "--retry", "2"])
        .args(["--connect-timeout", CONNECT_SECONDS])
        .args(["--parallel", "--parallel-max", PARALLEL]);
    for archive in archives {
        command.arg("--output").arg(&archive.file).arg(&archive.url);
    }
    CURL.run(&mut command).map(drop)
}

fn check(archive: &Archive) -> Result<(), BuildError> {
    let found = match archive.integrity.split_once('-') {
        Some(("sha256", _)) => format!("sha256-{}", digest::<Sha256>(&archive.file)?),
        // Anything else is no algorithm that a registry has, and so never equal.
        _ => format!("sha512-{}", digest::<Sha512>(&archive.file)?),
    };
    if found == archive.integrity {
        return Ok(());
    }
    Err(BuildError::Integrity {
        package: archive.package.clone(),
        expected: archive.integrity.clone(),
        found,
    })
}

fn digest<D: Digest + io::Write>(path: &Path) -> Result<String, BuildError> {
    let mut hasher = D::new();
    let mut file = File::open(path).map_err(at(path))?;
    io::copy(&mut file, &mut hasher).map_err(at(path))?;
    Ok(BASE64.encode(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_not_the_recipes_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.tgz");
        fs::write(&file, "abc").unwrap();
        for integrity in [
            "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==",
            "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
        ] {
            let mut archive = Archive {
                package: "a".into(),
                url: String::new(),
                file: file.clone(),
                integrity: integrity.into(),
            };
            check(&archive).unwrap();
            archive.integrity.replace_range(9..10, "?");
            assert!(matches!(check(&archive), Err(BuildError::Integrity { .. })));
        }
    }

    #[test]
    fn the_client_has_a_second_try_and_the_word() {
        let nowhere = Archive {
            package: "a".into(),
            url: "http://127.0.0.1:1/a".into(),
            file: "/nonexistent/a".into(),
            integrity: "sha512-".into(),
        };
        let client = || {
            Err(BuildError::NoBuild {
                architecture: "client",
            })
        };
        let error = fetch(std::slice::from_ref(&nowhere), client).unwrap_err();
        assert!(matches!(error, BuildError::NoBuild { .. }), "{error}");
        let absent = || {
            Err(BuildError::NoProgram {
                program: "npm",
                package: "npm",
            })
        };
        let error = fetch(&[nowhere], absent).unwrap_err();
        assert!(error.to_string().starts_with("curl"), "{error}");
    }
}
