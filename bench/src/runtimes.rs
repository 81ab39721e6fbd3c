//! The runtimes whose start kinds are measured.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

/// A runtime, and what a start of it should cost.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// Its name on AWS.
    pub name: &'static str,
    /// The function that says hello.
    pub hello: &'static str,
    /// Handler of that function.
    pub handler: &'static str,
    /// How often `forked` should fit into a `runc run` of the same image.
    pub runc_to_forked: f64,
    /// Longest median of `forked`, in milliseconds, on a quiet machine.
    pub forked_ms: f64,
}

/// All of them.
pub(crate) const RUNTIMES: &[Runtime] = &[
    Runtime {
        name: "python3.11",
        hello: "examples/hello-python",
        handler: "lambda_function.lambda_handler",
        runc_to_forked: 15.0,
        forked_ms: 5.0,
    },
    Runtime {
        name: "nodejs20.x",
        hello: "examples/hello-node",
        handler: "index.handler",
        runc_to_forked: 30.0,
        forked_ms: 5.0,
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

    /// Reads what its image is built from.
    pub(crate) fn recipe(&self) -> anyhow::Result<Recipe> {
        let path = format!("runtimes/{}/recipe.toml", self.name);
        let recipe: toml::Table = std::fs::read_to_string(&path)
            .with_context(|| path.clone())?
            .parse()
            .with_context(|| path.clone())?;
        let argv = recipe
            .get("argv")
            .cloned()
            .unwrap_or(Vec::<String>::new().into());
        let env = recipe.get("env").and_then(toml::Value::as_table);
        let pair =
            |(name, value): (&String, &toml::Value)| Some(format!("{name}={}", value.as_str()?));
        Ok(Recipe {
            argv: argv.try_into().with_context(|| format!("argv of {path}"))?,
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
