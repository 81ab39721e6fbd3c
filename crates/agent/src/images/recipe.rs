//! What a runtime image is made of: `runtimes/<name>/recipe.toml` on top of `runtimes/base/recipe.toml`,
//! all of it part of the program.

use std::collections::BTreeMap;

use pilotlight_model::Runtime;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::BuildError;
use super::java17;
use super::manifest::Manifest;
use crate::runtime::RuntimeImage;

/// Counted up when the builder makes another image of the same recipe.
const BUILDER_VERSION: u32 = 1;

/// A recipe as its folder has it.
pub(super) struct Source {
    pub(super) runtime: Runtime,
    /// `recipe.toml`.
    pub(super) recipe: &'static str,
    /// The files beside it that it may use, by name.
    pub(super) files: &'static [(&'static str, &'static str)],
}

const BASE: &str = include_str!("../../../../runtimes/base/recipe.toml");

const SOURCES: [Source; 4] = [
    Source {
        runtime: Runtime::Python311,
        recipe: include_str!("../../../../runtimes/python3.11/recipe.toml"),
        files: &[
            (
                "bootstrap.py",
                include_str!("../../../../runtimes/python3.11/bootstrap.py"),
            ),
            (
                "_pilotlight_logging.py",
                include_str!("../../../../runtimes/python3.11/_pilotlight_logging.py"),
            ),
            (
                "_pilotlight_modules.py",
                include_str!("../../../../runtimes/python3.11/_pilotlight_modules.py"),
            ),
            (
                "_pilotlight_random.py",
                include_str!("../../../../runtimes/python3.11/_pilotlight_random.py"),
            ),
            (
                "_pilotlight_rehearsal.py",
                include_str!("../../../../runtimes/python3.11/_pilotlight_rehearsal.py"),
            ),
            (
                "_pilotlight_template.py",
                include_str!("../../../../runtimes/python3.11/_pilotlight_template.py"),
            ),
            (
                "_pilotlight_warm_up.py",
                include_str!("../../../../runtimes/python3.11/_pilotlight_warm_up.py"),
            ),
            (
                "_pilotlight_zygote.py",
                include_str!("../../../../runtimes/python3.11/_pilotlight_zygote.py"),
            ),
            (
                "compile.py",
                include_str!("../../../../runtimes/python3.11/compile.py"),
            ),
            (
                "snapshot_restore_py.py",
                include_str!("../../../../runtimes/python3.11/snapshot_restore_py.py"),
            ),
        ],
    },
    Source {
        runtime: Runtime::Nodejs20x,
        recipe: include_str!("../../../../runtimes/nodejs20.x/recipe.toml"),
        files: &[
            (
                "bootstrap.cjs",
                include_str!("../../../../runtimes/nodejs20.x/bootstrap.cjs"),
            ),
            (
                "connection.cjs",
                include_str!("../../../../runtimes/nodejs20.x/connection.cjs"),
            ),
            (
                "console.cjs",
                include_str!("../../../../runtimes/nodejs20.x/console.cjs"),
            ),
            (
                "errors.cjs",
                include_str!("../../../../runtimes/nodejs20.x/errors.cjs"),
            ),
            (
                "handler.cjs",
                include_str!("../../../../runtimes/nodejs20.x/handler.cjs"),
            ),
            (
                "heap.cjs",
                include_str!("../../../../runtimes/nodejs20.x/heap.cjs"),
            ),
            (
                "invocation.cjs",
                include_str!("../../../../runtimes/nodejs20.x/invocation.cjs"),
            ),
            (
                "parking.cjs",
                include_str!("../../../../runtimes/nodejs20.x/parking.cjs"),
            ),
            (
                "preload.cjs",
                include_str!("../../../../runtimes/nodejs20.x/preload.cjs"),
            ),
            (
                "random.cjs",
                include_str!("../../../../runtimes/nodejs20.x/random.cjs"),
            ),
            (
                "runtime_api.cjs",
                include_str!("../../../../runtimes/nodejs20.x/runtime_api.cjs"),
            ),
            (
                "streaming.cjs",
                include_str!("../../../../runtimes/nodejs20.x/streaming.cjs"),
            ),
            (
                "template.cjs",
                include_str!("../../../../runtimes/nodejs20.x/template.cjs"),
            ),
            (
                "untold.cjs",
                include_str!("../../../../runtimes/nodejs20.x/untold.cjs"),
            ),
            (
                "warm.cjs",
                include_str!("../../../../runtimes/nodejs20.x/warm.cjs"),
            ),
            (
                "warm_up_event.cjs",
                include_str!("../../../../runtimes/nodejs20.x/warm_up_event.cjs"),
            ),
            (
                "zygote.cjs",
                include_str!("../../../../runtimes/nodejs20.x/zygote.cjs"),
            ),
        ],
    },
    Source {
        runtime: Runtime::Java17,
        recipe: include_str!("../../../../runtimes/java17/recipe.toml"),
        files: java17::FILES,
    },
    Source {
        runtime: Runtime::ProvidedAl2023,
        recipe: include_str!("../../../../runtimes/provided.al2023/recipe.toml"),
        files: &[],
    },
];

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
            let (_, text) = source
                .files
                .iter()
                .find(|(file, _)| *file == name)
                .ok_or_else(|| {
                    wrong(source.runtime.as_str(), format!("there is no file {name}"))
                })?;
            self.files.insert(path, (*text).to_owned());
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
