//! Operations on functions of other accounts. A function's policy can let others do what is listed here;
//! whoever it lets acts within the owner's account from there on, so that no operation knows of two.

use std::sync::Arc;

use pilotlight_model::LambdaError;
use pilotlight_model::function_policy::{Policy, authorize};
use pilotlight_model::names::FunctionRef;
use pilotlight_model::node::Caller;
use pilotlight_model::service::Operation;
use serde_json::Value;

use crate::control::Parts;

/// What Lambda's documentation lists as possible across accounts, besides invocations.
const GRANTABLE: [&str; 17] = [
    "GetFunction",
    "GetFunctionConfiguration",
    "UpdateFunctionCode",
    "DeleteFunction",
    "PublishVersion",
    "ListVersionsByFunction",
    "CreateAlias",
    "GetAlias",
    "ListAliases",
    "UpdateAlias",
    "DeleteAlias",
    "GetPolicy",
    "PutFunctionConcurrency",
    "DeleteFunctionConcurrency",
    "ListTags",
    "TagResource",
    "UntagResource",
];

/// In whose account the operation is done: the caller's, or that of the function's owner who lets it.
pub(super) fn acting(
    parts: &Arc<Parts>,
    caller: &Caller,
    operation: &Operation,
    input: &Value,
) -> Result<Caller, LambdaError> {
    let named = |member| input[member].as_str();
    let name = named("FunctionName").or_else(|| named("Resource"));
    // What is not the name of a function is the operation's own to judge.
    let foreign = name.filter(|name| {
        let reference = name.parse::<FunctionRef>().ok();
        let account = reference.and_then(|reference| reference.account);
        account.is_some_and(|account| account != caller.account)
    });
    let Some(name) = foreign else {
        return Ok(caller.clone());
    };
    let action = format!("lambda:{}", operation.name());
    let owner = authorize(
        caller,
        name,
        named("Qualifier"),
        &action,
        |target| match GRANTABLE.contains(&operation.name()) {
            true => parts.catalog.index().policy(target),
            false => Policy::none(),
        },
    )?;
    Ok(Caller {
        account: owner.account,
        region: owner.region,
        function: None,
    })
}
