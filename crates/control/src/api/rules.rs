//! Rules about meaning that the service model does not hold: what AWS refuses with
//! InvalidParameterValueException, and what this platform does not have yet. What cannot be honoured is
//! refused by name, never ignored.

use std::collections::BTreeMap;

use pilotlight_model::limits::{ENVIRONMENT_BYTES, MEMORY_MB};
use pilotlight_model::names::{FunctionRef, Qualifier, Target};
use pilotlight_model::node::Caller;
use pilotlight_model::runtime::Offer;
use pilotlight_model::{ErrorKind, LambdaError, RuntimeName, SnapStart, Version, VersionKey};
use serde_json::Value;

use super::invalid;
use crate::catalog::Session;
use crate::catalog::record::Record;

/// Variables that the platform sets; AWS does not let users set them.
const RESERVED: [&str; 18] = [
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
];

/// `$LATEST` of the function that `target` means.
pub(super) fn latest(target: &Target) -> VersionKey {
    VersionKey {
        account: target.account.clone(),
        region: target.region.clone(),
        name: target.name.clone(),
        version: Version::Latest,
    }
}

/// The version that `target` means now: of an alias the one that it points at first.
pub(super) fn version(session: &Session<'_>, target: &Target) -> Result<Record, LambdaError> {
    let function = latest(target);
    let asked = target.qualifier.as_deref().unwrap_or("$LATEST");
    let version = match asked.parse() {
        Ok(Qualifier::Version(version)) => Some(version),
        Ok(Qualifier::Alias(alias)) => session
            .alias(&function, &alias)?
            .map(|alias| alias.routing.version),
        Err(_) => None,
    };
    let key = version.map(|version| VersionKey {
        version,
        ..function
    });
    let record = key.map_or(Ok(None), |key| session.find(&key))?;
    record.ok_or_else(|| LambdaError::function_not_found(&target.arn()))
}

/// Whether there is what `target` means: the function, and the version or alias where it names one.
pub(super) fn exists(session: &Session<'_>, target: &Target) -> Result<bool, LambdaError> {
    match version(session, target) {
        Ok(_) => Ok(true),
        Err(error) if error.kind == ErrorKind::ResourceNotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The key of what can be changed or published: published versions are for ever.
pub(super) fn changeable(target: &Target) -> Result<VersionKey, LambdaError> {
    match target.qualifier.as_deref() {
        None | Some("$LATEST") => Ok(latest(target)),
        Some(_) => Err(LambdaError::function_not_found(&target.arn())),
    }
}

/// The key of a function to be created, from its name, partial or full ARN, without a qualifier.
pub(super) fn new_function(caller: &Caller, name: &str) -> Result<VersionKey, LambdaError> {
    let target = Target::resolve(caller, name, None).map_err(|error| {
        let long = name
            .parse()
            .is_ok_and(|it: FunctionRef| it.name == name && name.len() > 64);
        if long {
            invalid(format!(
                "1 validation error detected: Value '{name}' at 'functionName' failed to satisfy \
                 constraint: Member must have length less than or equal to 64"
            ))
        } else {
            error
        }
    })?;
    if target.qualifier.is_some() {
        return Err(invalid(format!(
            "A function cannot be created under a qualified name: {name}"
        )));
    }
    Ok(latest(&target))
}

/// 412 when the caller knows an older revision.
pub(super) fn revision(given: Option<&str>, current: uuid::Uuid) -> Result<(), LambdaError> {
    match given {
        Some(given) if given != current.to_string() => Err(LambdaError::new(
            ErrorKind::PreconditionFailed,
            "The Revision Id provided does not match the latest Revision Id. Call the \
             GetFunction/GetAlias API to retrieve the latest Revision Id",
        )),
        _ => Ok(()),
    }
}

/// A runtime that runs here.
pub(super) fn runtime(name: &str, offer: &Offer) -> Result<RuntimeName, LambdaError> {
    offer
        .judge(name)
        .map_err(|error| invalid(error.to_string()))
}

/// SnapStart is for the runtimes that Lambda has it for; templates are for all, and need no asking for.
pub(super) fn snap_start(wanted: SnapStart, runtime: RuntimeName) -> Result<(), LambdaError> {
    match wanted {
        SnapStart::PublishedVersions if !runtime.has_snap_start() => Err(invalid(format!(
            "{runtime} is not supported for SnapStart enabled functions."
        ))),
        _ => Ok(()),
    }
}

/// Environment variables that the platform can set for an instance.
pub(super) fn environment(variables: &BTreeMap<String, String>) -> Result<(), LambdaError> {
    const UNABLE: &str = "Lambda was unable to configure your environment variables because the \
                          environment variables you have provided";
    let reserved: Vec<&str> = variables
        .keys()
        .map(String::as_str)
        .filter(|key| RESERVED.contains(key))
        .collect();
    if !reserved.is_empty() {
        return Err(invalid(format!(
            "{UNABLE} contains reserved keys that are currently not supported for modification. \
             Reserved keys used in this request: {}",
            reserved.join(", ")
        )));
    }
    if let Some((key, _)) = variables.iter().find(|(_, value)| value.contains('\0')) {
        return Err(invalid(format!(
            "{UNABLE} contains a null character in the value of {key}"
        )));
    }
    // AWS repeats the whole text here; the values may be secrets, so only its size is told.
    let size = serde_json::to_string(variables).map_or(0, |text| text.len());
    if size > ENVIRONMENT_BYTES {
        return Err(invalid(format!(
            "{UNABLE} exceeded the 4KB limit. String measured: {size} bytes"
        )));
    }
    Ok(())
}

/// Memory that a function of the usual kind can have; the model allows more, for kinds that are not here.
pub(super) fn memory(memory_mb: u32) -> Result<(), LambdaError> {
    if memory_mb <= MEMORY_MB {
        return Ok(());
    }
    Err(LambdaError::new(
        ErrorKind::Validation,
        format!(
            "1 validation error detected: Value '{memory_mb}' at 'memorySize' failed to satisfy \
             constraint: Member must have value less than or equal to {MEMORY_MB}"
        ),
    ))
}

/// This platform runs on x86-64.
pub(super) fn architectures(given: &[String]) -> Result<(), LambdaError> {
    match given.first().map(String::as_str) {
        None | Some("x86_64") => Ok(()),
        Some(other) => Err(invalid(format!(
            "The architecture {other} is not available on this platform. Available architectures: x86_64"
        ))),
    }
}

/// Refuses what a request says beyond the members that its handler reads. Empty values say nothing.
pub(super) fn nothing_else(input: &Value, read: &[&str]) -> Result<(), LambdaError> {
    let mut members = input.as_object().into_iter().flatten();
    let unread =
        members.find(|(name, value)| !read.contains(&name.as_str()) && says_something(value));
    match unread {
        Some((name, _)) => Err(invalid(format!(
            "{name} is not supported on this platform yet; leave it out or empty."
        ))),
        None => Ok(()),
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => values.iter().any(says_something),
        Value::Object(fields) => fields.values().any(says_something),
        Value::Bool(true) | Value::Number(_) => true,
    }
}
