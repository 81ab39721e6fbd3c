//! AddPermission, RemovePermission and GetPolicy.

use std::sync::Arc;

use http::StatusCode;
use pilotlight_model::function_policy::{
    Conditions, Effect, INVOKE_FUNCTION_URL, Policy, Principal, Statement,
};
use pilotlight_model::limits::FUNCTION_POLICY_BYTES;
use pilotlight_model::names::{Qualifier, Target};
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError, VersionKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::read::FunctionRequest;
use super::{Answer, invalid, rules};
use crate::catalog::Session;
use crate::catalog::aliases::Alias;
use crate::catalog::record::Record;
use crate::control::Parts;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AddPermissionRequest {
    function_name: String,
    qualifier: Option<String>,
    revision_id: Option<String>,
    #[serde(flatten)]
    grant: Grant,
}

/// What a statement is made of.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Grant {
    statement_id: String,
    action: String,
    principal: String,
    source_arn: Option<String>,
    source_account: Option<String>,
    event_source_token: Option<String>,
    #[serde(rename = "PrincipalOrgID")]
    principal_org_id: Option<String>,
    function_url_auth_type: Option<String>,
    invoked_via_function_url: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RemovePermissionRequest {
    function_name: String,
    qualifier: Option<String>,
    statement_id: String,
    revision_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AddPermissionResponse {
    /// JSON, as text.
    statement: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetPolicyResponse {
    /// JSON, as text.
    policy: String,
    revision_id: String,
}

/// Whose revision a policy shares, and changes.
enum Holder {
    Version(Box<Record>),
    Alias(Alias),
}

pub(super) async fn add_permission(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: AddPermissionRequest,
) -> Result<AddPermissionResponse, LambdaError> {
    let target = Target::resolve(caller, &request.function_name, request.qualifier.as_deref())?;
    if target.qualifier.as_deref() == Some("$LATEST") {
        return Err(invalid(
            "We currently do not support adding policies for $LATEST.",
        ));
    }
    let statement = request.grant.statement(target.arn())?;
    let text =
        serde_json::to_string(&statement).map_err(|error| super::ours("a statement", &error))?;
    parts
        .catalog
        .write(move |session| {
            let (function, qualifier) = (rules::latest(&target), qualifier(&target));
            let mut holder = holder(session, &target)?;
            holder.check(request.revision_id.as_deref())?;
            let mut policy = session.policy(&function, qualifier)?;
            if policy.statements.iter().any(|it| it.sid == statement.sid) {
                return Err(LambdaError::new(
                    ErrorKind::ResourceConflict,
                    format!(
                        "The statement id ({}) provided already exists. Please provide a new statement \
                         id, or remove the existing statement.",
                        statement.sid
                    ),
                ));
            }
            session.add_statement(&function, qualifier, &statement)?;
            policy.statements.push(statement);
            fits(&policy)?;
            holder.renew(session, &function)
        })
        .await?;
    Ok(AddPermissionResponse { statement: text })
}

pub(super) async fn remove_permission(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: RemovePermissionRequest,
) -> Result<Answer, LambdaError> {
    let target = Target::resolve(caller, &request.function_name, request.qualifier.as_deref())?;
    parts
        .catalog
        .write(move |session| {
            let (function, qualifier) = (rules::latest(&target), qualifier(&target));
            if session.find(&function)?.is_none() {
                return Err(not_found(format!(
                    "No policy found for: {}",
                    function.function_arn()
                )));
            }
            let mut holder = holder(session, &target)?;
            let policy = session.policy(&function, qualifier)?;
            if policy.statements.is_empty() {
                return Err(not_found(
                    "No policy is associated with the given resource.",
                ));
            }
            holder.check(request.revision_id.as_deref())?;
            let sid = request.statement_id;
            if policy.statements.iter().all(|it| it.sid != sid) {
                return Err(not_found(format!(
                    "Statement {sid} is not found in resource policy."
                )));
            }
            session.remove_statement(&function, qualifier, &sid)?;
            holder.renew(session, &function)
        })
        .await?;
    Ok(Answer::Empty(StatusCode::NO_CONTENT))
}

pub(super) async fn get_policy(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: FunctionRequest,
) -> Result<GetPolicyResponse, LambdaError> {
    let target = request.target(caller)?;
    parts
        .catalog
        .read(move |session| {
            let (function, qualifier) = (rules::latest(&target), qualifier(&target));
            if session.find(&function)?.is_none() {
                return Err(LambdaError::function_not_found(&function.function_arn()));
            }
            let policy = session.policy(&function, qualifier)?;
            if policy.statements.is_empty() {
                return Err(not_found("The resource you requested does not exist."));
            }
            Ok(GetPolicyResponse {
                policy: policy.document(),
                revision_id: holder(session, &target)?.revision_id().to_string(),
            })
        })
        .await
}

/// By what the catalog knows a policy: the function's own has no qualifier.
fn qualifier(target: &Target) -> &str {
    match target.qualifier.as_deref() {
        None | Some("$LATEST") => "",
        Some(qualifier) => qualifier,
    }
}

/// What the policy is for; it must be there.
fn holder(session: &Session<'_>, target: &Target) -> Result<Holder, LambdaError> {
    let function = rules::latest(target);
    let asked = target.qualifier.as_deref().unwrap_or("$LATEST");
    if let Ok(Qualifier::Alias(name)) = asked.parse() {
        return match session.alias(&function, &name)? {
            Some(alias) => Ok(Holder::Alias(alias)),
            None => Err(not_found(format!(
                "Cannot find alias arn: {}",
                target.arn()
            ))),
        };
    }
    rules::version(session, target).map(|record| Holder::Version(Box::new(record)))
}

fn fits(policy: &Policy) -> Result<(), LambdaError> {
    let size = policy.document().len();
    match size <= FUNCTION_POLICY_BYTES {
        true => Ok(()),
        false => Err(LambdaError::new(
            ErrorKind::PolicyLengthExceeded,
            format!(
                "The final policy size ({size}) is bigger than the limit ({FUNCTION_POLICY_BYTES})."
            ),
        )),
    }
}

fn not_found(message: impl Into<String>) -> LambdaError {
    LambdaError::new(ErrorKind::ResourceNotFound, message)
}

impl Holder {
    fn revision_id(&self) -> Uuid {
        match self {
            Holder::Version(record) => record.revision_id,
            Holder::Alias(alias) => alias.revision_id,
        }
    }

    /// 412 when the caller knows an older revision.
    fn check(&self, known: Option<&str>) -> Result<(), LambdaError> {
        match known {
            Some(known) if known != self.revision_id().to_string() => Err(LambdaError::new(
                ErrorKind::PreconditionFailed,
                "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API \
                 to retrieve the latest Revision Id",
            )),
            _ => Ok(()),
        }
    }

    /// A change of the policy is one of what it is for.
    fn renew(&mut self, session: &Session<'_>, function: &VersionKey) -> Result<(), LambdaError> {
        match self {
            Holder::Version(record) => {
                record.revision_id = Uuid::new_v4();
                session.update(record)?;
            }
            Holder::Alias(alias) => {
                alias.revision_id = Uuid::new_v4();
                session.put_alias(function, alias)?;
            }
        }
        Ok(())
    }
}

impl Grant {
    fn statement(self, resource: String) -> Result<Statement, LambdaError> {
        if self.function_url_auth_type.is_some() && self.action != INVOKE_FUNCTION_URL {
            return Err(invalid(
                "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action",
            ));
        }
        let principal = Principal::read(&self.principal).ok_or_else(|| {
            invalid("The provided principal was invalid. Please check the principal and try again.")
        })?;
        let mut condition = Conditions::default();
        let given = [
            ("lambda:FunctionUrlAuthType", self.function_url_auth_type),
            ("aws:PrincipalOrgID", self.principal_org_id),
            ("AWS:SourceAccount", self.source_account),
            ("lambda:EventSourceToken", self.event_source_token),
        ];
        for (key, value) in given {
            let value = value.map(|value| (key.to_owned(), value));
            condition.string_equals.extend(value);
        }
        let source_arn = self.source_arn.map(|arn| ("AWS:SourceArn".to_owned(), arn));
        condition.arn_like.extend(source_arn);
        let via_url = self
            .invoked_via_function_url
            .map(|it| ("lambda:InvokedViaFunctionUrl".to_owned(), it.to_string()));
        condition.bool.extend(via_url);
        Ok(Statement {
            sid: self.statement_id,
            effect: Effect::Allow,
            principal,
            action: self.action,
            resource,
            condition,
        })
    }
}
