//! TagResource, UntagResource and ListTagsForResource: tags of schedule groups, which are all that AWS tags
//! here.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilotlight_model::LambdaError;
use pilotlight_model::node::Caller;
use serde::{Deserialize, Serialize};

use super::groups::{arn, find};
use super::{Answer, group_not_found, invalid, nothing};
use crate::control::Parts;

/// Tags of one group (AWS quota).
const MOST: usize = 50;

/// One tag as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListRequest {
    resource_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagRequest {
    resource_arn: String,
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UntagRequest {
    resource_arn: String,
    #[serde(default)]
    tag_keys: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tags {
    tags: Vec<Tag>,
}

pub(super) async fn list(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ListRequest,
) -> Result<Tags, LambdaError> {
    let name = group_of(caller, &request.resource_arn)?;
    let group = find(parts, caller, name).await?;
    let tag = |(key, value)| Tag { key, value };
    Ok(Tags {
        tags: group.tags.into_iter().map(tag).collect(),
    })
}

pub(super) async fn tag(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: TagRequest,
) -> Result<Answer, LambdaError> {
    let given = collect(request.tags)?;
    change(parts, caller, &request.resource_arn, |tags| {
        tags.extend(given)
    })
    .await
}

pub(super) async fn untag(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: UntagRequest,
) -> Result<Answer, LambdaError> {
    let keys = request.tag_keys;
    change(parts, caller, &request.resource_arn, move |tags| {
        tags.retain(|key, _| !keys.contains(key));
    })
    .await
}

/// Tags by their keys, which are each given once.
pub(super) fn collect(tags: Vec<Tag>) -> Result<BTreeMap<String, String>, LambdaError> {
    let count = tags.len();
    let tags: BTreeMap<_, _> = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    if tags.len() < count {
        return Err(invalid("A tag key is given more than once."));
    }
    check(&tags)?;
    Ok(tags)
}

fn check(tags: &BTreeMap<String, String>) -> Result<(), LambdaError> {
    if tags.len() > MOST {
        return Err(invalid(format!("A schedule group can have {MOST} tags.")));
    }
    if tags
        .keys()
        .any(|key| key.to_ascii_lowercase().starts_with("aws:"))
    {
        return Err(invalid("Tag keys that begin with aws: are AWS's own."));
    }
    Ok(())
}

async fn change(
    parts: &Arc<Parts>,
    caller: &Caller,
    resource_arn: &str,
    edit: impl FnOnce(&mut BTreeMap<String, String>) + Send + 'static,
) -> Result<Answer, LambdaError> {
    let name = group_of(caller, resource_arn)?;
    find(parts, caller, name.clone()).await?;
    let caller = caller.clone();
    parts
        .catalog
        .write(move |session| {
            let group = session
                .group(&caller, &name)?
                .ok_or_else(|| group_not_found(&name))?;
            let mut tags = group.tags.clone();
            edit(&mut tags);
            check(&tags)?;
            Ok::<_, LambdaError>(session.set_group_tags(&group, &tags)?)
        })
        .await?;
    Ok(nothing())
}

/// The group that an ARN names. One of another account or region is one that is not there.
fn group_of(caller: &Caller, resource_arn: &str) -> Result<String, LambdaError> {
    // The service model's pattern has been held against it.
    let (_, name) = resource_arn
        .rsplit_once('/')
        .ok_or_else(|| invalid("The ResourceArn is none of a schedule group."))?;
    match resource_arn == arn(caller, name) {
        true => Ok(name.to_owned()),
        false => Err(group_not_found(name)),
    }
}
