//! From a project to what its package is made of, by the tools that the project itself is for: pip, npm,
//! Maven or Gradle, cargo. They run here, as the user would run them; nothing of the function does.

mod glibc;
mod java;
mod rust;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use pilotlight_model::Runtime;
use tempfile::TempDir;

use super::detect::Found;

/// Files of a Node.js project that npm needs to install what it depends on.
const NPM_FILES: [&str; 4] = [
    "package.json",
    "package-lock.json",
    "npm-shrinkwrap.json",
    ".npmrc",
];

/// What a package is made of.
pub(super) struct Built {
    /// Folders whose contents it has; of the same path the first one's. Or one file, a jar or zip.
    pub(super) parts: Vec<PathBuf>,
    /// Names at the top of the first folder that are not part of it.
    pub(super) without: &'static [&'static str],
    /// What building has found out.
    pub(super) found: Option<Found>,
    /// Where the tools have put things; gone with this.
    _made: Option<TempDir>,
}

/// Builds what has to be built. `runtime` is what the user says.
pub(super) fn build(source: &Path, runtime: Option<Runtime>) -> anyhow::Result<Built> {
    let has = |name: &str| source.join(name).is_file();
    let may_be = |wanted: Runtime| runtime.is_none_or(|given| given == wanted);
    if has("bootstrap") {
        return Ok(plain(source));
    }
    if has("requirements.txt") && may_be(Runtime::Python311) {
        return python(source);
    }
    if has("package.json") && may_be(Runtime::Nodejs20x) && depends(&source.join("package.json"))? {
        return node(source);
    }
    if let Some(tool) = java::tool(source).filter(|_| may_be(Runtime::Java17)) {
        let jar = java::jar(source, tool)?;
        return Ok(Built {
            found: Some(super::detect::JAVA),
            ..plain(&jar)
        });
    }
    if has("Cargo.toml") && may_be(Runtime::ProvidedAl2023) {
        let made = folder()?;
        rust::bootstrap(source, made.path())?;
        return Ok(Built {
            found: Some(Found {
                runtime: Runtime::ProvidedAl2023,
                handler: Some("bootstrap".to_owned()),
            }),
            ..with(vec![made.path().to_owned()], made)
        });
    }
    Ok(plain(source))
}

fn plain(source: &Path) -> Built {
    Built {
        parts: vec![source.to_owned()],
        without: &[],
        found: None,
        _made: None,
    }
}

fn with(parts: Vec<PathBuf>, made: TempDir) -> Built {
    Built {
        parts,
        without: &[],
        found: None,
        _made: Some(made),
    }
}

fn folder() -> anyhow::Result<TempDir> {
    tempfile::tempdir().context("cannot make a temporary folder")
}

/// What `requirements.txt` names is installed for the runtime's version, whichever Python is here.
fn python(source: &Path) -> anyhow::Result<Built> {
    let made = folder()?;
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ])
    .args(["--no-compile", "--target"])
    .arg(made.path())
    .arg("--requirement")
    .arg(source.join("requirements.txt"));
    if python_version()? != "3.11" {
        // Nothing can be built for another version; wheels of these can be had.
        pip.args(["--python-version", "3.11", "--implementation", "cp"])
            .args(["--only-binary", ":all:"]);
        for platform in [
            "manylinux_2_34_x86_64",
            "manylinux_2_28_x86_64",
            "manylinux2014_x86_64",
        ] {
            pip.args(["--platform", platform]);
        }
    }
    run(&mut pip, "pip")?;
    Ok(with(vec![source.to_owned(), made.path().to_owned()], made))
}

fn python_version() -> anyhow::Result<String> {
    let script = "import sys; print('%d.%d' % sys.version_info[:2])";
    let told = Command::new("python3").args(["-c", script]).output();
    let told =
        told.context("requirements.txt is there, but python3 is not: install Python and pip")?;
    Ok(String::from_utf8_lossy(&told.stdout).trim().to_owned())
}

/// Whether a `package.json` names packages that the function needs.
fn depends(manifest: &Path) -> anyhow::Result<bool> {
    let text = std::fs::read_to_string(manifest)
        .with_context(|| format!("cannot read {}", manifest.display()))?;
    let manifest: serde_json::Value = serde_json::from_str(&text)
        .with_context(|| format!("{} is not JSON", manifest.display()))?;
    let needs = |key: &str| manifest[key].as_object().is_some_and(|it| !it.is_empty());
    Ok(needs("dependencies") || needs("optionalDependencies"))
}

/// What `package.json` names, without what is for development, beside the project and not in it.
fn node(source: &Path) -> anyhow::Result<Built> {
    let made = folder()?;
    for name in NPM_FILES {
        let file = source.join(name);
        if file.is_file() {
            std::fs::copy(&file, made.path().join(name))
                .with_context(|| format!("cannot copy {}", file.display()))?;
        }
    }
    let locked = ["package-lock.json", "npm-shrinkwrap.json"]
        .iter()
        .any(|name| source.join(name).is_file());
    let mut npm = Command::new("npm");
    npm.arg(if locked { "ci" } else { "install" })
        .args(["--omit=dev", "--no-audit", "--no-fund", "--silent"])
        .current_dir(made.path());
    if !locked {
        npm.arg("--no-package-lock");
    }
    run(&mut npm, "npm")?;
    let parts = vec![source.to_owned(), made.path().to_owned()];
    Ok(Built {
        without: &["node_modules"],
        ..with(parts, made)
    })
}

/// Runs a tool; what it says goes to standard error.
fn run(command: &mut Command, tool: &str) -> anyhow::Result<()> {
    eprintln!("running {tool}");
    let status = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("cannot run {tool}: is it installed?"))?;
    if !status.success() {
        bail!("{tool} failed: {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_what_a_function_needs_makes_npm_run() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("package.json");
        for (text, needs) in [
            (r#"{"type": "module"}"#, false),
            (
                r#"{"devDependencies": {"jest": "1"}, "dependencies": {}}"#,
                false,
            ),
            (r#"{"dependencies": {"left-pad": "1"}}"#, true),
        ] {
            fs::write(&manifest, text).unwrap();
            assert_eq!(depends(&manifest).unwrap(), needs, "{text}");
        }
        fs::write(&manifest, "{").unwrap();
        assert!(depends(&manifest).is_err());
    }

    #[test]
    fn what_is_built_already_is_not_built() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("bootstrap"), "#!/bin/sh").unwrap();
        fs::write(folder.path().join("Cargo.toml"), "not even TOML").unwrap();
        let built = build(folder.path(), None).unwrap();
        assert_eq!(built.parts, [folder.path()]);
        fs::remove_file(folder.path().join("bootstrap")).unwrap();
        // The user says what it is.
        let built = build(folder.path(), Some(Runtime::Python311)).unwrap();
        assert_eq!(built.parts, [folder.path()]);
    }
}
