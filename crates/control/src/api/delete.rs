//! DeleteFunction.

use std::sync::Arc;

use http::StatusCode;
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError, Version, VersionKey};

use super::read::FunctionRequest;
use super::{Answer, invalid, rules};
use crate::catalog::Session;
use crate::control::Parts;

/// Deletes a function, or with a qualifier one version of it. AWS answers 204 for a version that is not
/// there, as long as the function is.
pub(super) async fn delete_function(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: FunctionRequest,
) -> Result<Answer, LambdaError> {
    let target = request.target(caller)?;
    let function = rules::latest(&target);
    let only = match target.qualifier.as_deref().map(str::parse) {
        None => None,
        Some(Ok(Version::Latest)) => {
            return Err(invalid(
                "$LATEST version cannot be deleted without deleting the function.",
            ));
        }
        Some(Ok(version)) => Some(VersionKey {
            version,
            ..function.clone()
        }),
        Some(Err(_)) => return Err(invalid("Deletion of aliases is not currently supported.")),
    };
    let deleted = parts
        .catalog
        .write(move |session| match only {
            None => Ok::<_, LambdaError>(session.delete(&function)?),
            Some(version) if session.find(&function)?.is_some() => {
                unused(session, &version)?;
                session.delete_version(&version)?;
                Ok(vec![version])
            }
            Some(_) => Ok(Vec::new()),
        })
        .await?;
    if deleted.is_empty() {
        return Err(LambdaError::function_not_found(&target.function_arn()));
    }
    for version in deleted {
        parts.node.retire(&version);
        tracing::info!(function = %version, "function deleted");
    }
    parts.unreferenced.notify_one();
    Ok(Answer::Empty(StatusCode::NO_CONTENT))
}

/// No alias may invoke the version.
fn unused(session: &Session<'_>, version: &VersionKey) -> Result<(), LambdaError> {
    let aliases = session.aliases(version, Some(version.version), "", None)?;
    if aliases.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = aliases.iter().map(|alias| alias.name.as_str()).collect();
    Err(LambdaError::new(
        ErrorKind::ResourceConflict,
        format!(
            "Unable to delete version because the following aliases reference it: [{}]",
            names.join(", ")
        ),
    ))
}
