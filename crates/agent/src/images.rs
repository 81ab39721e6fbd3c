//! Builds the runtime images: from a recipe and packages of Debian, npm and PyPI to an image in the store.
//!
//! Recipes and everything that they put into an image are part of the program. An image is built once
//! and found again by the recipe's key; a build that is killed leaves a folder behind that the next one
//! removes. The machine's own package state is only read.

mod apt;
mod build;
mod command;
mod error;
mod java17;
mod manifest;
mod npm;
mod pypi;
mod recipe;
mod registry;
mod sources;
mod tree;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use pilotlight_model::Runtime;
use pilotlight_store::Store;

use crate::runtime::RuntimeImage;
use apt::{Apt, Package};
pub use error::BuildError;
use error::at;
use manifest::Manifest;
use recipe::Recipe;

/// The images of all runtimes. Those that `store` has are there at once; the others are built, which
/// takes seconds and needs root, Debian's package tools, a Debian mirror, the npm registry and PyPI. Blocks; `progress` is told
/// of every step, and may end the build there. `data_dir` is this platform's own, and used by one process at a time.
pub fn build(
    data_dir: &Path,
    store: &Store,
    progress: &dyn Fn(&Progress) -> ControlFlow<()>,
) -> Result<BTreeMap<Runtime, RuntimeImage>, BuildError> {
    let recipes = recipe::all()?;
    Builder::open(&data_dir.join("runtimes"), store, progress)?.build(&recipes)
}

/// What a build is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Whose image; `None` while it is done for all of them together.
    pub runtime: Option<Runtime>,
    /// The step that begins, or goes on.
    pub step: Step,
    /// Parts of the step that are done.
    pub done: usize,
    /// Parts of the step; 1 where it is not counted.
    pub total: usize,
}

/// A step of a build, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Fetching the lists of packages: the machine has none, or old ones.
    Update,
    /// Finding out which packages an image needs.
    Resolve,
    /// Fetching them.
    Download,
    /// Putting their files into one tree.
    Unpack,
    /// Compiling to byte code, and what else the image's own programs do.
    Compile,
    /// Writing the image.
    Publish,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Update => "fetch package lists",
            Step::Resolve => "resolve packages",
            Step::Download => "download packages",
            Step::Unpack => "unpack",
            Step::Compile => "compile byte code",
            Step::Publish => "write image",
        })
    }
}

struct Builder<'a> {
    /// Holds the manifests, and a build's temporary folder.
    folder: PathBuf,
    store: &'a Store,
    progress: &'a dyn Fn(&Progress) -> ControlFlow<()>,
}

/// A recipe whose packages are known.
struct Plan<'a> {
    recipe: &'a Recipe,
    packages: Vec<Package>,
}

impl<'a> Builder<'a> {
    fn open(
        folder: &Path,
        store: &'a Store,
        progress: &'a dyn Fn(&Progress) -> ControlFlow<()>,
    ) -> Result<Self, BuildError> {
        fs::create_dir_all(folder).map_err(at(folder))?;
        // Some of the programs run in a folder of their own.
        let folder = std::path::absolute(folder).map_err(at(folder))?;
        Ok(Self {
            folder,
            store,
            progress,
        })
    }

    fn build(&self, recipes: &[Recipe]) -> Result<BTreeMap<Runtime, RuntimeImage>, BuildError> {
        let mut images = BTreeMap::new();
        let mut missing = Vec::new();
        for recipe in recipes {
            match self.existing(recipe)? {
                Some(manifest) => {
                    images.insert(recipe.runtime, recipe.image(manifest));
                }
                None => missing.push(recipe),
            }
        }
        if missing.is_empty() {
            return Ok(images);
        }
        self.sweep()?;
        let scratch = tempdir(&self.folder)?;
        let (plans, debs) = self.fetch(&missing, scratch.path())?;
        for plan in &plans {
            let manifest = self.make(plan, &debs, scratch.path())?;
            manifest.write(&self.manifest_path(plan.recipe))?;
            images.insert(plan.recipe.runtime, plan.recipe.image(manifest));
        }
        Ok(images)
    }

    /// What an earlier build of the very same recipe made, if the store still has it.
    fn existing(&self, recipe: &Recipe) -> Result<Option<Manifest>, BuildError> {
        let manifest = Manifest::read(&self.manifest_path(recipe))?;
        Ok(manifest.filter(|found| found.key == recipe.key && self.store.contains(&found.digest)))
    }

    /// Resolves and downloads the packages of all recipes: with the machine's own package lists, or,
    /// where these are absent or too old, with fresh ones of our own.
    fn fetch<'r>(
        &self,
        recipes: &[&'r Recipe],
        scratch: &Path,
    ) -> Result<(Vec<Plan<'r>>, BTreeMap<String, PathBuf>), BuildError> {
        let debs = scratch.join("debs");
        let mut apt = Apt::new(scratch.join("apt"))?;
        if apt.lists_usable() {
            match self.fetch_with(&apt, recipes, &debs) {
                Err(error @ BuildError::Command { .. }) => {
                    tracing::info!(%error, "package lists of this machine do not do");
                }
                done => return done,
            }
        }
        self.tell(None, Step::Update, 0, 1)?;
        apt.update()?;
        self.fetch_with(&apt, recipes, &debs)
    }

    fn fetch_with<'r>(
        &self,
        apt: &Apt,
        recipes: &[&'r Recipe],
        debs: &Path,
    ) -> Result<(Vec<Plan<'r>>, BTreeMap<String, PathBuf>), BuildError> {
        let mut plans = Vec::new();
        let mut wanted = BTreeSet::new();
        for &recipe in recipes {
            self.tell(Some(recipe.runtime), Step::Resolve, 0, 1)?;
            let mut packages = apt.closure(&recipe.tree.packages)?;
            packages.retain(|package| !recipe.tree.exclude.contains(&package.name));
            wanted.extend(packages.iter().cloned());
            plans.push(Plan { recipe, packages });
        }
        self.tell(None, Step::Download, 0, wanted.len())?;
        let files = apt.download(&wanted, debs)?;
        self.tell(None, Step::Download, wanted.len(), wanted.len())?;
        Ok((plans, files))
    }

    /// From packages to an image in the store.
    fn make(
        &self,
        plan: &Plan<'_>,
        debs: &BTreeMap<String, PathBuf>,
        scratch: &Path,
    ) -> Result<Manifest, BuildError> {
        let recipe = plan.recipe;
        let root = scratch.join(recipe.runtime.as_str());
        tree::prepare(&root, &recipe.tree)?;
        for (done, package) in recipe.tree.npm.values().enumerate() {
            let total = recipe.tree.npm.len();
            self.tell(Some(recipe.runtime), Step::Download, done, total)?;
            npm::unpack(package, &root, scratch)?;
        }
        let total = plan.packages.len();
        for (done, package) in plan.packages.iter().enumerate() {
            self.tell(Some(recipe.runtime), Step::Unpack, done, total)?;
            let deb = debs
                .get(&package.name)
                .ok_or_else(|| BuildError::NotDownloaded {
                    package: package.name.clone(),
                })?;
            tree::unpack(deb, &root, &recipe.tree.remove)?;
        }
        tree::finish(&root, &recipe.tree)?;
        self.add_packages(recipe, &root, scratch)?;
        if let Some(byte_code) = &recipe.byte_code {
            self.tell(Some(recipe.runtime), Step::Compile, 0, 1)?;
            tree::compile(&root, byte_code)?;
        }
        if let Some(build) = &recipe.build {
            build::prepare(&root, build)?;
            for (done, program) in build.run.iter().enumerate() {
                self.tell(Some(recipe.runtime), Step::Compile, done, build.run.len())?;
                build::run(&root, program)?;
            }
            build::finish(&root)?;
        }
        self.tell(Some(recipe.runtime), Step::Publish, 0, 1)?;
        let published = self.store.publish_tree(&root)?;
        fs::remove_dir_all(&root).map_err(at(&root))?;
        self.tell(Some(recipe.runtime), Step::Publish, 1, 1)?;
        Manifest::of(recipe, published.digest, &plan.packages)
    }

    /// Adds what comes from the registries of a language.
    fn add_packages(&self, recipe: &Recipe, root: &Path, scratch: &Path) -> Result<(), BuildError> {
        if let Some(modules) = &recipe.node_modules {
            self.tell(Some(recipe.runtime), Step::Unpack, 0, 1)?;
            let folder = root.join(&modules.folder);
            npm::unpack_all(&modules.packages, &modules.remove, &folder, scratch)?;
        }
        if let Some(wheels) = &recipe.wheels {
            self.tell(Some(recipe.runtime), Step::Unpack, 0, 1)?;
            pypi::unpack(wheels, root, scratch)?;
        }
        Ok(())
    }

    /// Removes what killed builds left. Something of theirs may still be writing there: then the rest
    /// goes the next time.
    fn sweep(&self) -> Result<(), BuildError> {
        for entry in fs::read_dir(&self.folder).map_err(at(&self.folder))? {
            let entry = entry.map_err(at(&self.folder))?;
            if entry.file_name().to_string_lossy().starts_with(SCRATCH)
                && let Err(error) = fs::remove_dir_all(entry.path())
            {
                tracing::warn!(path = %entry.path().display(), %error, "old build not removed");
            }
        }
        Ok(())
    }

    fn manifest_path(&self, recipe: &Recipe) -> PathBuf {
        self.folder.join(format!("{}.json", recipe.runtime))
    }

    fn tell(
        &self,
        runtime: Option<Runtime>,
        step: Step,
        done: usize,
        total: usize,
    ) -> Result<(), BuildError> {
        let progress = Progress {
            runtime,
            step,
            done,
            total,
        };
        match (self.progress)(&progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(BuildError::Ended),
        }
    }
}

/// Begins the name of every temporary folder.
const SCRATCH: &str = "build-";

fn tempdir(folder: &Path) -> Result<tempfile::TempDir, BuildError> {
    tempfile::Builder::new()
        .prefix(SCRATCH)
        .tempdir_in(folder)
        .map_err(at(folder))
}
