//! ListLogGroups: the names of groups, without what is known of them.

use std::sync::Arc;

use pilotlight_model::LambdaError;
use pilotlight_model::node::Caller;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{groups, identifier, token};
use crate::api::invalid;
use crate::control::Parts;
use crate::paging::cut;

/// Groups on a page where no limit is given (AWS's default; the service model has the most).
const PAGE: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListLogGroupsRequest {
    log_group_name_pattern: Option<String>,
    log_group_class: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    include_linked_accounts: bool,
    data_sources: Option<Value>,
    field_index_names: Option<Value>,
    log_group_tags: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListLogGroupsResponse {
    log_groups: Vec<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    log_group_name: String,
    log_group_arn: String,
    log_group_class: String,
}

pub(super) async fn list(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ListLogGroupsRequest,
) -> Result<ListLogGroupsResponse, LambdaError> {
    request.honoured()?;
    let after = token::seen(request.next_token.as_deref())?;
    let pattern = request.log_group_name_pattern.as_deref();
    let names = groups::names(parts, caller)
        .await?
        .into_iter()
        .filter(|name| after.as_ref().is_none_or(|after| name > after))
        .filter(|name| pattern.is_none_or(|pattern| matches(pattern, name)));
    let limit = request.limit.unwrap_or(PAGE);
    let class = request.log_group_class.as_ref();
    let mut log_groups = groups::collect(parts, caller, names, limit + 1, |group, known| {
        let summary = Summary {
            log_group_name: group.name.clone(),
            log_group_arn: identifier::arn(group),
            log_group_class: known.row().class,
        };
        Some(summary).filter(|it| class.is_none_or(|class| *class == it.log_group_class))
    })
    .await?;
    let next_token = cut(&mut log_groups, limit, |last| last.log_group_name.clone());
    Ok(ListLogGroupsResponse {
        next_token,
        log_groups,
    })
}

impl ListLogGroupsRequest {
    /// What would choose by something that this platform does not have is refused, not ignored.
    fn honoured(&self) -> Result<(), LambdaError> {
        let given = [
            ("includeLinkedAccounts", self.include_linked_accounts),
            ("dataSources", self.data_sources.is_some()),
            ("fieldIndexNames", self.field_index_names.is_some()),
            ("logGroupTags", self.log_group_tags.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((member, _)) => Err(invalid(format!(
                "{member} is not supported on this platform yet; leave it out."
            ))),
            None => Ok(()),
        }
    }
}

/// Whether one of the parts of a pattern (`orders|^/aws/lambda/`) is in the name, or at its start.
fn matches(pattern: &str, name: &str) -> bool {
    pattern.split('|').any(|part| match part.strip_prefix('^') {
        Some(start) => name.starts_with(start),
        None => name.contains(part),
    })
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_pattern_is_parts_anywhere_or_at_the_start() {
        for (pattern, found) in [
            ("lambda", true),
            ("^/aws", true),
            ("^aws", false),
            ("none|orders", true),
            ("none|^orders", false),
        ] {
            assert_eq!(matches(pattern, "/aws/lambda/orders"), found, "{pattern}");
        }
    }
}
