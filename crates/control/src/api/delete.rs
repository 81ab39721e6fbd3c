//! DeleteFunction.

use std::sync::Arc;

use http::StatusCode;
use pilotlight_model::LambdaError;
use pilotlight_model::node::Caller;

use super::read::FunctionRequest;
use super::{Answer, invalid, rules};
use crate::control::Parts;

/// Deletes a function, or with a qualifier one version of it. AWS answers 204 for a version that is not
/// there, as long as the function is.
pub(super) async fn delete_function(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: FunctionRequest,
) -> Result<Answer, LambdaError> {
    let target = request.target(caller)?;
    if target.qualifier.as_deref() == Some("$LATEST") {
        return Err(invalid(
            "$LATEST version cannot be deleted without deleting the function.",
        ));
    }
    let (key, whole) = (rules::latest(&target), target.qualifier.is_none());
    let function = key.clone();
    let there = parts
        .catalog
        .write(move |session| match whole {
            true => Ok::<_, LambdaError>(session.delete(&key)?),
            false => Ok(session.find(&key)?.is_some()),
        })
        .await?;
    if !there {
        return Err(LambdaError::function_not_found(&target.function_arn()));
    }
    if whole {
        parts.node.retire(&function);
        parts.unreferenced.notify_one();
        tracing::info!(%function, "function deleted");
    }
    Ok(Answer::Empty(StatusCode::NO_CONTENT))
}
