//! Which runtime and handler a folder is made for, in the simple cases.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use pilotlight_model::Runtime;

/// Files that a Python handler is looked for in.
const PYTHON: [&str; 4] = ["lambda_function", "app", "handler", "main"];
/// Names that a Python handler has.
const HANDLERS: [&str; 3] = ["lambda_handler", "handler", "main"];
/// Levels of folders in which classes are looked for.
const CLASS_DEPTH: u32 = 8;
/// Bytes of a file that are looked at.
const SOURCE_BYTES: u64 = 1 << 20;

/// Files that a Node.js handler is looked for in, as CommonJS or ES modules.
const NODE: [&str; 3] = ["index.mjs", "index.js", "index.cjs"];

/// What a folder is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) runtime: Runtime,
    /// Java's can be anywhere: it has to be given.
    pub(super) handler: Option<String>,
}

/// Looks at a jar's name, or in a folder: for an executable `bootstrap`, then for a Python handler, then for
/// one of Node.js, then for Java's classes and jars.
pub(super) fn detect(source: &Path) -> anyhow::Result<Option<Found>> {
    if source.is_dir() {
        return detect_in(source);
    }
    let jar = source.extension().is_some_and(|it| it == "jar");
    Ok(jar.then_some(JAVA))
}

pub(super) const JAVA: Found = Found {
    runtime: Runtime::Java17,
    handler: None,
};

fn detect_in(folder: &Path) -> anyhow::Result<Option<Found>> {
    let bootstrap = fs::metadata(folder.join("bootstrap"));
    if bootstrap.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0) {
        // The name is the bootstrap's own affair; this is what `sam` and `cargo lambda` use.
        return Ok(Some(Found {
            runtime: Runtime::ProvidedAl2023,
            handler: Some("bootstrap".to_owned()),
        }));
    }
    for module in PYTHON {
        let path = folder.join(format!("{module}.py"));
        if !path.is_file() {
            continue;
        }
        let mut source = Vec::new();
        fs::File::open(&path)
            .and_then(|file| file.take(SOURCE_BYTES).read_to_end(&mut source))
            .with_context(|| format!("cannot read {}", path.display()))?;
        let source = String::from_utf8_lossy(&source);
        let defined = HANDLERS.into_iter().find(|name| defines(&source, name));
        if let Some(name) = defined {
            let handler = format!("{module}.{name}");
            return Ok(Some(Found {
                runtime: Runtime::Python311,
                handler: Some(handler),
            }));
        }
    }
    if let Some(found) = node(folder) {
        return Ok(Some(found));
    }
    let java = holds(&folder.join("lib"), "jar") || holds_classes(folder, CLASS_DEPTH);
    Ok(java.then_some(JAVA))
}

/// Names an `index` file's export `handler`, as AWS's console and samples do; what it exports is only known by
/// running it.
fn node(folder: &Path) -> Option<Found> {
    let index = NODE.into_iter().find(|file| folder.join(file).is_file());
    let file = index.map(str::to_owned).or_else(|| main(folder))?;
    let (module, _) = file.rsplit_once('.')?;
    Some(Found {
        runtime: Runtime::Nodejs20x,
        handler: Some(format!("{module}.handler")),
    })
}

/// The file that a `package.json` names as the package's own.
fn main(folder: &Path) -> Option<String> {
    let manifest = fs::read(folder.join("package.json")).ok()?;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).ok()?;
    let main = manifest["main"].as_str()?;
    let main = main.strip_prefix("./").unwrap_or(main);
    folder.join(main).is_file().then(|| main.to_owned())
}

/// Whether a file with that extension lies in a folder.
fn holds(folder: &Path, extension: &str) -> bool {
    entries(folder).any(|path| path.extension().is_some_and(|it| it == extension))
}

/// Whether a class file lies in a folder or, as packages do, some levels below.
fn holds_classes(folder: &Path, levels: u32) -> bool {
    holds(folder, "class")
        || levels > 0
            && entries(folder).any(|path| path.is_dir() && holds_classes(&path, levels - 1))
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path()))
}

/// Whether a line at the top level of a module defines `name`, or gives it a value, as adapters of web frameworks have it:
/// `handler = Mangum(app)`.
fn defines(source: &str, name: &str) -> bool {
    source.lines().any(|line| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        match line.strip_prefix("def ") {
            Some(rest) => rest
                .trim_start()
                .strip_prefix(name)
                .is_some_and(|rest| rest.trim_start().starts_with('(')),
            None => line.strip_prefix(name).is_some_and(gets_a_value),
        }
    })
}

/// Whether what follows a name makes the line an assignment, with a type or without.
fn gets_a_value(rest: &str) -> bool {
    let rest = rest.trim_start();
    let value = match rest.strip_prefix(':') {
        Some(typed) => typed.split_once('=').map(|(_, value)| value),
        None => rest.strip_prefix('='),
    };
    value.is_some_and(|value| !value.starts_with('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str, u32)]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, contents, mode) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, contents).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        detect(folder.path())
            .unwrap()
            .map(|found| format!("{} {}", found.runtime, found.handler.unwrap_or_default()))
    }

    #[test]
    fn finds_what_is_meant() {
        let app = (
            "app.py",
            "import os\n\ndef handler(event, context):\n    pass\n",
            0o644,
        );
        assert_eq!(found(&[app]).as_deref(), Some("python3.11 app.handler"));
        let bootstrap = ("bootstrap", "#!/bin/sh", 0o755);
        assert_eq!(
            found(&[app, bootstrap]).as_deref(),
            Some("provided.al2023 bootstrap")
        );
        let not_executable = ("bootstrap", "#!/bin/sh", 0o644);
        assert_eq!(found(&[not_executable]), None);
        let within = (
            "main.py",
            "class A:\n    def handler(self, event): pass\n",
            0o644,
        );
        assert_eq!(found(&[within]), None);
        let index = ("index.mjs", "export const handler = async () => 1", 0o644);
        assert_eq!(found(&[index]).as_deref(), Some("nodejs20.x index.handler"));
        assert_eq!(
            found(&[index, app]).as_deref(),
            Some("python3.11 app.handler")
        );
        let longer = ("main.py", "def handlers(): pass\n", 0o644);
        assert_eq!(found(&[longer]), None);
        for (line, finds) in [
            ("handler = Mangum(app)", true),
            ("handler: Callable = make_handler(app)", true),
            ("handler=app", true),
            ("handler == app", false),
            ("handler: Callable", false),
            ("handlers = []", false),
            ("    handler = app", false),
        ] {
            let adapter = format!("app = FastAPI()\n{line}\n");
            let found = found(&[("main.py", &adapter, 0o644)]);
            let expected = finds.then_some("python3.11 main.handler");
            assert_eq!(found.as_deref(), expected, "{line}");
        }
        let class = ("com/shop/Orders.class", "", 0o644);
        assert_eq!(found(&[class]).as_deref(), Some("java17 "));
        let library = ("lib/orders.jar", "", 0o644);
        assert_eq!(found(&[library]).as_deref(), Some("java17 "));
        let jar = detect(Path::new("target/orders.jar")).unwrap().unwrap();
        assert_eq!(jar, JAVA);
    }
}
