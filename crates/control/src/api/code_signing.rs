//! Code signing configurations: CreateCodeSigningConfig, GetCodeSigningConfig, UpdateCodeSigningConfig,
//! DeleteCodeSigningConfig and ListCodeSigningConfigs. What functions do with them is in
//! [`super::function_signing`].

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::markers::{page, seen};
use super::{Answer, invalid, tags};
use crate::catalog::Session;
use crate::catalog::signing::CodeSigning;
use crate::control::Parts;
use crate::dates;
use crate::paging::cut;

/// Configurations of one account and region.
const MOST: usize = 1_000;
/// Letters and digits of an id, behind `csc-`.
const ID_CHARS: usize = 17;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateRequest {
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(flatten)]
    changes: Changes,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateRequest {
    code_signing_config_arn: String,
    #[serde(flatten)]
    changes: Changes,
}

/// What can be said of a configuration. What is absent stays.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Changes {
    description: Option<String>,
    allowed_publishers: Option<Publishers>,
    code_signing_policies: Option<Policies>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ConfigRequest {
    code_signing_config_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListRequest {
    marker: Option<String>,
    max_items: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ConfigResponse {
    code_signing_config: Config,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListResponse {
    code_signing_configs: Vec<Config>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

/// As the API shows a configuration.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    code_signing_config_id: String,
    code_signing_config_arn: String,
    description: String,
    allowed_publishers: Publishers,
    code_signing_policies: Policies,
    last_modified: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Publishers {
    signing_profile_version_arns: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Policies {
    untrusted_artifact_on_deployment: Option<String>,
}

pub(super) async fn create(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: CreateRequest,
) -> Result<ConfigResponse, LambdaError> {
    tags::check(&request.tags)?;
    let mut config = CodeSigning {
        id: format!("csc-{}", &Uuid::new_v4().simple().to_string()[..ID_CHARS]),
        description: String::new(),
        publishers: Vec::new(),
        policy: "Warn".to_owned(),
        modified_ms: parts.config.clock.unix_ms(),
        tags: request.tags,
    };
    request.changes.apply(&mut config);
    let owner = caller.clone();
    parts
        .catalog
        .write(move |session| {
            if session.code_signings(&owner, "", MOST)?.len() >= MOST {
                return Err(invalid(format!(
                    "The account has {MOST} code signing configurations, the most that this platform \
                     allows."
                )));
            }
            session.put_code_signing(&owner, &config)?;
            Ok(ConfigResponse::of(&owner, config))
        })
        .await
}

pub(super) async fn get(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ConfigRequest,
) -> Result<ConfigResponse, LambdaError> {
    let owner = caller.clone();
    parts
        .catalog
        .read(move |session| {
            let config = find(session, &owner, &request.code_signing_config_arn)?;
            Ok(ConfigResponse::of(&owner, config))
        })
        .await
}

pub(super) async fn update(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: UpdateRequest,
) -> Result<ConfigResponse, LambdaError> {
    let (owner, now_ms) = (caller.clone(), parts.config.clock.unix_ms());
    parts
        .catalog
        .write(move |session| {
            let mut config = find(session, &owner, &request.code_signing_config_arn)?;
            request.changes.apply(&mut config);
            config.modified_ms = now_ms;
            session.put_code_signing(&owner, &config)?;
            Ok(ConfigResponse::of(&owner, config))
        })
        .await
}

/// A configuration that a function has stays.
pub(super) async fn delete(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ConfigRequest,
) -> Result<Answer, LambdaError> {
    let owner = caller.clone();
    parts
        .catalog
        .write(move |session| {
            let config = find(session, &owner, &request.code_signing_config_arn)?;
            if !session
                .signed_functions(&owner, &config.id, "", 1)?
                .is_empty()
            {
                return Err(LambdaError::new(
                    ErrorKind::ResourceConflict,
                    format!(
                        "The code signing configuration {} is in use by a function.",
                        request.code_signing_config_arn
                    ),
                ));
            }
            Ok(session.delete_code_signing(&owner, &config.id)?)
        })
        .await?;
    Ok(Answer::Empty(StatusCode::NO_CONTENT))
}

pub(super) async fn list(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ListRequest,
) -> Result<ListResponse, LambdaError> {
    let (owner, page) = (caller.clone(), page(request.max_items));
    let after = seen(request.marker.as_deref())?.unwrap_or_default();
    parts
        .catalog
        .read(move |session| {
            let mut found = session.code_signings(&owner, &after, page + 1)?;
            let next_marker = cut(&mut found, page, |last| last.id.clone());
            let shown = found.into_iter().map(|config| Config::of(&owner, config));
            Ok(ListResponse {
                code_signing_configs: shown.collect(),
                next_marker,
            })
        })
        .await
}

/// The configuration of that ARN; another account's is one that is not there.
pub(super) fn find(
    session: &Session<'_>,
    owner: &Caller,
    arn: &str,
) -> Result<CodeSigning, LambdaError> {
    let config = id(owner, arn).map_or(Ok(None), |id| session.code_signing(owner, id))?;
    config.ok_or_else(|| {
        LambdaError::new(
            ErrorKind::ResourceNotFound,
            format!("The Lambda code signing configuration {arn} can not be found."),
        )
    })
}

/// The id in the ARN of a configuration of `owner`'s.
pub(super) fn id<'a>(owner: &Caller, arn: &'a str) -> Option<&'a str> {
    arn.strip_prefix(&arn_of(owner, ""))
}

/// The ARN of the configuration of that id.
pub(super) fn arn_of(owner: &Caller, id: &str) -> String {
    let Caller {
        account, region, ..
    } = owner;
    let partition = region.partition();
    format!("arn:{partition}:lambda:{region}:{account}:code-signing-config:{id}")
}

impl Changes {
    fn apply(self, config: &mut CodeSigning) {
        if let Some(description) = self.description {
            config.description = description;
        }
        if let Some(publishers) = self.allowed_publishers {
            config.publishers = publishers.signing_profile_version_arns;
        }
        let policy = self.code_signing_policies;
        if let Some(policy) = policy.and_then(|it| it.untrusted_artifact_on_deployment) {
            config.policy = policy;
        }
    }
}

impl ConfigResponse {
    fn of(owner: &Caller, config: CodeSigning) -> Self {
        Self {
            code_signing_config: Config::of(owner, config),
        }
    }
}

impl Config {
    fn of(owner: &Caller, config: CodeSigning) -> Self {
        Self {
            code_signing_config_arn: arn_of(owner, &config.id),
            code_signing_config_id: config.id,
            description: config.description,
            allowed_publishers: Publishers {
                signing_profile_version_arns: config.publishers,
            },
            code_signing_policies: Policies {
                untrusted_artifact_on_deployment: Some(config.policy),
            },
            last_modified: dates::written(config.modified_ms, dates::OF_FUNCTIONS),
        }
    }
}
