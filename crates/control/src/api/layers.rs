//! Layers: PublishLayerVersion, GetLayerVersion, GetLayerVersionByArn and DeleteLayerVersion, and how a
//! version is shown.

pub(super) mod attach;
pub(super) mod listing;
pub(super) mod policy;

use std::sync::Arc;

use http::StatusCode;
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError, LayerKey, LayerVersionKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::create::CodeSource;
use super::{Answer, download, invalid, rules, typed};
use crate::catalog::layers::{LayerDetails, LayerRecord};
use crate::control::Parts;
use crate::dates;

/// Members that are read; others are refused where they say something.
const READ: [&str; 6] = [
    "LayerName",
    "Description",
    "Content",
    "CompatibleRuntimes",
    "CompatibleArchitectures",
    "LicenseInfo",
];

/// Members of its `Content` that are read.
const READ_CONTENT: [&str; 4] = ["ZipFile", "S3Bucket", "S3Key", "S3ObjectVersion"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PublishRequest {
    layer_name: String,
    content: CodeSource,
    #[serde(default)]
    description: String,
    license_info: Option<String>,
    compatible_runtimes: Option<Vec<String>>,
    compatible_architectures: Option<Vec<String>>,
}

/// One version of a layer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct VersionRequest {
    layer_name: String,
    version_number: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ArnRequest {
    arn: LayerVersionKey,
}

/// A version by itself.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Whole {
    content: Content,
    layer_arn: String,
    #[serde(flatten)]
    version: Shown,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    location: String,
    code_sha256: String,
    code_size: u64,
}

/// What lists show of a version too. What was not given at all is absent; an empty list is shown.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    layer_version_arn: String,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    created_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    compatible_runtimes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compatible_architectures: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    license_info: Option<String>,
}

/// Makes the next version of a layer, which is made with its first. Even the same contents are a new version.
pub(super) async fn publish(
    parts: &Arc<Parts>,
    caller: &Caller,
    input: Value,
) -> Result<Whole, LambdaError> {
    rules::nothing_else(&input, &READ)?;
    rules::nothing_else(&input["Content"], &READ_CONTENT)?;
    let request: PublishRequest = typed(input)?;
    let layer = layer(caller, &request.layer_name)?;
    owned(caller, &layer, "lambda:PublishLayerVersion", &layer)?;
    let zip = request.content.zip()?;
    let held = parts.packages.hold().await;
    let package = parts.packages.accept(zip, &held).await?;
    let details = LayerDetails {
        description: request.description,
        license: request.license_info,
        runtimes: request.compatible_runtimes,
        architectures: request.compatible_architectures,
        code_sha256: package.sha256,
        code_size: package.size,
        unpacked_bytes: package.unpacked_bytes,
        created_ms: parts.config.clock.unix_ms(),
    };
    let record = parts
        .catalog
        .write(move |session| {
            Ok::<_, LambdaError>(session.publish_layer(
                &layer,
                &package.zip,
                &package.image,
                details,
            )?)
        })
        .await?;
    drop(held);
    tracing::info!(layer = %record.key, "layer published");
    Ok(Whole::of(parts, record))
}

pub(super) async fn get(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: VersionRequest,
) -> Result<Whole, LambdaError> {
    let key = request.key(caller)?;
    find(parts, caller, key).await
}

pub(super) async fn get_by_arn(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ArnRequest,
) -> Result<Whole, LambdaError> {
    find(parts, caller, request.arn).await
}

/// AWS answers 204 for what is not there, too.
pub(super) async fn delete(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: VersionRequest,
) -> Result<Answer, LambdaError> {
    let key = request.key(caller)?;
    owned(caller, &key.layer, "lambda:DeleteLayerVersion", &key)?;
    parts
        .catalog
        .write(move |session| Ok::<_, LambdaError>(session.delete_layer(&key)?))
        .await?;
    parts.unreferenced.notify_one();
    Ok(Answer::Empty(StatusCode::NO_CONTENT))
}

async fn find(
    parts: &Arc<Parts>,
    caller: &Caller,
    key: LayerVersionKey,
) -> Result<Whole, LambdaError> {
    let asks = caller.clone();
    // A layer is reached in its own region alone.
    let here = key.layer.region == caller.region;
    let record = parts
        .catalog
        .read(move |session| {
            let found = session.layer(&key)?.filter(|_| here);
            policy::allow(&asks, &key, found.as_ref())?;
            found.ok_or_else(missing)
        })
        .await?;
    Ok(Whole::of(parts, record))
}

impl VersionRequest {
    fn key(&self, caller: &Caller) -> Result<LayerVersionKey, LambdaError> {
        let layer = layer(caller, &self.layer_name)?;
        match u64::try_from(self.version_number) {
            Ok(number @ 1..) => Ok(layer.version(number)),
            _ => Err(invalid("Layer Version Cannot be less than 1")),
        }
    }
}

impl Whole {
    fn of(parts: &Parts, record: LayerRecord) -> Self {
        Self {
            content: Content {
                location: download::location(parts, &record.package),
                code_sha256: record.details.code_sha256.clone(),
                code_size: record.details.code_size,
            },
            layer_arn: record.key.layer.to_string(),
            version: Shown::of(record),
        }
    }
}

impl Shown {
    /// As lists show it, which leave an empty description out.
    fn listed(record: LayerRecord) -> Self {
        let mut shown = Self::of(record);
        shown.description = shown.description.filter(|text| !text.is_empty());
        shown
    }

    fn of(record: LayerRecord) -> Self {
        let details = record.details;
        Self {
            layer_version_arn: record.key.to_string(),
            version: record.key.number,
            description: Some(details.description),
            created_date: dates::written(details.created_ms, dates::OF_FUNCTIONS),
            compatible_runtimes: details.runtimes,
            compatible_architectures: details.architectures,
            license_info: details.license,
        }
    }
}

/// The layer that a caller means. Its name has passed the service model's validation.
fn layer(caller: &Caller, name: &str) -> Result<LayerKey, LambdaError> {
    LayerKey::resolve(&caller.account, &caller.region, name)
        .map_err(|_| invalid(format!("Invalid layer name: {name}")))
}

/// What only the owner of a layer may do. A layer that is elsewhere is nobody's here.
fn owned(
    caller: &Caller,
    layer: &LayerKey,
    action: &str,
    resource: &impl std::fmt::Display,
) -> Result<(), LambdaError> {
    if layer.account != caller.account {
        return Err(policy::denied(caller, action, resource));
    }
    if layer.region != caller.region {
        return Err(missing());
    }
    Ok(())
}

fn missing() -> LambdaError {
    LambdaError::new(
        ErrorKind::ResourceNotFound,
        "The resource you requested does not exist.",
    )
}
