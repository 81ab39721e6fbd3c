//! Who may use a version of a layer besides its owner: the three permission operations, and the
//! evaluation of what they leave.

use std::fmt::Display;
use std::sync::Arc;

use http::StatusCode;
use pilotlight_model::node::Caller;
use pilotlight_model::{AccountId, ErrorKind, LambdaError, LayerVersionKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{VersionRequest, owned};
use crate::api::{Answer, invalid};
use crate::catalog::Session;
use crate::catalog::layers::{LayerPolicy, LayerRecord, LayerStatement};
use crate::control::Parts;

/// The one action that can be allowed.
const ACTION: &str = "lambda:GetLayerVersion";
/// Bytes of a policy (AWS quota).
const POLICY_BYTES: usize = 20 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct AddRequest {
    #[serde(flatten)]
    version: VersionRequest,
    statement_id: String,
    principal: String,
    organization_id: Option<String>,
    revision_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct RemoveRequest {
    #[serde(flatten)]
    version: VersionRequest,
    statement_id: String,
    revision_id: Option<String>,
}

/// Policies and statements are JSON in a text.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct Added {
    statement: String,
    revision_id: Uuid,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct Policy {
    policy: String,
    revision_id: Uuid,
}

pub(in crate::api) async fn add(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: AddRequest,
) -> Result<Added, LambdaError> {
    let key = request.version.key(caller)?;
    owned(caller, &key.layer, "lambda:AddLayerVersionPermission", &key)?;
    if request.organization_id.is_some() && request.principal != "*" {
        return Err(invalid(
            "OrganizationId can only be given with the Principal *.",
        ));
    }
    let statement = LayerStatement {
        sid: request.statement_id,
        principal: request.principal,
        organization: request.organization_id,
    };
    parts
        .catalog
        .write(move |session| {
            let record = existing(session, &key)?;
            let mut policy = record.policy.unwrap_or_default();
            let sid = &statement.sid;
            if policy.statements.iter().any(|it| it.sid == *sid) {
                return Err(LambdaError::new(
                    ErrorKind::ResourceConflict,
                    format!(
                        "The statement id ({sid}) provided already exists. Please provide a new \
                         statement id, or remove the existing statement."
                    ),
                ));
            }
            unchanged(request.revision_id.as_deref(), policy.revision_id)?;
            let added = shown(&key, &statement).to_string();
            policy.statements.push(statement);
            let size = document(&key, &policy).len();
            if size > POLICY_BYTES {
                return Err(LambdaError::new(
                    ErrorKind::PolicyLengthExceeded,
                    format!(
                        "The final policy size ({size}) is bigger than the limit ({POLICY_BYTES})."
                    ),
                ));
            }
            policy.revision_id = Uuid::new_v4();
            session.set_layer_policy(&key, &policy)?;
            Ok(Added {
                statement: added,
                revision_id: policy.revision_id,
            })
        })
        .await
}

pub(in crate::api) async fn remove(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: RemoveRequest,
) -> Result<Answer, LambdaError> {
    let key = request.version.key(caller)?;
    owned(
        caller,
        &key.layer,
        "lambda:RemoveLayerVersionPermission",
        &key,
    )?;
    parts
        .catalog
        .write(move |session| {
            let mut policy = existing(session, &key)?.policy.unwrap_or_default();
            unchanged(request.revision_id.as_deref(), policy.revision_id)?;
            let before = policy.statements.len();
            policy
                .statements
                .retain(|it| it.sid != request.statement_id);
            if policy.statements.len() == before {
                return Err(LambdaError::new(
                    ErrorKind::ResourceNotFound,
                    format!(
                        "Statement {} is not found in resource policy.",
                        request.statement_id
                    ),
                ));
            }
            policy.revision_id = Uuid::new_v4();
            session.set_layer_policy(&key, &policy)?;
            Ok(())
        })
        .await?;
    Ok(Answer::Empty(StatusCode::NO_CONTENT))
}

pub(in crate::api) async fn get(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: VersionRequest,
) -> Result<Policy, LambdaError> {
    let key = request.key(caller)?;
    owned(caller, &key.layer, "lambda:GetLayerVersionPolicy", &key)?;
    parts
        .catalog
        .read(move |session| {
            let policy = existing(session, &key)?.policy;
            let policy = policy
                .filter(|it| !it.statements.is_empty())
                .ok_or_else(|| {
                    LambdaError::new(
                        ErrorKind::ResourceNotFound,
                        "No policy is associated with the given resource.",
                    )
                })?;
            Ok(Policy {
                policy: document(&key, &policy),
                revision_id: policy.revision_id,
            })
        })
        .await
}

/// Whether an account may read, and so use, a version. One that may not learns not even whether it is there.
pub(super) fn allow(
    caller: &Caller,
    key: &LayerVersionKey,
    record: Option<&LayerRecord>,
) -> Result<(), LambdaError> {
    let policy = record.and_then(|record| record.policy.as_ref());
    let mut statements = policy.into_iter().flat_map(|policy| &policy.statements);
    let account = &caller.account;
    if key.layer.account == *account || statements.any(|it| it.allows(account)) {
        Ok(())
    } else {
        Err(denied(caller, ACTION, key))
    }
}

/// 403 in AWS's words.
pub(super) fn denied(caller: &Caller, action: &str, resource: &impl Display) -> LambdaError {
    LambdaError::new(
        ErrorKind::AccessDenied,
        format!(
            "User: {} is not authorized to perform: {action} on resource: {resource} because no \
             resource-based policy allows the {action} action",
            caller.arn()
        ),
    )
}

impl LayerStatement {
    /// Accounts here belong to no organization, so that what is for one is for nobody.
    fn allows(&self, account: &AccountId) -> bool {
        let account = account.as_str();
        let named = match self.principal.as_str() {
            "*" => true,
            principal if principal == account => true,
            // `arn:aws:iam::<account>:root`.
            principal => principal.split(':').nth(4) == Some(account),
        };
        named && self.organization.is_none()
    }
}

fn existing(session: &Session<'_>, key: &LayerVersionKey) -> Result<LayerRecord, LambdaError> {
    session.layer(key)?.ok_or_else(|| {
        LambdaError::new(
            ErrorKind::ResourceNotFound,
            format!("Layer version {key} does not exist."),
        )
    })
}

fn unchanged(given: Option<&str>, current: Uuid) -> Result<(), LambdaError> {
    match given {
        Some(given) if given != current.to_string() => Err(LambdaError::new(
            ErrorKind::PreconditionFailed,
            "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy \
             API to retrieve the latest Revision Id",
        )),
        _ => Ok(()),
    }
}

fn document(key: &LayerVersionKey, policy: &LayerPolicy) -> String {
    let statements: Vec<Value> = policy.statements.iter().map(|it| shown(key, it)).collect();
    json!({ "Version": "2012-10-17", "Id": "default", "Statement": statements }).to_string()
}

/// A statement in the language of policies.
fn shown(key: &LayerVersionKey, statement: &LayerStatement) -> Value {
    let principal = match statement.principal.as_str() {
        "*" => json!("*"),
        arn if arn.starts_with("arn:") => json!({ "AWS": arn }),
        account => json!({ "AWS": format!("arn:aws:iam::{account}:root") }),
    };
    let mut shown = json!({
        "Sid": statement.sid,
        "Effect": "Allow",
        "Principal": principal,
        "Action": ACTION,
        "Resource": key.to_string(),
    });
    if let Some(organization) = &statement.organization {
        shown["Condition"] = json!({ "StringEquals": { "aws:PrincipalOrgID": organization } });
    }
    shown
}
