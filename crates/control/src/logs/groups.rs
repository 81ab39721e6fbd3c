//! CreateLogGroup, DeleteLogGroup, DescribeLogGroups.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilotlight_model::logs::{GroupFacts, LogGroup};
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError};
use serde::{Deserialize, Serialize};

use super::{failed, identifier, no_group, tags, token};
use crate::api::invalid;
use crate::catalog::logs::LogGroupRow;
use crate::control::Parts;
use crate::paging::cut;

/// The class of groups where none is given.
pub(super) const STANDARD: &str = "STANDARD";
/// Groups of an account and region that something was said of; others take room in the log store alone.
const MOST: usize = 100_000;
/// Groups on a page (AWS's limit, and default).
const PAGE: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateLogGroupRequest {
    log_group_name: String,
    kms_key_id: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    log_group_class: Option<String>,
    #[serde(default)]
    deletion_protection_enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteLogGroupRequest {
    log_group_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLogGroupsRequest {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    #[serde(default)]
    log_group_identifiers: Vec<String>,
    log_group_class: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLogGroupsResponse {
    log_groups: Vec<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    log_group_name: String,
    creation_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_in_days: Option<u32>,
    metric_filter_count: u32,
    arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_protection_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<String>,
    log_group_class: String,
    log_group_arn: String,
}

/// A group that is there.
pub(super) struct Known {
    /// What was said of it.
    pub(super) said: Option<LogGroupRow>,
    /// What was written to it.
    pub(super) written: Option<GroupFacts>,
}

impl Known {
    /// What is to be said of it from now on, as it is so far.
    pub(super) fn row(self) -> LogGroupRow {
        let created_ms = self.written.map_or(0, |facts| facts.created_ms);
        self.said.unwrap_or_else(|| LogGroupRow {
            created_ms,
            retention_days: None,
            class: STANDARD.to_owned(),
            kms_key: None,
            tags: BTreeMap::new(),
        })
    }
}

/// The group, if it is there.
pub(super) async fn find(parts: &Parts, group: &LogGroup) -> Result<Option<Known>, LambdaError> {
    let mut found = find_all(parts, vec![group.clone()]).await?;
    Ok(found.pop().flatten())
}

/// Those of some groups that are there, each in its place.
async fn find_all(parts: &Parts, groups: Vec<LogGroup>) -> Result<Vec<Option<Known>>, LambdaError> {
    let keys = groups.clone();
    let said: Vec<Option<LogGroupRow>> = parts
        .catalog
        .read(move |session| {
            let rows = keys.iter().map(|group| session.log_group(group));
            Ok::<_, LambdaError>(rows.collect::<Result<_, _>>()?)
        })
        .await?;
    let written = parts.logs.facts(groups).await.map_err(failed)?;
    let known = said.into_iter().zip(written);
    Ok(known
        .map(|(said, written)| {
            (said.is_some() || written.is_some()).then_some(Known { said, written })
        })
        .collect())
}

/// The group, which has to be there.
pub(super) async fn get(parts: &Parts, group: &LogGroup) -> Result<Known, LambdaError> {
    find(parts, group).await?.ok_or_else(no_group)
}

/// Changes what is said of a group that is there.
pub(super) async fn change(
    parts: &Parts,
    group: LogGroup,
    change: impl FnOnce(&mut LogGroupRow) -> Result<(), LambdaError> + Send + 'static,
) -> Result<(), LambdaError> {
    let known = get(parts, &group).await?.row();
    parts
        .catalog
        .write(move |session| {
            let mut row = session.log_group(&group)?.unwrap_or(known);
            change(&mut row)?;
            Ok(session.set_log_group(&group, &row)?)
        })
        .await
}

pub(super) async fn create(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: CreateLogGroupRequest,
) -> Result<(), LambdaError> {
    tags::check(&request.tags)?;
    if request.deletion_protection_enabled {
        return Err(invalid(
            "deletionProtectionEnabled is not supported on this platform yet; leave it out.",
        ));
    }
    let group = identifier::named(caller, &request.log_group_name);
    if find(parts, &group).await?.is_some() {
        return Err(exists());
    }
    let row = LogGroupRow {
        created_ms: parts.config.clock.unix_ms(),
        retention_days: None,
        class: request
            .log_group_class
            .unwrap_or_else(|| STANDARD.to_owned()),
        kms_key: request.kms_key_id,
        tags: request.tags,
    };
    parts
        .catalog
        .write(move |session| {
            if session.log_group(&group)?.is_some() {
                return Err(exists());
            }
            if session.log_groups(&group.account, &group.region)?.len() >= MOST {
                return Err(LambdaError::new(
                    ErrorKind::QuotaExceeded,
                    "Resource limit exceeded.",
                ));
            }
            Ok(session.set_log_group(&group, &row)?)
        })
        .await
}

fn exists() -> LambdaError {
    LambdaError::new(
        ErrorKind::ResourceConflict,
        "The specified log group already exists",
    )
}

/// What was written goes first: a group of which something is said can be deleted once more.
pub(super) async fn delete(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: DeleteLogGroupRequest,
) -> Result<(), LambdaError> {
    let group = identifier::named(caller, &request.log_group_name);
    get(parts, &group).await?;
    parts.logs.delete_group(&group).await.map_err(failed)?;
    parts
        .catalog
        .write(move |session| Ok(session.delete_log_group(&group)?))
        .await
}

pub(super) async fn describe(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: DescribeLogGroupsRequest,
) -> Result<DescribeLogGroupsResponse, LambdaError> {
    if request.log_group_name_prefix.is_some() && request.log_group_name_pattern.is_some() {
        return Err(invalid(
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
        ));
    }
    let after = token::seen(request.next_token.as_deref())?;
    let limit = request.limit.unwrap_or(PAGE).min(PAGE);
    let names = names(parts, caller)
        .await?
        .into_iter()
        .filter(|name| after.as_ref().is_none_or(|after| name > after))
        .filter(|name| request.asks_for(caller, name));
    let mut log_groups = collect(parts, caller, names, limit + 1, |group, known| {
        Some(request.shown(group, known)).filter(|shown| request.is_of_class(shown))
    })
    .await?;
    let next_token = cut(&mut log_groups, limit, |last| last.log_group_name.clone());
    Ok(DescribeLogGroupsResponse {
        next_token,
        log_groups,
    })
}

/// What `show` makes of the first groups of those names, `most` of them.
pub(super) async fn collect<T>(
    parts: &Parts,
    caller: &Caller,
    mut names: impl Iterator<Item = String> + Send,
    most: usize,
    show: impl Fn(&LogGroup, Known) -> Option<T> + Send,
) -> Result<Vec<T>, LambdaError>
where
    T: Send,
{
    let mut found = Vec::new();
    while found.len() < most {
        let some = names.by_ref().take(most - found.len());
        let groups: Vec<_> = some.map(|name| identifier::named(caller, &name)).collect();
        if groups.is_empty() {
            break;
        }
        let known = find_all(parts, groups.clone()).await?;
        // One that has just been deleted is not shown.
        let there = groups.iter().zip(known);
        found.extend(there.filter_map(|(group, known)| show(group, known?)));
    }
    Ok(found)
}

impl DescribeLogGroupsRequest {
    fn is_of_class(&self, shown: &Shown) -> bool {
        let class = self.log_group_class.as_ref();
        class.is_none_or(|class| *class == shown.log_group_class)
    }

    /// As this request gets it. AWS finds groups by a pattern another way, and shows less of them.
    fn shown(&self, group: &LogGroup, known: Known) -> Shown {
        let mut shown = shown(group, known);
        if self.log_group_name_pattern.is_some() {
            (shown.stored_bytes, shown.deletion_protection_enabled) = (None, None);
        }
        shown
    }

    fn asks_for(&self, caller: &Caller, name: &str) -> bool {
        let prefixed = self.log_group_name_prefix.as_ref();
        // AWS takes the pattern as a part of the name, in any case.
        let pattern = self.log_group_name_pattern.as_ref();
        let identified = &self.log_group_identifiers;
        prefixed.is_none_or(|prefix| name.starts_with(prefix.as_str()))
            && pattern.is_none_or(|part| name.to_lowercase().contains(&part.to_lowercase()))
            && (identified.is_empty()
                || identified.iter().any(|text| {
                    identifier::identified(caller, text).is_ok_and(|group| group.name == name)
                }))
    }
}

/// Names of all groups of the caller, in order.
pub(super) async fn names(parts: &Parts, caller: &Caller) -> Result<BTreeSet<String>, LambdaError> {
    let (account, region) = (caller.account.clone(), caller.region.clone());
    let said = parts
        .catalog
        .read(move |session| Ok::<_, LambdaError>(session.log_groups(&account, &region)?))
        .await?;
    let written = parts.logs.groups(&caller.account, &caller.region).await;
    let mut names: BTreeSet<String> = said.into_iter().collect();
    names.extend(written.map_err(failed)?);
    Ok(names)
}

fn shown(group: &LogGroup, known: Known) -> Shown {
    let stored_bytes = known.written.as_ref().map_or(0, |facts| facts.bytes);
    let row = known.row();
    let arn = identifier::arn(group);
    Shown {
        log_group_name: group.name.clone(),
        creation_time: row.created_ms,
        retention_in_days: row.retention_days,
        metric_filter_count: 0,
        arn: format!("{arn}:*"),
        stored_bytes: Some(stored_bytes),
        deletion_protection_enabled: Some(false),
        kms_key_id: row.kms_key,
        log_group_class: row.class,
        log_group_arn: arn,
    }
}
