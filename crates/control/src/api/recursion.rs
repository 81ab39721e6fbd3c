//! GetFunctionRecursionConfig and PutFunctionRecursionConfig.

use std::sync::Arc;

use pilotlight_model::LambdaError;
use pilotlight_model::names::Target;
use pilotlight_model::node::Caller;
use serde::{Deserialize, Serialize};

use super::rules;
use crate::control::Parts;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetRecursionRequest {
    function_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRecursionRequest {
    function_name: String,
    recursive_loop: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Recursion {
    recursive_loop: String,
}

pub(super) async fn get_function_recursion_config(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: GetRecursionRequest,
) -> Result<Recursion, LambdaError> {
    let function = rules::changeable(&Target::resolve(caller, &request.function_name, None)?)?;
    parts
        .catalog
        .read(move |session| {
            let recursive_loop = session
                .recursive_loop(&function)?
                .ok_or_else(|| LambdaError::function_not_found(&function.function_arn()))?;
            Ok(Recursion { recursive_loop })
        })
        .await
}

pub(super) async fn put_function_recursion_config(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: PutRecursionRequest,
) -> Result<Recursion, LambdaError> {
    let function = rules::changeable(&Target::resolve(caller, &request.function_name, None)?)?;
    let recursive_loop = request.recursive_loop;
    parts
        .catalog
        .write(
            move |session| match session.set_recursive_loop(&function, &recursive_loop)? {
                true => Ok(Recursion { recursive_loop }),
                false => Err(LambdaError::function_not_found(&function.function_arn())),
            },
        )
        .await
}
