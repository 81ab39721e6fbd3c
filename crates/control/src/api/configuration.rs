//! `FunctionConfiguration`, the shape in which the API shows a function, and which of its members are
//! there when.

use std::collections::BTreeMap;

use pilotlight_model::{SnapStart, Version};
use serde::Serialize;

use super::logging::Logging;
use crate::catalog::record::Record;
use crate::config::Config;
use crate::dates;
use crate::lifecycle::Reason;

/// As the API shows a function.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Configuration {
    function_name: String,
    function_arn: String,
    runtime: &'static str,
    role: String,
    handler: String,
    code_size: u64,
    description: String,
    timeout: u32,
    memory_size: u32,
    last_modified: String,
    code_sha256: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Variables>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter_config: Option<DeadLetter>,
    tracing_config: Tracing,
    revision_id: String,
    package_type: &'static str,
    architectures: [&'static str; 1],
    ephemeral_storage: Storage,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    layers: Vec<Layer>,
    snap_start: SnapStartShown,
    logging_config: Logging,
    #[serde(flatten)]
    live: Option<Live>,
}

/// What lists leave out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Live {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_reason_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_update_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_update_status_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_update_status_reason_code: Option<String>,
    runtime_version_config: RuntimeVersion,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RuntimeVersion {
    runtime_version_arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Variables {
    variables: BTreeMap<String, String>,
}

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeadLetter {
    target_arn: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tracing {
    mode: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Storage {
    size: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Layer {
    arn: String,
    code_size: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SnapStartShown {
    apply_on: &'static str,
    optimization_status: &'static str,
}

impl Configuration {
    /// A function by itself. The ARN has the qualifier that it was asked for with.
    pub(super) fn whole(record: &Record, qualifier: Option<&str>, config: &Config) -> Self {
        let lifecycle = &record.lifecycle;
        let (state_reason, state_reason_code) = parts(&lifecycle.state_reason);
        let (update_reason, update_reason_code) = parts(&lifecycle.update_reason);
        let live = Live {
            state: lifecycle.state.as_str(),
            state_reason,
            state_reason_code,
            last_update_status: lifecycle.update.map(|status| status.as_str()),
            last_update_status_reason: update_reason,
            last_update_status_reason_code: update_reason_code,
            runtime_version_config: RuntimeVersion {
                runtime_version_arn: runtime_version_arn(record, config),
            },
        };
        Self {
            live: Some(live),
            ..Self::listed(record, qualifier)
        }
    }

    /// A version that was just made: its ARN says which. `$LATEST` is shown as the function.
    pub(super) fn published(record: &Record, config: &Config) -> Self {
        let number = match record.key.version {
            Version::Latest => None,
            Version::Number(number) => Some(number.to_string()),
        };
        Self::whole(record, number.as_deref(), config)
    }

    /// A function in a list, which shows less.
    pub(super) fn listed(record: &Record, qualifier: Option<&str>) -> Self {
        let settings = &record.settings;
        let arn = record.key.function_arn();
        Self {
            function_name: record.key.name.to_string(),
            function_arn: match qualifier {
                Some(qualifier) => format!("{arn}:{qualifier}"),
                None => arn,
            },
            runtime: settings.runtime.as_str(),
            role: settings.role.clone(),
            handler: settings.handler.clone(),
            code_size: settings.code_size,
            description: settings.description.clone(),
            timeout: settings.timeout_s,
            memory_size: settings.memory_mb,
            last_modified: dates::written(settings.modified_ms, dates::OF_FUNCTIONS),
            code_sha256: settings.code_sha256.clone(),
            version: record.key.version.to_string(),
            environment: settings.environment.as_ref().map(|environment| Variables {
                variables: environment.0.clone(),
            }),
            dead_letter_config: settings
                .dead_letter
                .clone()
                .map(|target_arn| DeadLetter { target_arn }),
            tracing_config: Tracing {
                mode: settings.tracing_mode.clone(),
            },
            revision_id: record.revision_id.to_string(),
            package_type: "Zip",
            architectures: ["x86_64"],
            ephemeral_storage: Storage {
                size: settings.ephemeral_storage_mb,
            },
            layers: settings
                .layers
                .iter()
                .map(|layer| Layer {
                    arn: layer.key.to_string(),
                    code_size: layer.code_size,
                })
                .collect(),
            snap_start: SnapStartShown {
                apply_on: match settings.snap_start {
                    SnapStart::PublishedVersions => "PublishedVersions",
                    SnapStart::Auto | SnapStart::None => "None",
                },
                optimization_status: match settings.snap_start.applies(record.key.version) {
                    // A folder that is edited has no template.
                    true if settings.live_code.is_none() => "On",
                    _ => "Off",
                },
            },
            logging_config: Logging::of(settings),
            live: None,
        }
    }
}

fn parts(reason: &Option<Reason>) -> (Option<String>, Option<String>) {
    reason
        .as_ref()
        .map(|reason| (reason.text.clone(), reason.code.clone()))
        .unzip()
}

/// Names the image that the function really runs on, as the log's INIT_START line does. An image that is gone
/// since the function was made is named by the name of its runtime.
pub(super) fn runtime_version_arn(record: &Record, config: &Config) -> String {
    let runtime = record.settings.runtime.image();
    let image = config
        .runtimes
        .get(&runtime)
        .map_or(runtime.as_str(), |image| image.as_str());
    let region = &record.key.region;
    format!(
        "arn:{}:lambda:{region}::runtime:{image}",
        region.partition()
    )
}
