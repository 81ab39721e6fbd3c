//! CreateFunction.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::configuration::Configuration;
use super::settings::Changes;
use super::{function_signing, hot_reload, invalid, rules, tags, typed};
use crate::catalog::record::{Code, Record};
use crate::control::Parts;
use crate::lifecycle::Lifecycle;
use crate::packages::Package;

/// Members that are read; others are refused where they say something.
const READ: [&str; 20] = [
    "FunctionName",
    "Runtime",
    "Role",
    "Handler",
    "Code",
    "Description",
    "Timeout",
    "MemorySize",
    "Publish",
    "PackageType",
    "Environment",
    "TracingConfig",
    "Tags",
    "Layers",
    "Architectures",
    "EphemeralStorage",
    "SnapStart",
    "LoggingConfig",
    "CodeSigningConfigArn",
    "DeadLetterConfig",
];

/// Members of its `Code` that are read.
const READ_CODE: [&str; 5] = [
    "ZipFile",
    "S3Bucket",
    "S3Key",
    "S3ObjectVersion",
    "ImageUri",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateFunctionRequest {
    function_name: String,
    code: CodeSource,
    #[serde(default)]
    publish: bool,
    package_type: Option<String>,
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    code_signing_config_arn: Option<String>,
    #[serde(flatten)]
    changes: Changes,
}

/// Where code comes from.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CodeSource {
    zip_file: Option<String>,
    s3_bucket: Option<String>,
    s3_key: Option<String>,
    image_uri: Option<String>,
}

pub(super) async fn create_function(
    parts: &Arc<Parts>,
    caller: &Caller,
    input: Value,
) -> Result<Configuration, LambdaError> {
    rules::nothing_else(&input, &READ)?;
    rules::nothing_else(&input["Code"], &READ_CODE)?;
    let request: CreateFunctionRequest = typed(input)?;
    if request.package_type.as_deref() == Some("Image") {
        return Err(invalid(
            "PackageType Image is not supported on this platform yet; use Zip.",
        ));
    }
    rules::architectures(&request.architectures)?;
    let key = rules::new_function(caller, &request.function_name)?;
    let mut settings = request
        .changes
        .first(key.name.as_str(), &parts.config.offer())?;
    tags::check(&request.tags)?;
    let (zip, folder) = request.code.read(parts).await?;

    // Cheap to find out before the package is unpacked; the write below decides.
    let (probe, mut asked) = (key.clone(), settings.clone());
    let request = parts
        .catalog
        .read(move |session| {
            if session.find(&probe)?.is_some() {
                return Err(exists(probe.name.as_str()));
            }
            if let Some(arn) = &request.code_signing_config_arn {
                function_signing::of_new(session, &probe, arn)?;
            }
            request.changes.check_dead_letter(session, &probe)?;
            request.changes.attach(session, &probe, &mut asked)?;
            Ok(request)
        })
        .await?;
    let held = parts.packages.hold().await;
    let package = parts.packages.accept(zip, &held).await?;
    settings.describe(&package, folder);
    settings.modified_ms = parts.config.clock.unix_ms();
    let (most, index) = (
        parts.config.limits.functions,
        Arc::clone(parts.catalog.index()),
    );
    let record = parts
        .catalog
        .write(move |session| {
            if session.find(&key)?.is_some() {
                return Err(exists(key.name.as_str()));
            }
            // The index counts those of all accounts, so that most creations need not count their own.
            if index.len() as u64 >= most && session.usage(&key.account, &key.region)?.0 >= most {
                return Err(LambdaError::new(
                    ErrorKind::CodeStorageExceeded,
                    format!(
                        "The account has {most} functions, the most that this platform allows."
                    ),
                ));
            }
            request.changes.attach(session, &key, &mut settings)?;
            let record = Record {
                revision: session.next_revision()?,
                key,
                revision_id: Uuid::new_v4(),
                code: Code::of(&package),
                settings,
                lifecycle: Lifecycle::created(),
                serving: None,
            };
            session.insert(&record)?;
            session.set_tags(&record.key, &request.tags)?;
            if let Some(arn) = &request.code_signing_config_arn {
                let config = function_signing::of_new(session, &record.key, arn)?;
                session.set_signing(&record.key, Some(&config))?;
            }
            match request.publish {
                true => Ok(session.publish(&record, None, record.settings.modified_ms)?),
                false => Ok(record),
            }
        })
        .await?;
    drop(held);
    parts.unsettled.notify_one();
    Ok(Configuration::whole(&record, None, &parts.config))
}

fn exists(name: &str) -> LambdaError {
    LambdaError::new(
        ErrorKind::ResourceConflict,
        format!("Function already exist: {name}"),
    )
}

impl CodeSource {
    /// The bytes of a function's zip; for a folder that is to be loaded as it changes, those of one that
    /// stands for it, and the folder.
    pub(super) async fn read(
        &self,
        parts: &Parts,
    ) -> Result<(Bytes, Option<PathBuf>), LambdaError> {
        let bucket = self.s3_bucket.as_deref();
        if bucket == Some(hot_reload::BUCKET) && parts.config.hot_reload.is_on() {
            let key = self.s3_key.as_deref().unwrap_or_default();
            let folder = hot_reload::folder(&parts.config, key).await?;
            return Ok((Bytes::from_static(hot_reload::PACKAGE), Some(folder)));
        }
        Ok((self.zip()?, None))
    }

    /// The bytes of an inline zip.
    pub(super) fn zip(&self) -> Result<Bytes, LambdaError> {
        if self.image_uri.is_some() {
            return Err(invalid(
                "Please don't provide ImageUri when the function has packageType Zip.",
            ));
        }
        if self.s3_bucket.is_some() {
            return Err(invalid(
                "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The \
                 specified bucket does not exist",
            ));
        }
        let text = self
            .zip_file
            .as_deref()
            .filter(|text| !text.is_empty())
            .ok_or_else(|| invalid("Please provide a source for function code."))?;
        BASE64_STANDARD
            .decode(text)
            .map(Bytes::from)
            .map_err(|_| LambdaError::new(ErrorKind::Serialization, "ZipFile is not valid base64"))
    }
}

impl Code {
    /// Code that has only been accepted: the image of the zip alone.
    pub(super) fn of(package: &Package) -> Self {
        Self {
            package: package.zip.clone(),
            draft: package.image.clone(),
            image: package.image.clone(),
            compiled: None,
        }
    }
}
