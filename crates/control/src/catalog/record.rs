//! What the catalog keeps of a version.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::logging::LogFormat;
use pilotlight_model::{
    Digest, FunctionSpec, LayerVersionKey, Runtime, RuntimeName, SnapStart, VersionKey,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::index::Entry;
use crate::lifecycle::Lifecycle;

/// One version of a function.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) key: VersionKey,
    /// Grows with every change, over all functions: a function that is made anew never repeats one.
    pub(crate) revision: u64,
    /// `RevisionId` of the API.
    pub(crate) revision_id: Uuid,
    pub(crate) code: Code,
    pub(crate) settings: Settings,
    pub(crate) lifecycle: Lifecycle,
    /// What invocations get now: of an older revision while an update is in progress.
    pub(crate) serving: Option<Arc<FunctionSpec>>,
}

/// The code package of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Code {
    /// The zip as it was uploaded, a blob of the store.
    pub(crate) package: Digest,
    /// The image of that zip alone.
    pub(crate) draft: Digest,
    /// The image that instances mount.
    pub(crate) image: Digest,
    /// The runtime that `image` holds byte code for.
    pub(crate) compiled: Option<Runtime>,
}

/// What the user configured, with the defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// As the user named it; it says what the function runs on.
    pub(crate) runtime: RuntimeName,
    pub(crate) handler: String,
    pub(crate) role: String,
    pub(crate) description: String,
    pub(crate) memory_mb: u32,
    pub(crate) timeout_s: u32,
    pub(crate) ephemeral_storage_mb: u32,
    /// Absent where it was never given.
    pub(crate) environment: Option<Environment>,
    pub(crate) tracing_mode: String,
    pub(crate) log_group: String,
    #[serde(default)]
    pub(crate) log_format: LogFormat,
    pub(crate) snap_start: SnapStart,
    /// ARN of where events go that are given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter: Option<String>,
    pub(crate) code_sha256: String,
    pub(crate) code_size: u64,
    /// Folder of this machine that the code is loaded from in place of the package (hot reload).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) live_code: Option<PathBuf>,
    /// Absent in rows of before it was counted, and then from what versions are compared by too.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) code_unpacked_bytes: u64,
    /// Lowest first. A layer's version that is deleted stays here as it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) layers: Vec<AttachedLayer>,
    pub(crate) modified_ms: u64,
}

/// A layer's version as a function has it, for as long as the function has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AttachedLayer {
    pub(crate) key: LayerVersionKey,
    pub(crate) code_size: u64,
    pub(crate) unpacked_bytes: u64,
    /// The zip as it was uploaded, a blob of the store.
    pub(crate) package: Digest,
    /// The image of that zip alone.
    pub(crate) draft: Digest,
}

fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

/// Environment variables. Their values never reach a log.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Environment(pub(crate) BTreeMap<String, String>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Record {
    /// What a node must know to run this revision. `layers` are the images of its layers, lowest first.
    pub(crate) fn spec(&self, keep_alive: Option<Duration>, layers: Vec<Digest>) -> FunctionSpec {
        FunctionSpec {
            key: self.key.clone(),
            revision: self.revision,
            runtime: self.settings.runtime,
            handler: self.settings.handler.clone(),
            code: self.code.image.clone(),
            layers,
            environment: self.settings.environment.clone().unwrap_or_default().0,
            memory_mb: self.settings.memory_mb,
            timeout: Duration::from_secs(self.settings.timeout_s.into()),
            ephemeral_storage_mb: self.settings.ephemeral_storage_mb,
            keep_alive,
            log_group: self.settings.log_group.clone(),
            log_format: self.settings.log_format,
            live_code: self.settings.live_code.clone(),
            snap_start: self.settings.snap_start,
        }
    }

    /// What the index holds of it.
    pub(crate) fn entry(&self) -> Entry {
        Entry {
            state: self.lifecycle.state,
            serving: self.serving.clone(),
        }
    }
}
