//! PutProvisionedConcurrencyConfig, GetProvisionedConcurrencyConfig, DeleteProvisionedConcurrencyConfig and
//! ListProvisionedConcurrencyConfigs.

mod status;

use std::sync::Arc;

use http::StatusCode;
use pilotlight_model::names::{Qualifier, Target};
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError, Version, VersionKey};
use serde::{Deserialize, Serialize};

use super::markers::{FunctionListRequest, page, seen};
use super::{Answer, invalid, rules};
use crate::catalog::Session;
use crate::catalog::concurrency::ProvisionedConfig;
use crate::claims::{Claim, LEAST_UNRESERVED};
use crate::control::Parts;
use crate::paging::cut;
use status::Shown;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRequest {
    #[serde(flatten)]
    of: QualifiedRequest,
    provisioned_concurrent_executions: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QualifiedRequest {
    function_name: String,
    qualifier: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListResponse {
    provisioned_concurrency_configs: Vec<Listed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    function_arn: String,
    #[serde(flatten)]
    shown: Shown,
}

pub(super) async fn put(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: PutRequest,
) -> Result<Shown, LambdaError> {
    let (target, qualifier) = named(caller, &request.of, UNPUBLISHED)?;
    let function = rules::latest(&target);
    let config = ProvisionedConfig {
        qualifier,
        requested: request.provisioned_concurrent_executions,
        modified_ms: parts.config.clock.unix_ms(),
    };
    let limit = parts.config.limits.account_concurrency;
    let (owner, written) = (function.clone(), config.clone());
    parts
        .catalog
        .write(move |session| {
            let claim = there(session, &owner, &written.qualifier)?;
            fits(session, &owner, &claim, &written, limit)?;
            once(session, &owner, &claim, &written.qualifier)?;
            Ok::<_, LambdaError>(session.provision(&owner, &written)?)
        })
        .await?;
    Ok(status::of(parts, &function, &config).begun())
}

pub(super) async fn get(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: QualifiedRequest,
) -> Result<Shown, LambdaError> {
    let (target, qualifier) = named(caller, &request, NEITHER)?;
    let function = rules::latest(&target);
    let owner = function.clone();
    let config = parts
        .catalog
        .read(move |session| {
            there(session, &owner, &qualifier)?;
            let configs = session.provisioned_configs(&owner)?.into_iter();
            let config = configs.into_iter().find(|it| it.qualifier == qualifier);
            config.ok_or_else(|| {
                LambdaError::new(
                    ErrorKind::ProvisionedConcurrencyConfigNotFound,
                    "No Provisioned Concurrency Config found for this function",
                )
            })
        })
        .await?;
    Ok(status::of(parts, &function, &config))
}

/// Answers 204 for a configuration that is not there, as long as the version or alias is.
pub(super) async fn delete(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: QualifiedRequest,
) -> Result<Answer, LambdaError> {
    let (target, qualifier) = named(caller, &request, NEITHER)?;
    let function = rules::latest(&target);
    parts
        .catalog
        .write(move |session| {
            there(session, &function, &qualifier)?;
            Ok::<_, LambdaError>(session.unprovision(&function, &qualifier.to_string())?)
        })
        .await?;
    Ok(Answer::Empty(StatusCode::NO_CONTENT))
}

/// The configurations of a function, by qualifier.
pub(super) async fn list(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: FunctionListRequest,
) -> Result<ListResponse, LambdaError> {
    let target = Target::resolve(caller, &request.function_name, None)?;
    let function = rules::latest(&target);
    let page = page(request.max_items);
    let after = seen(request.marker.as_deref())?.unwrap_or_default();
    let owner = function.clone();
    let configs = parts
        .catalog
        .read(move |session| {
            if session.claim(&owner)?.is_none() {
                return Err(LambdaError::function_not_found(&owner.function_arn()));
            }
            Ok(session.provisioned_configs(&owner)?)
        })
        .await?;
    let configs = configs.into_iter();
    let named = configs.map(|config| (config.qualifier.to_string(), config));
    let mut found: Vec<_> = named.filter(|(name, _)| *name > after).collect();
    let next_marker = cut(&mut found, page, |(last, _)| last.clone());
    let listed = |(name, config): &(String, ProvisionedConfig)| Listed {
        function_arn: format!("{}:{name}", function.function_arn()),
        shown: status::of(parts, &function, config),
    };
    Ok(ListResponse {
        provisioned_concurrency_configs: found.iter().map(listed).collect(),
        next_marker,
    })
}

/// AWS's words where `$LATEST` is to be provisioned.
const UNPUBLISHED: &str =
    "Provisioned Concurrency Configs cannot be applied to unpublished function versions.";
/// AWS's words where it is asked for.
const NEITHER: &str = "The function resource provided must be an alias or a published version.";

/// The version or alias that a request means; `latest` says why `$LATEST` will not do.
fn named(
    caller: &Caller,
    request: &QualifiedRequest,
    latest: &str,
) -> Result<(Target, Qualifier), LambdaError> {
    let QualifiedRequest {
        function_name,
        qualifier,
    } = request;
    let target = Target::resolve(caller, function_name, Some(qualifier))?;
    match target.qualifier.as_deref().unwrap_or("$LATEST").parse() {
        Ok(Qualifier::Version(Version::Latest)) => Err(invalid(latest)),
        Ok(qualifier) => Ok((target, qualifier)),
        Err(_) => Err(LambdaError::function_not_found(&target.arn())),
    }
}

/// The function's claim, once the version or alias is known to be there.
fn there(
    session: &Session<'_>,
    function: &VersionKey,
    qualifier: &Qualifier,
) -> Result<Claim, LambdaError> {
    let arn = format!("{}:{qualifier}", function.function_arn());
    match qualifier {
        Qualifier::Version(version) => {
            let key = VersionKey {
                version: *version,
                ..function.clone()
            };
            let missing = || LambdaError::function_not_found(&arn);
            session.find(&key)?.ok_or_else(missing)?;
        }
        Qualifier::Alias(alias) => {
            session.alias(function, alias)?.ok_or_else(|| {
                let message = format!("Cannot find alias arn: {arn}");
                LambdaError::new(ErrorKind::ResourceNotFound, message)
            })?;
        }
    }
    Ok(session.claim(function)?.unwrap_or_default())
}

/// Whether that much is there to be provisioned: of what the function reserves, or of what nobody does.
fn fits(
    session: &Session<'_>,
    function: &VersionKey,
    claim: &Claim,
    config: &ProvisionedConfig,
    limit: u32,
) -> Result<(), LambdaError> {
    let others = claim.provisioned.iter();
    let others = others.filter(|(qualifier, _)| *qualifier != config.qualifier);
    let wanted = u64::from(config.requested);
    let own = others.map(|(_, count)| u64::from(*count)).sum::<u64>() + wanted;
    if let Some(reserved) = claim.reserved {
        return match own > u64::from(reserved) {
            true => Err(invalid(
                "Requested Provisioned Concurrency should not be greater than the \
                 reservedConcurrentExecution for function",
            )),
            false => Ok(()),
        };
    }
    let unreserved = u64::from(limit).saturating_sub(session.taken_by_others(function)?);
    if own > unreserved {
        return Err(invalid(format!(
            "Specified ConcurrentExecutions for function is greater than account's unreserved \
             concurrency [{unreserved}]."
        )));
    }
    let least = LEAST_UNRESERVED.min(limit);
    if unreserved - own < u64::from(least) {
        return Err(invalid(format!(
            "Specified ConcurrentExecutions for function decreases account's \
             UnreservedConcurrentExecution below its minimum value of [{least}]."
        )));
    }
    Ok(())
}

/// A version is provisioned by itself or by its alias, not both.
fn once(
    session: &Session<'_>,
    function: &VersionKey,
    claim: &Claim,
    qualifier: &Qualifier,
) -> Result<(), LambdaError> {
    let has = |qualifier: &Qualifier| claim.provisioned.iter().any(|(it, _)| it == qualifier);
    let conflict = |message: &str| Err(LambdaError::new(ErrorKind::ResourceConflict, message));
    match qualifier {
        Qualifier::Alias(alias) => {
            let routing = session.alias(function, alias)?.map(|alias| alias.routing);
            for version in routing.iter().flat_map(|routing| routing.versions()) {
                if version == Version::Latest {
                    return Err(invalid(UNPUBLISHED));
                }
                if has(&Qualifier::Version(version)) {
                    return conflict(
                        "Alias can't be used for Provisioned Concurrency configuration on an already \
                         Provisioned version",
                    );
                }
            }
        }
        Qualifier::Version(version) => {
            let aliases = session.aliases(function, Some(*version), "", None)?;
            if aliases
                .into_iter()
                .any(|alias| has(&Qualifier::Alias(alias.name)))
            {
                return conflict("Version is pointed by a Provisioned Concurrency alias");
            }
        }
    }
    Ok(())
}
