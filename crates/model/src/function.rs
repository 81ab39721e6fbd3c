//! What a node must know to run one version of a function.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, Digest, FunctionName, Region, Version};
use crate::logging::LogFormat;
use crate::runtime::RuntimeName;

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

    /// `arn:<partition>:lambda:<region>:<account>:function:<name>`, without a qualifier.
    pub fn function_arn(&self) -> String {
        format!(
            "arn:{}:lambda:{}:{}:function:{}",
            self.region.partition(),
            self.region,
            self.account,
            self.name
        )
    }
}

impl fmt::Display for VersionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.function_arn(), self.version)
    }
}

/// `SnapStart` of the Lambda API: what its owner says of templates of a function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapStart {
    /// Nothing: versions and `$LATEST` have them where they can.
    #[default]
    Auto,
    /// None: every cold start runs the init.
    None,
    /// The same as nothing; besides, a published version waits for its template before it is Active.
    PublishedVersions,
}

impl SnapStart {
    /// Whether a version is one that SnapStart was asked for.
    pub fn applies(self, version: Version) -> bool {
        self == SnapStart::PublishedVersions && version != Version::Latest
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
    /// As the user named it; it says which image the instances boot from.
    pub runtime: RuntimeName,
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
    /// Whether it may have a template, and whether its owner counts on that.
    #[serde(default)]
    pub snap_start: SnapStart,
}

impl FunctionSpec {
    /// Whether it is what Lambda would start from a snapshot: a published version of a function that has
    /// SnapStart.
    pub fn has_snap_start(&self) -> bool {
        self.snap_start.applies(self.key.version) && self.live_code.is_none()
    }
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
            .field("snap_start", &self.snap_start)
            .finish()
    }
}
