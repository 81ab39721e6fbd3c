//! What a node must know to run one version of a function.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, Digest, FunctionName, Region, Version};
use crate::logging::LogFormat;

/// Names one version of one function within the whole installation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VersionKey {
    /// Owner.
    pub account: AccountId,
    /// Region that the function was created in.
    pub region: Region,
    /// Bare name.
    pub name: FunctionName,
    /// `$LATEST` or a number.
    pub version: Version,
}

impl VersionKey {
    /// The key of the function itself: that of its `$LATEST`.
    pub fn function(&self) -> VersionKey {
        VersionKey {
            version: Version::Latest,
            ..self.clone()
        }
    }

    /// `arn:aws:lambda:<region>:<account>:function:<name>`, without a qualifier.
    pub fn function_arn(&self) -> String {
        format!(
            "arn:aws:lambda:{}:{}:function:{}",
            self.region, self.account, self.name
        )
    }
}

impl fmt::Display for VersionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.function_arn(), self.version)
    }
}

/// A runtime that this platform has an image for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Runtime {
    /// CPython 3.11 with Pilotlight's own bootstrap.
    #[serde(rename = "python3.11")]
    Python311,
    /// Node.js 20 with Pilotlight's own bootstrap.
    #[serde(rename = "nodejs20.x")]
    Nodejs20x,
    /// OpenJDK 17 with Pilotlight's own bootstrap.
    #[serde(rename = "java17")]
    Java17,
    /// The user's own `bootstrap` executable, which speaks the Runtime API.
    #[serde(rename = "provided.al2023")]
    ProvidedAl2023,
}

impl Runtime {
    /// Every runtime, in the order in which they are shown.
    pub const ALL: [Runtime; 4] = [
        Runtime::Python311,
        Runtime::Nodejs20x,
        Runtime::Java17,
        Runtime::ProvidedAl2023,
    ];

    /// The name in the Lambda API.
    pub fn as_str(self) -> &'static str {
        match self {
            Runtime::Python311 => "python3.11",
            Runtime::Nodejs20x => "nodejs20.x",
            Runtime::Java17 => "java17",
            Runtime::ProvidedAl2023 => "provided.al2023",
        }
    }

    /// The runtime of that Lambda API name, if this platform has it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|runtime| runtime.as_str() == name)
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything that decides how instances of a version run. Two specs with the same [`FunctionSpec::key`]
/// and [`FunctionSpec::revision`] are the same; a change to code or configuration makes a new revision.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionSpec {
    /// Which version this is.
    pub key: VersionKey,
    /// Counts up with every change of `$LATEST`; instances of an older revision take no new request.
    pub revision: u64,
    /// Image that the instances boot from.
    pub runtime: Runtime,
    /// As the user gave it; its meaning is the runtime's.
    pub handler: String,
    /// EROFS image mounted at `/var/task`.
    pub code: Digest,
    /// EROFS images merged at `/opt`, lowest first.
    pub layers: Vec<Digest>,
    /// The user's own variables.
    pub environment: BTreeMap<String, String>,
    /// Memory of an instance in MiB; CPU follows it.
    pub memory_mb: u32,
    /// Longest run of one invocation.
    pub timeout: Duration,
    /// Size of `/tmp` in MiB.
    pub ephemeral_storage_mb: u32,
    /// How long an idle instance is kept; `None` takes the platform's default.
    pub keep_alive: Option<Duration>,
    /// CloudWatch-style log group, `/aws/lambda/<name>` unless set.
    pub log_group: String,
    /// Format and levels of the log.
    #[serde(default)]
    pub log_format: LogFormat,
    /// Folder on this machine mounted live at `/var/task` in place of `code` (hot reload).
    pub live_code: Option<std::path::PathBuf>,
    /// The user wants no templates: every cold start runs the init.
    #[serde(default)]
    pub snap_start_refused: bool,
}

impl fmt::Debug for FunctionSpec {
    /// Values of environment variables are secrets often enough to stay out of every log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionSpec")
            .field("key", &self.key)
            .field("revision", &self.revision)
            .field("runtime", &self.runtime)
            .field("handler", &self.handler)
            .field("code", &self.code)
            .field("layers", &self.layers)
            .field("environment", &self.environment.keys())
            .field("memory_mb", &self.memory_mb)
            .field("timeout", &self.timeout)
            .field("ephemeral_storage_mb", &self.ephemeral_storage_mb)
            .field("keep_alive", &self.keep_alive)
            .field("log_group", &self.log_group)
            .field("log_format", &self.log_format)
            .field("live_code", &self.live_code)
            .field("snap_start_refused", &self.snap_start_refused)
            .finish()
    }
}
