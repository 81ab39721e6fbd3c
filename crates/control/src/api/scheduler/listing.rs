//! ListSchedules and ListScheduleGroups.

use std::sync::Arc;

use pilotlight_model::LambdaError;
use pilotlight_model::node::Caller;
use serde::{Deserialize, Serialize};

use super::{Seconds, group_not_found, groups, invalid};
use crate::catalog::schedules::{Filter, Schedule};
use crate::control::Parts;
use crate::paging::{self, cut};
use crate::schedules::settings::ScheduleState;

/// Entries of a page, unless fewer are asked for.
const PAGE: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListSchedulesRequest {
    group_name: Option<String>,
    #[serde(default)]
    name_prefix: String,
    state: Option<ScheduleState>,
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListSchedulesResponse {
    schedules: Vec<Listed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// A schedule as lists show it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    arn: String,
    creation_date: Seconds,
    group_name: String,
    last_modification_date: Seconds,
    name: String,
    state: ScheduleState,
    target: ListedTarget,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListedTarget {
    arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListGroupsRequest {
    #[serde(default)]
    name_prefix: String,
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListGroupsResponse {
    schedule_groups: Vec<groups::Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// Schedules by group and name.
pub(super) async fn schedules(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ListSchedulesRequest,
) -> Result<ListSchedulesResponse, LambdaError> {
    groups::ensure_default(parts, caller).await?;
    let filter = Filter {
        group: request.group_name,
        prefix: request.name_prefix,
        state: request.state,
        after: seen(request.next_token.as_deref())?,
    };
    let page = request.max_results.unwrap_or(PAGE);
    let caller = caller.clone();
    let mut found = parts
        .catalog
        .read(move |session| {
            if let Some(name) = &filter.group
                && session.group(&caller, name)?.is_none()
            {
                return Err(group_not_found(name));
            }
            Ok(session.schedules(&caller, &filter, page + 1)?)
        })
        .await?;
    let next_token = cut(&mut found, page, |last| {
        format!("{}/{}", last.group, last.name)
    });
    Ok(ListSchedulesResponse {
        schedules: found.into_iter().map(Listed::of).collect(),
        next_token,
    })
}

/// Groups by name.
pub(super) async fn groups(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ListGroupsRequest,
) -> Result<ListGroupsResponse, LambdaError> {
    groups::ensure_default(parts, caller).await?;
    let page = request.max_results.unwrap_or(PAGE);
    let (after, _) = seen(request.next_token.as_deref())?;
    let asked = caller.clone();
    let mut found = parts
        .catalog
        .read(move |session| {
            Ok::<_, LambdaError>(session.groups(&asked, &request.name_prefix, &after, page + 1)?)
        })
        .await?;
    let next_token = cut(&mut found, page, |last| format!("{}/", last.name));
    let shown = |group| groups::Shown::of(caller, group);
    Ok(ListGroupsResponse {
        schedule_groups: found.into_iter().map(shown).collect(),
        next_token,
    })
}

impl Listed {
    fn of(schedule: Schedule) -> Self {
        Self {
            arn: schedule.arn(),
            creation_date: Seconds::of(schedule.created_ms),
            group_name: schedule.group,
            last_modification_date: Seconds::of(schedule.modified_ms),
            name: schedule.name,
            state: schedule.settings.state,
            target: ListedTarget {
                arn: schedule.settings.target.arn,
            },
        }
    }
}

/// The group and the name that a token says.
fn seen(token: Option<&str>) -> Result<(String, String), LambdaError> {
    let Some(token) = token else {
        return Ok(Default::default());
    };
    let text = paging::read(token);
    let seen = text.as_deref().and_then(|text| text.split_once('/'));
    let (group, name) =
        seen.ok_or_else(|| invalid("The NextToken is not one that this operation answered."))?;
    Ok((group.to_owned(), name.to_owned()))
}
