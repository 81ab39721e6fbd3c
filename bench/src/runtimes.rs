//! The runtimes whose start kinds are measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::platform::MEMORY_MB;

/// A runtime, and what a start of it should cost.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// Its name on AWS.
    pub name: &'static str,
    /// The function that says hello.
    pub hello: &'static str,
    /// Its source where that has to be compiled first.
    pub source: Option<&'static str>,
    /// Handler of that function.
    pub handler: &'static str,
    /// How often `forked` should fit into a `runc run` of the same image.
    pub runc_to_forked: f64,
    /// Longest median of `forked`, in milliseconds, on a quiet machine.
    pub forked_ms: f64,
}

/// The runtime of all functions that are made for this benchmark.
pub(crate) const PYTHON: Runtime = Runtime {
    name: "python3.11",
    hello: "examples/hello-python",
    source: None,
    handler: "lambda_function.lambda_handler",
    runc_to_forked: 15.0,
    forked_ms: 5.0,
};

/// All of them.
pub(crate) const RUNTIMES: &[Runtime] = &[
    PYTHON,
    Runtime {
        name: "nodejs20.x",
        hello: "examples/hello-node",
        source: None,
        handler: "index.handler",
        runc_to_forked: 30.0,
        forked_ms: 5.0,
    },
    Runtime {
        name: "java17",
        hello: "examples/hello-java",
        source: Some("src/example/Hello.java"),
        handler: "example.Hello::handle",
        runc_to_forked: 40.0,
        forked_ms: 8.0,
    },
];

/// How a runtime's program is started, as its recipe says.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
}

impl Runtime {
    /// The function's name of that runtime for that purpose: without dots.
    pub(crate) fn function(&self, purpose: &str) -> String {
        format!("{}-{purpose}", self.name.replace('.', "-"))
    }

    /// The folder with its hello, ready to be deployed; compiled into `folder` if need be.
    pub(crate) fn code(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let hello = std::path::absolute(self.hello)?;
        let Some(source) = self.source else {
            return Ok(hello);
        };
        let classes = folder.join("classes");
        let status = Command::new("javac")
            .args(["--release", "17", "-d"])
            .arg(&classes)
            .arg(hello.join(source))
            .status()
            .context("cannot run javac (make deps)")?;
        ensure!(status.success(), "javac ended with {status}");
        Ok(classes)
    }

    /// Reads what its image is built from.
    pub(crate) fn recipe(&self) -> anyhow::Result<Recipe> {
        let path = format!("runtimes/{}/recipe.toml", self.name);
        let recipe: toml::Table = std::fs::read_to_string(&path)
            .with_context(|| path.clone())?
            .parse()
            .with_context(|| path.clone())?;
        let argv: Vec<String> = recipe
            .get("argv")
            .cloned()
            .context("no argv")?
            .try_into()
            .with_context(|| format!("argv of {path}"))?;
        let memory_mb = MEMORY_MB.to_string();
        let env = recipe.get("env").and_then(toml::Value::as_table);
        let pair =
            |(name, value): (&String, &toml::Value)| Some(format!("{name}={}", value.as_str()?));
        Ok(Recipe {
            argv: argv
                .iter()
                .map(|it| it.replace("{memory_mb}", &memory_mb))
                .collect(),
            env: env.into_iter().flatten().filter_map(pair).collect(),
        })
    }

    /// Digest of the image that `data_dir` holds.
    pub(crate) fn image(&self, data_dir: &Path) -> anyhow::Result<String> {
        let path = data_dir.join(format!("runtimes/{}.json", self.name));
        let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let record: Value = serde_json::from_slice(&text)?;
        let digest = record["digest"].as_str();
        Ok(digest
            .context("no digest in the image's record")?
            .to_owned())
    }
}
