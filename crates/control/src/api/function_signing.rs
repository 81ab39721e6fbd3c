//! The code signing configuration of a function: PutFunctionCodeSigningConfig,
//! GetFunctionCodeSigningConfig, DeleteFunctionCodeSigningConfig, ListFunctionsByCodeSigningConfig, and
//! what a deploy asks of it. Nothing here is signed (AWS Signer signs objects in S3), so that `Enforce`
//! refuses all code, as AWS refuses code without a signature, and `Warn` lets it through.

use std::sync::Arc;

use http::StatusCode;
use pilotlight_model::names::Target;
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError, VersionKey};
use serde::{Deserialize, Serialize};

use super::code_signing::{arn_of, find, id};
use super::markers::{page, seen};
use super::{Answer, rules};
use crate::catalog::Session;
use crate::catalog::signing::CodeSigning;
use crate::control::Parts;
use crate::paging::cut;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FunctionSigningRequest {
    function_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutFunctionSigningRequest {
    function_name: String,
    code_signing_config_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListFunctionsRequest {
    code_signing_config_arn: String,
    marker: Option<String>,
    max_items: Option<usize>,
}

/// A function without a configuration has no ARN to show.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FunctionSigning {
    #[serde(skip_serializing_if = "Option::is_none")]
    code_signing_config_arn: Option<String>,
    function_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListFunctionsResponse {
    function_arns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

pub(super) async fn put(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: PutFunctionSigningRequest,
) -> Result<FunctionSigning, LambdaError> {
    let function = rules::changeable(&Target::resolve(caller, &request.function_name, None)?)?;
    let (owner, arn) = (caller.clone(), request.code_signing_config_arn);
    parts
        .catalog
        .write(move |session| {
            let config = named(session, &owner, &arn)?;
            match session.set_signing(&function, Some(&config.id))? {
                true => Ok(FunctionSigning {
                    code_signing_config_arn: Some(arn),
                    function_name: function.name.to_string(),
                }),
                false => Err(LambdaError::function_not_found(&function.function_arn())),
            }
        })
        .await
}

pub(super) async fn get(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: FunctionSigningRequest,
) -> Result<FunctionSigning, LambdaError> {
    let target = Target::resolve(caller, &request.function_name, None)?;
    let owner = caller.clone();
    parts
        .catalog
        .read(move |session| {
            let function = rules::version(session, &target)?.key;
            let config = session.signing_of(&function)?;
            Ok(FunctionSigning {
                code_signing_config_arn: config.map(|id| arn_of(&owner, &id)),
                function_name: function.name.to_string(),
            })
        })
        .await
}

pub(super) async fn delete(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: FunctionSigningRequest,
) -> Result<Answer, LambdaError> {
    let function = rules::changeable(&Target::resolve(caller, &request.function_name, None)?)?;
    parts
        .catalog
        .write(move |session| match session.set_signing(&function, None)? {
            true => Ok(()),
            false => Err(LambdaError::function_not_found(&function.function_arn())),
        })
        .await?;
    Ok(Answer::Empty(StatusCode::NO_CONTENT))
}

pub(super) async fn list(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ListFunctionsRequest,
) -> Result<ListFunctionsResponse, LambdaError> {
    let (owner, page) = (caller.clone(), page(request.max_items));
    let after = seen(request.marker.as_deref())?.unwrap_or_default();
    parts
        .catalog
        .read(move |session| {
            let config = find(session, &owner, &request.code_signing_config_arn)?;
            let mut names = session.signed_functions(&owner, &config.id, &after, page + 1)?;
            let next_marker = cut(&mut names, page, |last| last.to_string());
            let Caller {
                account, region, ..
            } = &owner;
            let partition = region.partition();
            let arn = |name| format!("arn:{partition}:lambda:{region}:{account}:function:{name}");
            Ok(ListFunctionsResponse {
                function_arns: names.iter().map(arn).collect(),
                next_marker,
            })
        })
        .await
}

/// The id of the configuration that a new function is to have. Its code is judged by it.
pub(super) fn of_new(
    session: &Session<'_>,
    function: &VersionKey,
    arn: &str,
) -> Result<String, LambdaError> {
    let owner = owner(function);
    let config = named(session, &owner, arn)?;
    judge(&config, function)?;
    Ok(config.id)
}

/// Whether new code can be a function's.
pub(super) fn check(session: &Session<'_>, function: &VersionKey) -> Result<(), LambdaError> {
    let Some(id) = session.signing_of(function)? else {
        return Ok(());
    };
    match session.code_signing(&owner(function), &id)? {
        Some(config) => judge(&config, function),
        None => Ok(()),
    }
}

fn owner(function: &VersionKey) -> Caller {
    Caller {
        account: function.account.clone(),
        region: function.region.clone(),
        function: None,
    }
}

fn judge(config: &CodeSigning, function: &VersionKey) -> Result<(), LambdaError> {
    if config.policy != "Enforce" {
        return Ok(());
    }
    Err(LambdaError::new(
        ErrorKind::CodeVerificationFailed,
        format!(
            "Lambda cannot deploy the function. The function or layer might be signed using a signature \
             that the client is not configured to accept. Check the provided signature for {}.",
            function.name
        ),
    ))
}

/// The configuration that a function is to have.
fn named(session: &Session<'_>, owner: &Caller, arn: &str) -> Result<CodeSigning, LambdaError> {
    let config = id(owner, arn).map_or(Ok(None), |id| session.code_signing(owner, id))?;
    config.ok_or_else(|| {
        LambdaError::new(
            ErrorKind::CodeSigningConfigNotFound,
            format!(
                "The code signing configuration cannot be found. Check that the provided configuration is \
                 not deleted: {arn}."
            ),
        )
    })
}
