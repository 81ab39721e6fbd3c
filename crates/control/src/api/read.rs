//! Operations that read one function.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilotlight_model::LambdaError;
use pilotlight_model::names::Target;
use pilotlight_model::node::Caller;
use serde::{Deserialize, Serialize};

use super::concurrency::Concurrency;
use super::configuration::Configuration;
use super::{download, rules};
use crate::catalog::record::Record;
use crate::control::Parts;

/// A function and, where the operation has one, a qualifier.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FunctionRequest {
    pub(super) function_name: String,
    pub(super) qualifier: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetFunctionResponse {
    configuration: Configuration,
    code: CodeLocation,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<Concurrency>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CodeLocation {
    repository_type: &'static str,
    location: String,
}

pub(super) async fn get_function(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: FunctionRequest,
) -> Result<GetFunctionResponse, LambdaError> {
    let target = request.target(caller)?;
    let (record, tags) = find(parts, &target).await?;
    let claim = parts.catalog.index().claim(&record.key);
    Ok(GetFunctionResponse {
        configuration: Configuration::whole(&record, target.qualifier.as_deref(), &parts.config),
        code: CodeLocation {
            repository_type: "S3",
            location: download::location(parts, &record.code.package),
        },
        tags,
        concurrency: claim.reserved.map(Concurrency::of),
    })
}

pub(super) async fn get_function_configuration(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: FunctionRequest,
) -> Result<Configuration, LambdaError> {
    let target = request.target(caller)?;
    let (record, _) = find(parts, &target).await?;
    Ok(Configuration::whole(
        &record,
        target.qualifier.as_deref(),
        &parts.config,
    ))
}

/// A function with its tags.
pub(super) async fn find(
    parts: &Parts,
    target: &Target,
) -> Result<(Record, BTreeMap<String, String>), LambdaError> {
    let target = target.clone();
    parts
        .catalog
        .read(move |session| {
            let record = rules::version(session, &target)?;
            let tags = session.tags(&record.key)?;
            Ok((record, tags))
        })
        .await
}

impl FunctionRequest {
    pub(super) fn target(&self, caller: &Caller) -> Result<Target, LambdaError> {
        Target::resolve(caller, &self.function_name, self.qualifier.as_deref())
    }
}
