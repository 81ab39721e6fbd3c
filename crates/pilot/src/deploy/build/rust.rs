//! Rust projects: an executable named `bootstrap`, that runs on the image's C library.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use super::glibc;

/// A target that needs no C library.
const MUSL: &str = "x86_64-unknown-linux-musl";

/// Builds the project's program and copies it as `bootstrap` into a folder.
pub(super) fn bootstrap(source: &Path, into: &Path) -> anyhow::Result<()> {
    let mut program = cargo(source, None)?;
    if let Some(needed) = glibc::too_new(&program)? {
        if !has_musl() {
            bail!(
                "the program needs glibc {needed}, and the runtime has {}: `rustup target add {MUSL}` \
                 lets it be built without",
                glibc::IMAGE
            );
        }
        program = cargo(source, Some(MUSL))?;
    }
    let to = into.join("bootstrap");
    std::fs::copy(&program, &to).with_context(|| format!("cannot copy {}", program.display()))?;
    Ok(())
}

/// The one executable that a release build makes.
fn cargo(source: &Path, target: Option<&str>) -> anyhow::Result<PathBuf> {
    eprintln!("running cargo build --release");
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "build",
            "--release",
            "--bins",
            "--message-format=json-render-diagnostics",
        ])
        .current_dir(source)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if let Some(target) = target {
        cargo.args(["--target", target]);
    }
    let output = cargo
        .output()
        .context("cannot run cargo: is it installed?")?;
    if !output.status.success() {
        bail!("cargo failed: {}", output.status);
    }
    let programs = executables(&String::from_utf8_lossy(&output.stdout));
    match &programs[..] {
        [program] => Ok(program.clone()),
        [] => bail!("the project has no program: a function is one, with a main function"),
        several => bail!(
            "the project has {} programs; deploy one that was built, as a folder with a `bootstrap`",
            several.len()
        ),
    }
}

/// Paths of the programs that cargo tells of.
fn executables(messages: &str) -> Vec<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .collect()
}

fn has_musl() -> bool {
    let told = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .output();
    told.is_ok_and(|told| {
        String::from_utf8_lossy(&told.stdout)
            .lines()
            .any(|it| it == MUSL)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_tells_what_it_has_made() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\nnot JSON\n\
                        {\"reason\":\"compiler-artifact\",\"executable\":\"/t/release/hello\"}\n";
        assert_eq!(executables(messages), [PathBuf::from("/t/release/hello")]);
    }
}
