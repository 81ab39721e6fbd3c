//! CreateScheduleGroup, GetScheduleGroup and DeleteScheduleGroup.

use std::sync::Arc;

use pilotlight_model::limits::SCHEDULE_GROUPS;
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tags::{Tag, collect};
use super::{Answer, Repeatable, Seconds, conflict, group_not_found, invalid, nothing, typed};
use crate::catalog::schedule_groups::{DEFAULT, Group};
use crate::control::Parts;

/// Schedules that are deleted with their group at once; of more, the rest goes in the background.
pub(crate) const DELETED_AT_ONCE: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateRequest {
    name: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Created {
    schedule_group_arn: String,
}

/// A group as it is shown, alone and in lists.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Shown {
    arn: String,
    creation_date: Seconds,
    last_modification_date: Seconds,
    name: String,
    state: &'static str,
}

impl Shown {
    pub(super) fn of(caller: &Caller, group: Group) -> Self {
        Self {
            arn: arn(caller, &group.name),
            creation_date: Seconds::of(group.created_ms),
            last_modification_date: Seconds::of(group.modified_ms),
            name: group.name,
            state: match group.deleting {
                true => "DELETING",
                false => "ACTIVE",
            },
        }
    }
}

pub(super) async fn create(
    parts: &Arc<Parts>,
    caller: &Caller,
    mut input: Value,
) -> Result<Created, LambdaError> {
    let repeatable = Repeatable::take("CreateScheduleGroup", &mut input);
    let CreateRequest { name, tags } = typed(input)?;
    let tags = collect(tags)?;
    let now_ms = parts.config.clock.unix_ms();
    let schedule_group_arn = arn(caller, &name);
    let caller = caller.clone();
    parts
        .catalog
        .write(move |session| {
            session.ensure_default_group(&caller, now_ms)?;
            if session.group(&caller, &name)?.is_some() {
                return match repeatable.was_done(session, &caller)? {
                    true => Ok(()),
                    false => Err(conflict(format!("Schedule group {name} already exists."))),
                };
            }
            if session.count_schedules(&caller)?.0 >= SCHEDULE_GROUPS {
                return Err(LambdaError::new(
                    ErrorKind::QuotaExceeded,
                    format!(
                        "There can be {SCHEDULE_GROUPS} schedule groups in this account and region."
                    ),
                ));
            }
            session.insert_group(&caller, &name, &tags, now_ms)?;
            repeatable.done(session, &caller, now_ms)
        })
        .await?;
    Ok(Created { schedule_group_arn })
}

pub(super) async fn get(
    parts: &Arc<Parts>,
    caller: &Caller,
    named: Named,
) -> Result<Shown, LambdaError> {
    let group = find(parts, caller, named.name).await?;
    Ok(Shown::of(caller, group))
}

/// Deletes a group with its schedules. A group with many is there, DELETING, until the last of them is gone.
pub(super) async fn delete(
    parts: &Arc<Parts>,
    caller: &Caller,
    mut input: Value,
) -> Result<Answer, LambdaError> {
    let repeatable = Repeatable::take("DeleteScheduleGroup", &mut input);
    let Named { name } = typed(input)?;
    if name == DEFAULT {
        return Err(invalid("The default schedule group cannot be deleted."));
    }
    let now_ms = parts.config.clock.unix_ms();
    let caller = caller.clone();
    parts
        .catalog
        .write(move |session| {
            let Some(group) = session.group(&caller, &name)? else {
                return match repeatable.was_done(session, &caller)? {
                    true => Ok(()),
                    false => Err(group_not_found(&name)),
                };
            };
            if !group.deleting {
                session.begin_group_deletion(group.id, now_ms)?;
                session.remove_firings_of_group(&caller, &name)?;
                session.continue_group_deletion(group.id, DELETED_AT_ONCE)?;
            }
            repeatable.done(session, &caller, now_ms)
        })
        .await?;
    parts.note_schedules();
    Ok(nothing())
}

/// The group of that name; the default one is there before it is used.
pub(super) async fn find(
    parts: &Parts,
    caller: &Caller,
    name: String,
) -> Result<Group, LambdaError> {
    if name == DEFAULT {
        ensure_default(parts, caller).await?;
    }
    let caller = caller.clone();
    parts
        .catalog
        .read(move |session| {
            session
                .group(&caller, &name)?
                .ok_or_else(|| group_not_found(&name))
        })
        .await
}

/// Makes the default group where it is not there yet. Written once for each account and region.
pub(super) async fn ensure_default(parts: &Parts, caller: &Caller) -> Result<(), LambdaError> {
    let asked = caller.clone();
    let found = parts
        .catalog
        .read(move |session| Ok::<_, LambdaError>(session.group(&asked, DEFAULT)?))
        .await?;
    if found.is_some() {
        return Ok(());
    }
    let (caller, now_ms) = (caller.clone(), parts.config.clock.unix_ms());
    parts
        .catalog
        .write(move |session| Ok(session.ensure_default_group(&caller, now_ms)?))
        .await
}

/// `arn:partition:scheduler:region:account:schedule-group/name`.
pub(super) fn arn(caller: &Caller, name: &str) -> String {
    let Caller {
        account, region, ..
    } = caller;
    let partition = region.partition();
    format!("arn:{partition}:scheduler:{region}:{account}:schedule-group/{name}")
}
