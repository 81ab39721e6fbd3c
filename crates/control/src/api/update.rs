//! UpdateFunctionCode and UpdateFunctionConfiguration. The change is written at once and shown to
//! invocations when it has been made ready; until then they get the revision before.

use std::sync::Arc;

use pilotlight_model::names::Target;
use pilotlight_model::node::Caller;
use pilotlight_model::{LambdaError, VersionKey};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::configuration::Configuration;
use super::create::CodeSource;
use super::layers::attach;
use super::settings::Changes;
use super::{function_signing, rules, typed};
use crate::catalog::Session;
use crate::catalog::record::{Code, Record};
use crate::control::Parts;

/// Members of UpdateFunctionCode that are read.
const CODE: [&str; 10] = [
    "FunctionName",
    "ZipFile",
    "S3Bucket",
    "S3Key",
    "S3ObjectVersion",
    "ImageUri",
    "Publish",
    "DryRun",
    "RevisionId",
    "Architectures",
];

/// Members of UpdateFunctionConfiguration that are read.
const CONFIGURATION: [&str; 15] = [
    "FunctionName",
    "Role",
    "Handler",
    "Description",
    "Timeout",
    "MemorySize",
    "Environment",
    "Runtime",
    "TracingConfig",
    "RevisionId",
    "Layers",
    "EphemeralStorage",
    "SnapStart",
    "LoggingConfig",
    "DeadLetterConfig",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateFunctionCodeRequest {
    function_name: String,
    #[serde(default)]
    publish: bool,
    #[serde(default)]
    dry_run: bool,
    revision_id: Option<String>,
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(flatten)]
    source: CodeSource,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateFunctionConfigurationRequest {
    function_name: String,
    revision_id: Option<String>,
    #[serde(flatten)]
    changes: Changes,
}

pub(super) async fn update_function_code(
    parts: &Arc<Parts>,
    caller: &Caller,
    input: Value,
) -> Result<Configuration, LambdaError> {
    rules::nothing_else(&input, &CODE)?;
    let request: UpdateFunctionCodeRequest = typed(input)?;
    let key = rules::changeable(&Target::resolve(caller, &request.function_name, None)?)?;
    let revision_id = request.revision_id.clone();

    // Cheap to find out before the package is unpacked; the write below decides.
    let (probe, known) = (key.clone(), revision_id.clone());
    parts
        .catalog
        .read(move |session| {
            changeable(session, &probe, known.as_deref())?;
            function_signing::check(session, &probe)
        })
        .await?;
    rules::architectures(&request.architectures)?;
    let (zip, folder) = request.source.read(parts).await?;
    let held = parts.packages.hold().await;
    let package = parts.packages.accept(zip, &held).await?;
    let now_ms = parts.config.clock.unix_ms();
    let dry_run = request.dry_run;
    let record = parts
        .catalog
        .write(move |session| {
            let mut record = changeable(session, &key, revision_id.as_deref())?;
            function_signing::check(session, &key)?;
            record.settings.describe(&package, folder);
            attach::fits(&record.settings)?;
            if dry_run {
                return Ok(record);
            }
            record.code = Code::of(&package);
            let record = change(session, record, now_ms)?;
            match request.publish {
                true => Ok::<_, LambdaError>(session.publish(&record, None, now_ms)?),
                false => Ok(record),
            }
        })
        .await?;
    drop(held);
    match dry_run {
        // What was published to find out whether it can be is not needed.
        true => parts.unreferenced.notify_one(),
        false => parts.unsettled.notify_one(),
    }
    Ok(Configuration::published(&record, &parts.config))
}

pub(super) async fn update_function_configuration(
    parts: &Arc<Parts>,
    caller: &Caller,
    input: Value,
) -> Result<Configuration, LambdaError> {
    rules::nothing_else(&input, &CONFIGURATION)?;
    let request: UpdateFunctionConfigurationRequest = typed(input)?;
    let key = rules::changeable(&Target::resolve(caller, &request.function_name, None)?)?;
    let now_ms = parts.config.clock.unix_ms();
    let offer = parts.config.offer();
    let record = parts
        .catalog
        .write(move |session| {
            let mut record = changeable(session, &key, request.revision_id.as_deref())?;
            request.changes.check_dead_letter(session, &key)?;
            request.changes.apply(&mut record.settings, &offer)?;
            request
                .changes
                .attach(session, &key, &mut record.settings)?;
            change(session, record, now_ms)
        })
        .await?;
    parts.unsettled.notify_one();
    Ok(Configuration::whole(&record, None, &parts.config))
}

/// The function, if it is there, is the revision that the caller knows, and no other change is under way.
pub(super) fn changeable(
    session: &Session<'_>,
    key: &VersionKey,
    revision_id: Option<&str>,
) -> Result<Record, LambdaError> {
    let arn = key.function_arn();
    let record = session
        .find(key)?
        .ok_or_else(|| LambdaError::function_not_found(&arn))?;
    rules::revision(revision_id, record.revision_id)?;
    record.lifecycle.updating(&arn)?;
    Ok(record)
}

fn change(session: &Session<'_>, mut record: Record, now_ms: u64) -> Result<Record, LambdaError> {
    record.lifecycle = record.lifecycle.updating(&record.key.function_arn())?;
    record.revision = session.next_revision()?;
    record.revision_id = Uuid::new_v4();
    record.settings.modified_ms = now_ms;
    session.update(&record)?;
    Ok(record)
}
