//! Tags: ListTags, TagResource, UntagResource, and the tag that sets a function's keep-alive.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use pilotlight_model::names::Target;
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError, VersionKey};
use serde::{Deserialize, Serialize};

use super::{Answer, code_signing, invalid, read, rules};
use crate::catalog::{CatalogError, Session};
use crate::control::Parts;
use crate::restore;

/// Tags by name.
type Tags = BTreeMap<String, String>;

/// Seconds that an idle instance of the function is kept.
pub(crate) const KEEP_ALIVE: &str = "pilotlight:keep-alive";
/// A day.
const LONGEST_KEEP_ALIVE_S: u64 = 86_400;
/// Tags of one function (AWS quota).
const MOST: usize = 50;
/// Characters of a tag's name and value (AWS quota).
const NAME_CHARS: usize = 128;
const VALUE_CHARS: usize = 256;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListTagsRequest {
    resource: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagResourceRequest {
    resource: String,
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UntagResourceRequest {
    resource: String,
    tag_keys: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListTagsResponse {
    tags: BTreeMap<String, String>,
}

pub(super) async fn list_tags(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ListTagsRequest,
) -> Result<ListTagsResponse, LambdaError> {
    let tags = if of_code_signing(&request.resource) {
        code_signing_tags(parts, caller, request.resource).await?
    } else {
        read::find(parts, &function(caller, &request.resource)?)
            .await?
            .1
    };
    Ok(ListTagsResponse { tags })
}

pub(super) async fn tag_resource(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: TagResourceRequest,
) -> Result<Answer, LambdaError> {
    if request.tags.is_empty() {
        return Err(invalid(
            "An error occurred and the request cannot be processed.",
        ));
    }
    let add = move |tags: &mut Tags| tags.extend(request.tags);
    if of_code_signing(&request.resource) {
        return change_code_signing(parts, caller, request.resource, add).await;
    }
    let target = function(caller, &request.resource)?;
    change(parts, rules::latest(&target), add).await
}

pub(super) async fn untag_resource(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: UntagResourceRequest,
) -> Result<Answer, LambdaError> {
    let remove = move |tags: &mut Tags| {
        tags.retain(|name, _| !request.tag_keys.contains(name));
    };
    if of_code_signing(&request.resource) {
        return change_code_signing(parts, caller, request.resource, remove).await;
    }
    let target = function(caller, &request.resource)?;
    change(parts, rules::latest(&target), remove).await
}

fn of_code_signing(resource: &str) -> bool {
    resource.contains(":code-signing-config:")
}

async fn code_signing_tags(
    parts: &Arc<Parts>,
    caller: &Caller,
    arn: String,
) -> Result<Tags, LambdaError> {
    let owner = caller.clone();
    parts
        .catalog
        .read(move |session| Ok(code_signing::find(session, &owner, &arn)?.tags))
        .await
}

/// Changes the tags of a code signing configuration.
async fn change_code_signing(
    parts: &Arc<Parts>,
    caller: &Caller,
    arn: String,
    edit: impl FnOnce(&mut Tags) + Send + 'static,
) -> Result<Answer, LambdaError> {
    let owner = caller.clone();
    parts
        .catalog
        .write(move |session| {
            let mut config = code_signing::find(session, &owner, &arn)?;
            edit(&mut config.tags);
            check(&config.tags)?;
            Ok::<_, LambdaError>(session.put_code_signing(&owner, &config)?)
        })
        .await?;
    Ok(Answer::Empty(StatusCode::NO_CONTENT))
}

/// Whether tags can be a resource's.
pub(super) fn check(tags: &BTreeMap<String, String>) -> Result<(), LambdaError> {
    if tags.len() > MOST {
        return Err(invalid("Number of tags exceeds resource tag limit."));
    }
    for (name, value) in tags {
        if name.is_empty() || name.chars().count() > NAME_CHARS {
            return Err(invalid(format!(
                "A tag's key must have 1 to {NAME_CHARS} characters: {name}"
            )));
        }
        if value.chars().count() > VALUE_CHARS {
            return Err(invalid(format!(
                "The value of tag {name} exceeds {VALUE_CHARS} characters."
            )));
        }
        if name.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid(
                "System tags cannot be added or removed by requester.",
            ));
        }
    }
    keep_alive(tags).map(drop)
}

/// How long the tags ask an idle instance to be kept.
pub(crate) fn keep_alive(tags: &BTreeMap<String, String>) -> Result<Option<Duration>, LambdaError> {
    let Some(text) = tags.get(KEEP_ALIVE) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(seconds @ 0..=LONGEST_KEEP_ALIVE_S) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(invalid(format!(
            "The tag {KEEP_ALIVE} must be a number of seconds from 0 to {LONGEST_KEEP_ALIVE_S}, not \
             '{text}'."
        ))),
    }
}

/// The function that an ARN of a tagged resource names. Tags belong to functions, not to versions.
fn function(caller: &Caller, resource: &str) -> Result<Target, LambdaError> {
    if !resource.contains(":function:") {
        return Err(LambdaError::new(
            ErrorKind::ResourceNotFound,
            "The resource you requested does not exist.",
        ));
    }
    let target = Target::resolve(caller, resource, None)?;
    if target.qualifier.is_some() {
        return Err(invalid(
            "Tags on function aliases and versions are not supported. Please specify a function ARN.",
        ));
    }
    Ok(target)
}

/// Changes the tags of a function. Where that changes what a node must know, invocations get a new
/// revision from now on; one that is being made ready is made ready anew.
async fn change(
    parts: &Arc<Parts>,
    key: VersionKey,
    edit: impl FnOnce(&mut BTreeMap<String, String>) + Send + 'static,
) -> Result<Answer, LambdaError> {
    let changed = parts
        .catalog
        .write(move |session| {
            let versions = session.numbers(&key)?;
            if versions.is_empty() {
                return Err(LambdaError::function_not_found(&key.function_arn()));
            }
            let mut tags = session.tags(&key)?;
            let before = keep_alive(&tags)?;
            edit(&mut tags);
            check(&tags)?;
            session.set_tags(&key, &tags)?;
            session.renew(&key)?;
            let after = keep_alive(&tags)?;
            if before == after {
                return Ok(Vec::new());
            }
            for version in &versions {
                keep(session, version, after)?;
            }
            Ok::<_, LambdaError>(versions)
        })
        .await?;
    parts.unsettled.notify_one();
    // What serves goes on under its new revision, and gets a template of that in the background.
    let node = Arc::clone(parts);
    tokio::spawn(async move {
        for version in changed {
            restore::prepare(&node, &version).await;
        }
    });
    Ok(Answer::Empty(StatusCode::NO_CONTENT))
}

/// Invocations of the version get the new keep-alive.
fn keep(
    session: &Session<'_>,
    version: &VersionKey,
    keep_alive: Option<Duration>,
) -> Result<(), CatalogError> {
    let Some(mut record) = session.find(version)? else {
        return Ok(());
    };
    if let Some(serving) = record.serving {
        let mut spec = Arc::unwrap_or_clone(serving);
        (spec.keep_alive, spec.revision) = (keep_alive, session.next_revision()?);
        record.serving = Some(Arc::new(spec));
    }
    record.revision = session.next_revision()?;
    session.update(&record)
}
