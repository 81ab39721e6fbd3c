//! What is kept beside the store about a built image, so that it is found again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use pilotlight_model::ids::Digest;
use serde::{Deserialize, Serialize};

use super::apt::Package;
use super::error::{BuildError, at};
use super::recipe::Recipe;

/// One built image: `<data-dir>/runtimes/<runtime>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Of the recipe that it was built from.
    pub(super) key: String,
    /// The image in the store.
    pub(super) digest: Digest,
    /// As `INIT_START` shows it.
    pub(super) version_label: String,
    /// Versions of the packages in it.
    pub(super) packages: BTreeMap<String, String>,
}

impl Manifest {
    pub(super) fn of(
        recipe: &Recipe,
        digest: Digest,
        packages: &[Package],
    ) -> Result<Self, BuildError> {
        let mut packages: BTreeMap<_, _> = packages
            .iter()
            .map(|package| (package.name.clone(), package.version.clone()))
            .collect();
        let npm = recipe.tree.npm.iter();
        packages.extend(npm.map(|(name, package)| (name.clone(), package.version.clone())));
        let modules = recipe.node_modules.iter().flat_map(|all| &all.packages);
        packages.extend(modules.map(|package| (package.name.clone(), package.version.clone())));
        let wheels = recipe.wheels.iter().flat_map(|all| &all.packages);
        packages.extend(wheels.map(|(name, wheel)| (name.clone(), wheel.version.clone())));
        let version =
            packages
                .get(&recipe.version.package)
                .ok_or_else(|| BuildError::NoVersion {
                    package: recipe.version.package.clone(),
                })?;
        let version_label = format!("{}{version}", recipe.version.prefix);
        Ok(Self {
            key: recipe.key.clone(),
            digest,
            version_label,
            packages,
        })
    }

    /// The manifest at that path. One that is absent or cannot be understood means that the image is to
    /// be built again.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, BuildError> {
        match fs::read(path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(path)(error)),
        }
    }

    /// Writes the manifest whole or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<(), BuildError> {
        let draft = path.with_extension("json.new");
        let write = || {
            let mut file = File::create(&draft)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&draft, path)
        };
        write().map_err(at(path))
    }
}
