//! PublishVersion.

use std::sync::Arc;

use pilotlight_model::LambdaError;
use pilotlight_model::names::Target;
use pilotlight_model::node::Caller;
use serde::Deserialize;
use serde_json::Value;

use super::configuration::Configuration;
use super::{invalid, rules, typed, update};
use crate::control::Parts;
use crate::restore;

/// Members that are read; others are refused where they say something.
const READ: [&str; 4] = ["FunctionName", "CodeSha256", "Description", "RevisionId"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PublishVersionRequest {
    function_name: String,
    code_sha256: Option<String>,
    description: Option<String>,
    revision_id: Option<String>,
}

/// Makes a version of `$LATEST` as it is. What has not changed since the last time is that version.
pub(super) async fn publish_version(
    parts: &Arc<Parts>,
    caller: &Caller,
    input: Value,
) -> Result<Configuration, LambdaError> {
    rules::nothing_else(&input, &READ)?;
    let request: PublishVersionRequest = typed(input)?;
    let key = rules::changeable(&Target::resolve(caller, &request.function_name, None)?)?;
    let now_ms = parts.config.clock.unix_ms();
    let record = parts
        .catalog
        .write(move |session| {
            let latest = update::changeable(session, &key, request.revision_id.as_deref())?;
            let current = &latest.settings.code_sha256;
            // What is in a folder has no hash that a caller could know: tools give that of what they would have
            // uploaded.
            let hashed = latest.settings.live_code.is_none();
            match request
                .code_sha256
                .filter(|given| hashed && given != current)
            {
                Some(given) => Err(invalid(format!(
                    "CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST \
                     ({current}). Please try again with the CodeSHA256 in $LATEST."
                ))),
                None => Ok(session.publish(&latest, request.description, now_ms)?),
            }
        })
        .await?;
    // A version of what could not be made ready is tried once more.
    parts.unsettled.notify_one();
    if record.serving.is_some() {
        // It serves already, and gets a template of its own in the background.
        let (parts, key) = (Arc::clone(parts), record.key.clone());
        tokio::spawn(async move { restore::prepare(&parts, &key).await });
    }
    Ok(Configuration::published(&record, &parts.config))
}
