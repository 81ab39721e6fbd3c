//! What makes a package slow: what is large in it, and, where a trial init has been made, what of it is never
//! used and what takes long to import.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::Cursor;

use anyhow::Context;
use serde::Serialize;

/// Rows of each list.
const ROWS: usize = 8;
/// Imports that take less are not worth a line.
const LEAST_US: u64 = 1_000;

/// A package, as its files say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Report {
    files: usize,
    unpacked_bytes: u64,
    /// The largest first.
    largest_files: Vec<Sized>,
    /// Absent where no trial was made, or it told nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trial: Option<Trial>,
    /// Top-level packages by name, to be compared with what a trial imports.
    #[serde(skip)]
    pub(super) packages: BTreeMap<String, u64>,
}

/// Something with a size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Sized {
    name: String,
    bytes: u64,
}

/// What an init in a sandbox of the platform's has shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Trial {
    /// What takes longest to import, with what it imports itself.
    slowest_imports: Vec<Import>,
    /// Top-level packages that the init did not import, the largest first.
    unused_packages: Vec<Sized>,
}

/// One module and how long its import takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Import {
    pub(super) name: String,
    pub(super) microseconds: u64,
}

/// Where a runtime looks for packages within a function's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Folders and modules at the top.
    Python,
    /// Folders in `node_modules`.
    Node,
}

impl Report {
    /// Reads a zip's directory.
    pub(super) fn of(zip: &[u8], layout: Option<Layout>) -> anyhow::Result<Self> {
        let mut archive =
            zip::ZipArchive::new(Cursor::new(zip)).context("the package cannot be read")?;
        let mut files = Vec::new();
        for index in 0..archive.len() {
            let entry = archive.by_index_raw(index)?;
            if !entry.is_dir() {
                files.push((entry.name().to_owned(), entry.size()));
            }
        }
        Ok(Self::of_files(&files, layout))
    }

    fn of_files(files: &[(String, u64)], layout: Option<Layout>) -> Self {
        let mut packages = BTreeMap::new();
        for (path, bytes) in files {
            if let Some(name) = layout.and_then(|layout| layout.package(path)) {
                *packages.entry(name).or_default() += bytes;
            }
        }
        let largest = files.iter().map(|(name, bytes)| (name.as_str(), *bytes));
        Self {
            files: files.len(),
            unpacked_bytes: files.iter().map(|(_, bytes)| bytes).sum(),
            largest_files: largest_first(largest),
            trial: None,
            packages,
        }
    }

    /// Adds what a trial has imported.
    pub(super) fn tried(&mut self, layout: Layout, mut imports: Vec<Import>) {
        let used: BTreeSet<&str> = imports
            .iter()
            .map(|import| layout.top(&import.name))
            .collect();
        let unused = self
            .packages
            .iter()
            .filter(|(name, _)| !used.contains(name.as_str()))
            .map(|(name, bytes)| (name.as_str(), *bytes));
        let unused_packages = largest_first(unused);
        imports.retain(|import| import.microseconds >= LEAST_US);
        imports.sort_by_key(|import| std::cmp::Reverse(import.microseconds));
        imports.truncate(ROWS);
        self.trial = Some(Trial {
            slowest_imports: imports,
            unused_packages,
        });
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        let mut words = format!(
            "package: {} file{}, {} unpacked\nlargest files:\n",
            self.files,
            if self.files == 1 { "" } else { "s" },
            size(self.unpacked_bytes)
        );
        rows(&mut words, &self.largest_files);
        let Some(trial) = &self.trial else {
            return words;
        };
        if !trial.slowest_imports.is_empty() {
            words += "slowest imports of a trial init, each with what it imports itself:\n";
            for import in &trial.slowest_imports {
                let ms = import.microseconds / 1_000;
                writeln!(words, "{ms:>9} ms  {}", import.name).expect("a String takes all");
            }
        }
        if !trial.unused_packages.is_empty() {
            words += "never imported by the init (by a handler perhaps):\n";
            rows(&mut words, &trial.unused_packages);
        }
        words
    }
}

impl Layout {
    /// The top-level package that a file belongs to; none for what is no package.
    fn package(self, path: &str) -> Option<String> {
        match self {
            Layout::Python => {
                let (top, rest) = path.split_once('/')?;
                let code = rest.ends_with(".py") || rest.contains(".so");
                let name = !top.contains(['.', '-']);
                (name && code && top != "bin").then(|| top.to_owned())
            }
            Layout::Node => {
                let rest = path.strip_prefix("node_modules/")?;
                let name = self.top(rest);
                (!name.starts_with('.') && name.len() < rest.len()).then(|| name.to_owned())
            }
        }
    }

    /// The top-level package of a module.
    fn top(self, module: &str) -> &str {
        match self {
            Layout::Python => module.split('.').next().unwrap_or(module),
            Layout::Node => {
                let scope = usize::from(module.starts_with('@'));
                let end = module.match_indices('/').nth(scope);
                end.map_or(module, |(end, _)| &module[..end])
            }
        }
    }
}

fn largest_first<'a>(all: impl Iterator<Item = (&'a str, u64)>) -> Vec<Sized> {
    let mut all: Vec<Sized> = all
        .map(|(name, bytes)| Sized {
            name: name.to_owned(),
            bytes,
        })
        .collect();
    all.sort_by_key(|it| std::cmp::Reverse(it.bytes));
    all.truncate(ROWS);
    all
}

fn rows(words: &mut String, all: &[Sized]) {
    for Sized { name, bytes } in all {
        writeln!(words, "{:>12}  {name}", size(*bytes)).expect("a String takes all");
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", bytes / 1_024),
        _ => format!("{}.{} MiB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(all: &[(&str, u64)]) -> Vec<(String, u64)> {
        all.iter()
            .map(|(name, size)| ((*name).to_owned(), *size))
            .collect()
    }

    fn import(name: &str, microseconds: u64) -> Import {
        Import {
            name: name.to_owned(),
            microseconds,
        }
    }

    #[test]
    fn python_packages_that_are_not_imported_are_told() {
        let all = files(&[
            ("app.py", 100),
            ("heavy/__init__.py", 5_000),
            ("heavy/core.cpython-311-x86_64-linux-gnu.so", 3 << 20),
            ("heavy-1.0.dist-info/RECORD", 900),
            ("used/__init__.py", 10),
            ("data/table.csv", 7),
        ]);
        let mut report = Report::of_files(&all, Some(Layout::Python));
        let names: Vec<&String> = report.packages.keys().collect();
        assert_eq!(names, ["heavy", "used"]);
        report.tried(
            Layout::Python,
            vec![import("used.deep", 2_500), import("app", 900)],
        );
        let trial = report.trial.clone().unwrap();
        assert_eq!(trial.slowest_imports, [import("used.deep", 2_500)]);
        assert_eq!(trial.unused_packages[0].name, "heavy");
        let words = report.words();
        assert!(
            words.contains("2 ms  used.deep") && words.contains("3.0 MiB  heavy\n"),
            "{words}"
        );
    }

    #[test]
    fn node_packages_have_scopes() {
        let all = files(&[
            ("index.js", 1),
            ("node_modules/@aws/sdk/index.js", 10),
            ("node_modules/plain/lib/a.js", 20),
            ("node_modules/.package-lock.json", 30),
        ]);
        let mut report = Report::of_files(&all, Some(Layout::Node));
        report.tried(Layout::Node, vec![import("plain/lib/a.js", 5_000)]);
        let trial = report.trial.unwrap();
        assert_eq!(trial.unused_packages.len(), 1);
        assert_eq!(trial.unused_packages[0].name, "@aws/sdk");
    }
}
