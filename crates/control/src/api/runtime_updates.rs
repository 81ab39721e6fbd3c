//! GetRuntimeManagementConfig and PutRuntimeManagementConfig. What is set is kept and shown; runtimes
//! themselves change when the platform is installed anew, for all functions at once.

use std::sync::Arc;

use pilotlight_model::LambdaError;
use pilotlight_model::names::Target;
use pilotlight_model::node::Caller;
use serde::{Deserialize, Serialize};

use super::configuration::runtime_version_arn;
use super::read::FunctionRequest;
use super::{invalid, rules};
use crate::catalog::asides::RuntimeUpdate;
use crate::control::Parts;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRuntimeUpdatesRequest {
    function_name: String,
    qualifier: Option<String>,
    update_runtime_on: String,
    runtime_version_arn: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RuntimeUpdates {
    update_runtime_on: String,
    function_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_version_arn: Option<String>,
}

pub(super) async fn get_runtime_management_config(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: FunctionRequest,
) -> Result<RuntimeUpdates, LambdaError> {
    let target = request.target(caller)?;
    parts
        .catalog
        .read(move |session| {
            let record = rules::version(session, &target)?;
            let update = session.runtime_update(&record.key)?;
            let update = update.unwrap_or_else(|| RuntimeUpdate {
                update_on: "Auto".to_owned(),
                runtime_version_arn: None,
            });
            Ok(RuntimeUpdates::of(&target, update))
        })
        .await
}

pub(super) async fn put_runtime_management_config(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: PutRuntimeUpdatesRequest,
) -> Result<RuntimeUpdates, LambdaError> {
    let target = Target::resolve(caller, &request.function_name, request.qualifier.as_deref())?;
    let update = RuntimeUpdate {
        update_on: request.update_runtime_on,
        runtime_version_arn: request.runtime_version_arn,
    };
    let manual = update.update_on == "Manual";
    match &update.runtime_version_arn {
        None if manual => {
            return Err(invalid(
                "RuntimeVersionArn is required when UpdateRuntimeOn is Manual.",
            ));
        }
        Some(_) if !manual => {
            return Err(invalid(
                "RuntimeVersionArn can only be set when UpdateRuntimeOn is Manual.",
            ));
        }
        _ => {}
    }
    let config = parts.config.clone();
    parts
        .catalog
        .write(move |session| {
            let record = rules::version(session, &target)?;
            let here = runtime_version_arn(&record, &config);
            if let Some(other) = update
                .runtime_version_arn
                .as_ref()
                .filter(|it| **it != here)
            {
                return Err(invalid(format!(
                    "The runtime version {other} is not available on this platform; {here} is."
                )));
            }
            session.set_runtime_update(&record.key, &update)?;
            Ok(RuntimeUpdates::of(&target, update))
        })
        .await
}

impl RuntimeUpdates {
    fn of(target: &Target, update: RuntimeUpdate) -> Self {
        let qualifier = target.qualifier.as_deref().unwrap_or("$LATEST");
        Self {
            update_runtime_on: update.update_on,
            function_arn: format!("{}:{qualifier}", target.function_arn()),
            runtime_version_arn: update.runtime_version_arn,
        }
    }
}
