//! What a runtime image is made of: `runtimes/<name>/recipe.toml` on top of `runtimes/base/recipe.toml`,
//! all of it part of the program.

use std::collections::BTreeMap;

use pilotlight_model::Runtime;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::BuildError;
use super::manifest::Manifest;
use super::npm::{self, Locked};
use super::pypi::Wheels;
use super::sources::{BASE, SOURCES, Source};
use crate::runtime::RuntimeImage;

/// Counted up when the builder makes another image of the same recipe.
const BUILDER_VERSION: u32 = 1;

/// The recipes of all runtimes.
pub(super) fn all() -> Result<Vec<Recipe>, BuildError> {
    SOURCES
        .iter()
        .map(|source| Recipe::read(BASE, source))
        .collect()
}

/// A recipe, ready to be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipe {
    pub(super) runtime: Runtime,
    /// Of everything that decides what is built, besides the packages' versions.
    pub(super) key: String,
    pub(super) version: Version,
    pub(super) byte_code: Option<ByteCode>,
    pub(super) build: Option<Build>,
    pub(super) node_modules: Option<NodeModules>,
    pub(super) wheels: Option<Wheels>,
    /// Base and runtime together.
    pub(super) tree: Tree,
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    compile: Option<Vec<String>>,
    zygote: bool,
}

/// What gives an image its version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Version {
    pub(super) prefix: String,
    /// Package whose version follows the prefix.
    pub(super) package: String,
}

/// What of an image is compiled, and by which of its programs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ByteCode {
    pub(super) interpreter: String,
    pub(super) folders: Vec<String>,
}

/// What programs of the image do to it once all its files are there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Build {
    /// Programs and their arguments, one after the other.
    pub(super) run: Vec<Vec<String>>,
    /// Files that these find in `/build`, by their path there: all that are beside the recipe.
    #[serde(skip)]
    pub(super) files: BTreeMap<String, String>,
}

/// Packages of the npm registry with all that they need.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeModules {
    /// Where their `node_modules` goes, relative to the image's root.
    pub(super) folder: String,
    /// The `package-lock.json` beside the recipe.
    lock: String,
    /// Patterns of paths within packages that are left out; `*` crosses folders.
    pub(super) remove: Vec<String>,
    /// What the lock file names.
    #[serde(skip)]
    pub(super) packages: Vec<Locked>,
}

/// The files of an image. Paths are relative to its root.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tree {
    /// Debian packages; what they depend on comes along.
    pub(super) packages: Vec<String>,
    /// Packages that do not come along.
    pub(super) exclude: Vec<String>,
    /// Packages of the npm registry, by the name under which the image's version knows them.
    pub(super) npm: BTreeMap<String, Npm>,
    /// Patterns of paths that are left out; `*` crosses folders.
    pub(super) remove: Vec<String>,
    /// Folders that exist even if empty.
    pub(super) directories: Vec<String>,
    /// Symbolic links and where they point.
    pub(super) links: BTreeMap<String, String>,
    /// Files and their text.
    pub(super) files: BTreeMap<String, String>,
    /// Files and their sources beside the recipe; after reading, they are in `files`.
    sources: BTreeMap<String, String>,
}

/// Files of an npm package that has one build per architecture.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Npm {
    pub(super) version: String,
    /// Files of the image, and where the package has them.
    pub(super) files: BTreeMap<String, String>,
    architecture: BTreeMap<String, NpmBuild>,
}

/// The package for one architecture.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NpmBuild {
    pub(super) package: String,
    /// Of its archive, as npm writes it: `sha512-` and base64.
    pub(super) integrity: String,
}

impl Npm {
    /// The package for this machine.
    pub(super) fn build(&self) -> Result<&NpmBuild, BuildError> {
        let architecture = std::env::consts::ARCH;
        self.architecture
            .get(architecture)
            .ok_or(BuildError::NoBuild { architecture })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    argv: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    compile: Option<Vec<String>>,
    /// Whether the bootstrap can be a zygote.
    #[serde(default)]
    zygote: bool,
    version: Version,
    byte_code: Option<ByteCode>,
    build: Option<Build>,
    node_modules: Option<NodeModules>,
    wheels: Option<Wheels>,
    tree: Tree,
}

impl Recipe {
    /// Reads a recipe and puts it on top of the base.
    pub(super) fn read(base: &str, source: &Source) -> Result<Self, BuildError> {
        let mut tree: Tree = parse("base", base)?;
        let name = source.runtime.as_str();
        let mut raw: Raw = parse(name, source.recipe)?;
        if let Some(build) = &mut raw.build {
            let files = source.files.iter();
            build.files = files
                .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
                .collect();
        }
        if let Some(modules) = &mut raw.node_modules {
            let text = source.file(&modules.lock)?;
            modules.packages = npm::locked(text).map_err(|reason| wrong(name, reason))?;
        }
        if let Some(wheels) = &raw.wheels {
            wheels.check().map_err(|reason| wrong(name, reason))?;
        }
        tree.add(raw.tree, source)?;
        if raw.argv.is_empty() {
            return Err(wrong(name, "argv is empty"));
        }
        Ok(Self {
            runtime: source.runtime,
            key: key(base, source),
            version: raw.version,
            byte_code: raw.byte_code,
            build: raw.build,
            node_modules: raw.node_modules,
            wheels: raw.wheels,
            tree,
            argv: raw.argv,
            env: raw.env,
            compile: raw.compile,
            zygote: raw.zygote,
        })
    }

    /// The image that was built from this recipe, as a node uses it.
    pub(super) fn image(&self, manifest: Manifest) -> RuntimeImage {
        RuntimeImage {
            runtime: self.runtime,
            digest: manifest.digest,
            argv: self.argv.clone(),
            env: self.env.clone(),
            compile: self.compile.clone(),
            zygote: self.zygote,
            version_label: manifest.version_label,
        }
    }
}

impl Source {
    /// The text of a file beside the recipe.
    fn file(&self, name: &str) -> Result<&'static str, BuildError> {
        let found = self.files.iter().find(|(file, _)| *file == name);
        found
            .map(|(_, text)| *text)
            .ok_or_else(|| wrong(self.runtime.as_str(), format!("there is no file {name}")))
    }
}

impl Tree {
    /// Adds what a runtime has on top.
    fn add(&mut self, above: Tree, source: &Source) -> Result<(), BuildError> {
        self.packages.extend(above.packages);
        self.exclude.extend(above.exclude);
        self.npm.extend(above.npm);
        self.remove.extend(above.remove);
        self.directories.extend(above.directories);
        self.links.extend(above.links);
        self.files.extend(above.files);
        for (path, name) in above.sources {
            let text = source.file(&name)?;
            self.files.insert(path, text.to_owned());
        }
        Ok(())
    }
}

fn parse<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, BuildError> {
    toml::from_str(text).map_err(|error| wrong(name, error))
}

fn wrong(runtime: &str, reason: impl ToString) -> BuildError {
    BuildError::Recipe {
        runtime: runtime.to_owned(),
        reason: reason.to_string(),
    }
}

/// Lengths keep apart what stands side by side.
fn key(base: &str, source: &Source) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&BUILDER_VERSION.to_le_bytes());
    let files = source.files.iter().flat_map(|(name, text)| [*name, *text]);
    for part in [std::env::consts::ARCH, base, source.recipe]
        .into_iter()
        .chain(files)
    {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
