//! What a machine can do, found out by doing it: `pilot doctor`.
//!
//! Every check tries the very thing that a sandbox needs, in namespaces and folders of its own, and leaves nothing.

mod cgroups;
mod kernel;
mod mounts;
mod network;
mod resources;
mod scratch;
mod templates;

use std::error::Error;
use std::path::Path;

use serde::Serialize;

pub use self::templates::templates;

/// One thing tried, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was tried, in a few words.
    pub name: &'static str,
    /// Whether it will do.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
    /// What to do about it; none when all is well.
    pub advice: Option<String>,
}

/// Whether what was found will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It will.
    Ok,
    /// It works, but something is slower or missing.
    Warn,
    /// Functions cannot run.
    Fail,
}

/// Tries everything, in about a second. `data_dir` is where the platform keeps its files; it need not exist.
#[must_use]
pub fn run(data_dir: &Path) -> Vec<Check> {
    let mut checks = vec![kernel::privilege(), kernel::version()];
    checks.extend(kernel::namespaces());
    checks.extend([kernel::user_namespace(), kernel::seccomp(), templates()]);
    checks.extend(mounts::all(data_dir));
    checks.extend(cgroups::all());
    checks.extend(network::all());
    checks.extend(resources::all(data_dir));
    checks
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Check {
        Check {
            name,
            outcome: Outcome::Ok,
            found: found.into(),
            advice: None,
        }
    }

    fn warn(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Check {
        Check {
            name,
            outcome: Outcome::Warn,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    fn fail(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Check {
        Check {
            name,
            outcome: Outcome::Fail,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    /// Fine with what was found, or failed with the error and its sources.
    fn of(name: &'static str, tried: Result<String, impl Error>, advice: &str) -> Check {
        match tried {
            Ok(found) => Check::ok(name, found),
            Err(error) => Check::fail(name, chain(&error), advice),
        }
    }
}

/// An error with all its sources, in one line.
fn chain(error: &dyn Error) -> String {
    let sources = std::iter::successors(Some(error), |error| (*error).source());
    sources
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
