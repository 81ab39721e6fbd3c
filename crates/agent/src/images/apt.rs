//! Debian packages, without touching what is installed here: apt works on a state of its own, in which
//! nothing is installed, so that the whole closure of a package is found. The machine's sources, keys
//! and proxies are used, and its package lists as long as they do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::Program;
use super::error::{BuildError, at};

const APT: Program = Program {
    name: "apt-get",
    package: "apt",
    advice: "check that the sources in /etc/apt are those of Debian 12 and reachable: apt-get update",
};

/// Where apt keeps the package lists of this machine.
const MACHINE_LISTS: &str = "/var/lib/apt/lists";

/// Hooks of the machine's configuration would act on the machine's state.
const CONFIGURATION: &str = "\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
APT::Install-Recommends \"false\";
APT::Install-Suggests \"false\";
APT::Sandbox::User \"root\";
Acquire::Languages \"none\";
Acquire::Retries \"3\";
";

/// One package in the version that the machine's sources have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
}

/// apt with a state of its own.
pub(super) struct Apt {
    folder: PathBuf,
    lists: PathBuf,
}

impl Apt {
    /// Keeps its state in `folder`, and reads the machine's package lists.
    pub(super) fn new(folder: PathBuf) -> Result<Self, BuildError> {
        for part in ["state", "lists/partial", "cache/archives/partial"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).map_err(at(&path))?;
        }
        for (name, text) in [("status", ""), ("apt.conf", CONFIGURATION)] {
            let path = folder.join(name);
            fs::write(&path, text).map_err(at(&path))?;
        }
        Ok(Self {
            folder,
            lists: MACHINE_LISTS.into(),
        })
    }

    /// Whether there are package lists at all.
    pub(super) fn lists_usable(&self) -> bool {
        fs::read_dir(&self.lists).is_ok_and(|mut entries| {
            entries.any(|entry| {
                entry.is_ok_and(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
            })
        })
    }

    /// Fetches package lists into the state of its own, and uses them from then on.
    pub(super) fn update(&mut self) -> Result<(), BuildError> {
        self.lists = self.folder.join("lists");
        APT.run(self.command().arg("update")).map(drop)
    }

    /// These packages and everything that they depend on.
    pub(super) fn closure(&self, packages: &[String]) -> Result<Vec<Package>, BuildError> {
        let simulated = APT.run(
            self.command()
                .args(["--simulate", "install"])
                .args(packages),
        )?;
        Ok(simulated.lines().filter_map(Package::simulated).collect())
    }

    /// Downloads packages into `folder`, checked against the signed lists; returns them by name.
    pub(super) fn download(
        &self,
        packages: &BTreeSet<Package>,
        folder: &Path,
    ) -> Result<BTreeMap<String, PathBuf>, BuildError> {
        fs::create_dir_all(folder).map_err(at(folder))?;
        let wanted = packages
            .iter()
            .map(|package| format!("{}={}", package.name, package.version));
        APT.run(
            self.command()
                .arg("download")
                .args(wanted)
                .current_dir(folder),
        )?;
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(at(folder))? {
            let entry = entry.map_err(at(folder))?;
            // `name_version_architecture.deb`; no part has an underscore of its own.
            if let Some((name, _)) = entry.file_name().to_string_lossy().split_once('_') {
                files.insert(name.to_owned(), entry.path());
            }
        }
        Ok(files)
    }

    fn command(&self) -> Command {
        let option = |name: &str, path: &Path| format!("{name}={}", path.display());
        let mut command = APT.command();
        command
            .arg("-qq")
            .arg("-c")
            .arg(self.folder.join("apt.conf"));
        for (name, path) in [
            ("Dir::State", self.folder.join("state")),
            ("Dir::State::lists", self.lists.clone()),
            ("Dir::State::status", self.folder.join("status")),
            ("Dir::Cache", self.folder.join("cache")),
        ] {
            command.arg("-o").arg(option(name, &path));
        }
        command
    }
}

impl Package {
    /// From a line of `apt-get --simulate`: `Inst name (version origin [architecture])`.
    fn simulated(line: &str) -> Option<Self> {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(" (")?;
        let (version, _) = rest.split_once(' ')?;
        Some(Self {
            name: name.to_owned(),
            version: version.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_lines() {
        let package = Package::simulated(
            "Inst libcrypt1 (1:4.4.33-2 Debian:12.15/oldstable, Debian-Security:12 [amd64]) []",
        );
        let expected = Package {
            name: "libcrypt1".into(),
            version: "1:4.4.33-2".into(),
        };
        assert_eq!(package, Some(expected));
        assert_eq!(
            Package::simulated("Conf libcrypt1 (1:4.4.33-2 Debian [amd64])"),
            None
        );
        assert_eq!(Package::simulated("Inst libcrypt1"), None);
    }
}
