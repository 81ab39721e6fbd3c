//! PutFunctionConcurrency, GetFunctionConcurrency and DeleteFunctionConcurrency: what a function reserves of
//! its account's concurrency.

use std::sync::Arc;

use http::StatusCode;
use pilotlight_model::names::Target;
use pilotlight_model::node::Caller;
use pilotlight_model::{LambdaError, VersionKey};
use serde::{Deserialize, Serialize};

use super::{Answer, invalid, rules};
use crate::catalog::Session;
use crate::claims::LEAST_UNRESERVED;
use crate::control::Parts;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRequest {
    function_name: String,
    reserved_concurrent_executions: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FunctionRequest {
    function_name: String,
}

/// `Concurrency`, alone and as a member of GetFunction's answer. A function that reserves nothing has an
/// empty one.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Concurrency {
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved_concurrent_executions: Option<u32>,
}

impl Concurrency {
    /// Of a function that reserves that much.
    pub(super) fn of(reserved: u32) -> Self {
        Self {
            reserved_concurrent_executions: Some(reserved),
        }
    }
}

pub(super) async fn put_function_concurrency(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: PutRequest,
) -> Result<Concurrency, LambdaError> {
    let function = function(caller, &request.function_name)?;
    let (wanted, limit) = (
        request.reserved_concurrent_executions,
        parts.config.limits.account_concurrency,
    );
    parts
        .catalog
        .write(move |session| {
            check(session, &function, wanted, limit)?;
            Ok::<_, LambdaError>(session.reserve(&function, Some(wanted))?)
        })
        .await?;
    Ok(Concurrency::of(wanted))
}

pub(super) async fn get_function_concurrency(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: FunctionRequest,
) -> Result<Concurrency, LambdaError> {
    let target = Target::resolve(caller, &request.function_name, None)?;
    let function = rules::latest(&target);
    let claim = parts
        .catalog
        .read(move |session| {
            let missing = || LambdaError::function_not_found(&function.function_arn());
            session.claim(&function)?.ok_or_else(missing)
        })
        .await?;
    Ok(Concurrency {
        reserved_concurrent_executions: claim.reserved,
    })
}

pub(super) async fn delete_function_concurrency(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: FunctionRequest,
) -> Result<Answer, LambdaError> {
    let function = function(caller, &request.function_name)?;
    parts
        .catalog
        .write(move |session| {
            session
                .claim(&function)?
                .ok_or_else(|| missing(&function))?;
            Ok::<_, LambdaError>(session.reserve(&function, None)?)
        })
        .await?;
    Ok(Answer::Empty(StatusCode::NO_CONTENT))
}

/// Concurrency belongs to functions, not to their versions.
fn function(caller: &Caller, name: &str) -> Result<VersionKey, LambdaError> {
    let target = Target::resolve(caller, name, None)?;
    if target.qualifier.is_some() {
        return Err(invalid(
            "This operation is permitted on Lambda functions only. Aliases and versions do not support \
             this operation. Please specify either a function name or an unqualified function ARN.",
        ));
    }
    Ok(rules::latest(&target))
}

/// AWS names `$LATEST` where a reservation has no function to be for.
fn missing(function: &VersionKey) -> LambdaError {
    LambdaError::function_not_found(&function.to_string())
}

/// Whether the function can reserve that much in an account of that limit.
fn check(
    session: &Session<'_>,
    function: &VersionKey,
    wanted: u32,
    limit: u32,
) -> Result<(), LambdaError> {
    let claim = session.claim(function)?.ok_or_else(|| missing(function))?;
    // Taking nothing away is possible however little is left.
    let others = if wanted == 0 {
        0
    } else {
        session.taken_by_others(function)?
    };
    let least = LEAST_UNRESERVED.min(limit);
    if others + u64::from(wanted) + u64::from(least) > u64::from(limit) {
        return Err(invalid(format!(
            "Specified ReservedConcurrentExecutions for function decreases account's \
             UnreservedConcurrentExecution below its minimum value of [{least}]."
        ))
        .without_type());
    }
    let provisioned = claim.all_provisioned();
    if provisioned > wanted {
        // The blanks are AWS's.
        return Err(invalid(format!(
            " ReservedConcurrentExecutions  {wanted} should not be lower than function's total \
             provisioned concurrency [{provisioned}]."
        ))
        .without_type());
    }
    Ok(())
}
