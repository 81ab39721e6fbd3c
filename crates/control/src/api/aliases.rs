//! CreateAlias, GetAlias, UpdateAlias, DeleteAlias and ListAliases.

mod shapes;

use std::sync::Arc;

use http::StatusCode;
use pilotlight_model::limits::ALIASES;
use pilotlight_model::names::Target;
use pilotlight_model::node::Caller;
use pilotlight_model::{AliasName, ErrorKind, LambdaError, Routing, Version, VersionKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use shapes::{AliasConfiguration, RoutingConfig};

use super::markers::{page, seen};
use super::{Answer, invalid, rules};
use crate::catalog::Session;
use crate::catalog::aliases::Alias;
use crate::control::Parts;
use crate::paging::cut;
use crate::shift;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateAliasRequest {
    function_name: String,
    name: String,
    function_version: String,
    description: Option<String>,
    routing_config: Option<RoutingConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateAliasRequest {
    function_name: String,
    name: String,
    function_version: Option<String>,
    description: Option<String>,
    routing_config: Option<RoutingConfig>,
    revision_id: Option<String>,
}

/// An alias of a function.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AliasRequest {
    function_name: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListAliasesRequest {
    function_name: String,
    function_version: Option<String>,
    marker: Option<String>,
    max_items: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListAliasesResponse {
    aliases: Vec<AliasConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

pub(super) async fn create_alias(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: CreateAliasRequest,
) -> Result<AliasConfiguration, LambdaError> {
    let (function, name) = named(caller, &request.function_name, &request.name)?;
    let weights = request.routing_config.unwrap_or_default();
    parts
        .catalog
        .write(move |session| {
            let version = version(&function, &request.function_version)?;
            let routing = Routing {
                version,
                additional: weights.beside(&function, version)?,
            };
            there(session, &function, routing)?;
            if session.alias(&function, &name)?.is_some() {
                return Err(LambdaError::new(
                    ErrorKind::ResourceConflict,
                    format!("Alias already exists: {}", arn(&function, &name)),
                ));
            }
            if session.count_aliases(&function)? >= ALIASES {
                return Err(LambdaError::new(
                    ErrorKind::AliasLimitExceeded,
                    format!("The function has {ALIASES} aliases, the most that it can have."),
                ));
            }
            let alias = Alias {
                name,
                routing,
                description: request.description.unwrap_or_default(),
                revision_id: Uuid::new_v4(),
            };
            session.put_alias(&function, &alias)?;
            Ok(AliasConfiguration::of(&function, alias))
        })
        .await
}

pub(super) async fn get_alias(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: AliasRequest,
) -> Result<AliasConfiguration, LambdaError> {
    let (function, name) = named(caller, &request.function_name, &request.name)?;
    parts
        .catalog
        .read(move |session| {
            exists(session, &function)?;
            let alias = session
                .alias(&function, &name)?
                .ok_or_else(|| not_found("Cannot find alias arn", &function, &name))?;
            Ok(AliasConfiguration::of(&function, alias))
        })
        .await
}

/// What is absent stays; a routing without weights takes the second version away. What requests move to is made ready
/// first.
pub(super) async fn update_alias(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: UpdateAliasRequest,
) -> Result<AliasConfiguration, LambdaError> {
    let (function, name) = named(caller, &request.function_name, &request.name)?;
    let request = Arc::new(request);
    let looked = (function.clone(), name.clone(), Arc::clone(&request));
    let (before, after) = parts
        .catalog
        .read(move |session| {
            let (function, name, request) = looked;
            let (before, after) = updated(session, &function, &name, &request)?;
            Ok::<_, LambdaError>((before.routing, after.routing))
        })
        .await?;
    shift::make_ready(parts, &function, before, after).await;
    parts
        .catalog
        .write(move |session| {
            // Looked at anew: it may have been changed meanwhile.
            let (_, alias) = updated(session, &function, &name, &request)?;
            session.put_alias(&function, &alias)?;
            Ok(AliasConfiguration::of(&function, alias))
        })
        .await
}

/// The alias as it is, and as that request makes it.
fn updated(
    session: &Session<'_>,
    function: &VersionKey,
    name: &AliasName,
    request: &UpdateAliasRequest,
) -> Result<(Alias, Alias), LambdaError> {
    exists(session, function)?;
    let before = session
        .alias(function, name)?
        .ok_or_else(|| not_found("Alias not found", function, name))?;
    rules::revision(request.revision_id.as_deref(), before.revision_id)?;
    let mut alias = before.clone();
    if let Some(text) = &request.function_version {
        alias.routing.version = version(function, text)?;
    }
    let kept = RoutingConfig::of(alias.routing);
    let weights = request.routing_config.as_ref().unwrap_or(&kept);
    alias.routing.additional = weights.beside(function, alias.routing.version)?;
    there(session, function, alias.routing)?;
    if let Some(description) = &request.description {
        alias.description.clone_from(description);
    }
    // AWS gives a new one even where nothing has changed.
    alias.revision_id = Uuid::new_v4();
    Ok((before, alias))
}

/// Answers 204 for an alias that is not there, as long as the function is.
pub(super) async fn delete_alias(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: AliasRequest,
) -> Result<Answer, LambdaError> {
    let (function, name) = named(caller, &request.function_name, &request.name)?;
    parts
        .catalog
        .write(move |session| {
            exists(session, &function)?;
            Ok::<_, LambdaError>(session.delete_alias(&function, &name)?)
        })
        .await?;
    Ok(Answer::Empty(StatusCode::NO_CONTENT))
}

/// The aliases of a function by name; with `FunctionVersion` those that may invoke that version.
pub(super) async fn list_aliases(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ListAliasesRequest,
) -> Result<ListAliasesResponse, LambdaError> {
    let function = rules::changeable(&Target::resolve(caller, &request.function_name, None)?)?;
    let page = page(request.max_items);
    let after = seen(request.marker.as_deref())?.unwrap_or_default();
    let only = request.function_version;
    let only = only.map(|text| version(&function, &text)).transpose()?;
    parts
        .catalog
        .read(move |session| {
            exists(session, &function)?;
            let mut aliases = session.aliases(&function, only, &after, Some(page + 1))?;
            let next_marker = cut(&mut aliases, page, |last| last.name.to_string());
            Ok(ListAliasesResponse {
                next_marker,
                aliases: aliases
                    .into_iter()
                    .map(|alias| AliasConfiguration::of(&function, alias))
                    .collect(),
            })
        })
        .await
}

/// The function and the alias that a request means.
fn named(
    caller: &Caller,
    function: &str,
    alias: &str,
) -> Result<(VersionKey, AliasName), LambdaError> {
    let target = Target::resolve(caller, function, None)?;
    // An alias may be named by its own ARN too.
    let function = match target.qualifier.as_deref() == Some(alias) {
        true => rules::latest(&target),
        false => rules::changeable(&target)?,
    };
    // The model has checked it.
    let name = alias
        .parse()
        .map_err(|_| invalid(format!("'{alias}' is not the name of an alias.")))?;
    Ok((function, name))
}

fn exists(session: &Session<'_>, function: &VersionKey) -> Result<(), LambdaError> {
    match session.find(function)? {
        Some(_) => Ok(()),
        None => Err(LambdaError::function_not_found(&function.function_arn())),
    }
}

/// Every version that the alias is to point at is there.
fn there(
    session: &Session<'_>,
    function: &VersionKey,
    routing: Routing,
) -> Result<(), LambdaError> {
    for version in routing.versions() {
        let key = VersionKey {
            version,
            ..function.clone()
        };
        if session.find(&key)?.is_none() {
            return Err(LambdaError::function_not_found(&key.to_string()));
        }
    }
    Ok(())
}

/// A version as a request writes it. What cannot be one, as `007`, is not there.
fn version(function: &VersionKey, text: &str) -> Result<Version, LambdaError> {
    text.parse().map_err(|_| {
        LambdaError::function_not_found(&format!("{}:{text}", function.function_arn()))
    })
}

fn arn(function: &VersionKey, alias: &AliasName) -> String {
    format!("{}:{alias}", function.function_arn())
}

fn not_found(words: &str, function: &VersionKey, alias: &AliasName) -> LambdaError {
    let arn = arn(function, alias);
    LambdaError::new(ErrorKind::ResourceNotFound, format!("{words}: {arn}"))
}
