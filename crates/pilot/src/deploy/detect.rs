//! Which runtime and handler a folder is made for, in the simple cases.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use pilotlight_model::Runtime;

/// Files that a Python handler is looked for in.
const PYTHON: [&str; 4] = ["lambda_function", "app", "handler", "main"];
/// Names that a Python handler has.
const HANDLERS: [&str; 3] = ["lambda_handler", "handler", "main"];
/// Bytes of a file that are looked at.
const SOURCE_BYTES: u64 = 1 << 20;

/// Files that a Node.js handler is looked for in, as CommonJS or ES modules.
const NODE: [&str; 3] = ["index.mjs", "index.js", "index.cjs"];

/// What a folder is made for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) runtime: Runtime,
    pub(super) handler: String,
}

/// Looks for an executable `bootstrap`, then for a Python handler, then for one of Node.js.
pub(super) fn detect(folder: &Path) -> anyhow::Result<Option<Found>> {
    let bootstrap = fs::metadata(folder.join("bootstrap"));
    if bootstrap.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0) {
        // The name is the bootstrap's own affair; this is what `sam` and `cargo lambda` use.
        return Ok(Some(Found {
            runtime: Runtime::ProvidedAl2023,
            handler: "bootstrap".to_owned(),
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
                handler,
            }));
        }
    }
    Ok(node(folder))
}

/// Names an `index` file's export `handler`, as AWS's console and samples do; what it exports is only known by
/// running it.
fn node(folder: &Path) -> Option<Found> {
    let file = NODE.into_iter().find(|file| folder.join(file).is_file())?;
    let (module, _) = file.rsplit_once('.')?;
    Some(Found {
        runtime: Runtime::Nodejs20x,
        handler: format!("{module}.handler"),
    })
}

/// Whether a line at the top level of a module defines `name`.
fn defines(source: &str, name: &str) -> bool {
    source.lines().any(|line| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("def ")
            .and_then(|rest| rest.trim_start().strip_prefix(name))
            .is_some_and(|rest| rest.trim_start().starts_with('('))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str, u32)]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, contents, mode) in files {
            let path = folder.path().join(name);
            fs::write(&path, contents).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        detect(folder.path())
            .unwrap()
            .map(|found| format!("{} {}", found.runtime, found.handler))
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
    }
}
