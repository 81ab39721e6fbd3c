//! Tags of log groups, by the operations of today and by those that were there before.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilotlight_model::LambdaError;
use pilotlight_model::logs::LogGroup;
use pilotlight_model::node::Caller;
use serde::{Deserialize, Serialize};

use super::{groups, identifier};
use crate::api::invalid;
use crate::control::Parts;

/// Tags of one group (AWS quota).
const MOST: usize = 50;

type Tags = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TagResourceRequest {
    resource_arn: String,
    tags: Tags,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UntagResourceRequest {
    resource_arn: String,
    tag_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListTagsForResourceRequest {
    resource_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TagLogGroupRequest {
    log_group_name: String,
    tags: Tags,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UntagLogGroupRequest {
    log_group_name: String,
    tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListTagsLogGroupRequest {
    log_group_name: String,
}

#[derive(Serialize)]
pub(super) struct TagList {
    tags: Tags,
}

pub(super) async fn tag(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: TagResourceRequest,
) -> Result<(), LambdaError> {
    add(parts, of(caller, &request.resource_arn)?, request.tags).await
}

pub(super) async fn untag(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: UntagResourceRequest,
) -> Result<(), LambdaError> {
    remove(parts, of(caller, &request.resource_arn)?, request.tag_keys).await
}

pub(super) async fn list(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ListTagsForResourceRequest,
) -> Result<TagList, LambdaError> {
    all(parts, of(caller, &request.resource_arn)?).await
}

pub(super) async fn tag_group(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: TagLogGroupRequest,
) -> Result<(), LambdaError> {
    let group = identifier::named(caller, &request.log_group_name);
    add(parts, group, request.tags).await
}

pub(super) async fn untag_group(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: UntagLogGroupRequest,
) -> Result<(), LambdaError> {
    let group = identifier::named(caller, &request.log_group_name);
    remove(parts, group, request.tags).await
}

pub(super) async fn list_group(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ListTagsLogGroupRequest,
) -> Result<TagList, LambdaError> {
    all(parts, identifier::named(caller, &request.log_group_name)).await
}

/// Whether a group can have these tags. The service model has checked each of them.
pub(super) fn check(tags: &Tags) -> Result<(), LambdaError> {
    if tags.len() > MOST {
        return Err(invalid(format!("A log group can have {MOST} tags.")));
    }
    if tags.keys().any(|name| name.starts_with("aws:")) {
        return Err(invalid(
            "System tags cannot be added or removed by requester.",
        ));
    }
    Ok(())
}

fn of(caller: &Caller, arn: &str) -> Result<LogGroup, LambdaError> {
    match arn.starts_with("arn:") {
        true => identifier::identified(caller, arn),
        false => Err(invalid(format!("Invalid log group ARN: {arn}"))),
    }
}

async fn add(parts: &Parts, group: LogGroup, tags: Tags) -> Result<(), LambdaError> {
    groups::change(parts, group, move |row| {
        row.tags.extend(tags);
        check(&row.tags)
    })
    .await
}

async fn remove(parts: &Parts, group: LogGroup, names: Vec<String>) -> Result<(), LambdaError> {
    groups::change(parts, group, move |row| {
        row.tags.retain(|name, _| !names.contains(name));
        Ok(())
    })
    .await
}

async fn all(parts: &Parts, group: LogGroup) -> Result<TagList, LambdaError> {
    let tags = groups::get(parts, &group).await?.row().tags;
    Ok(TagList { tags })
}
