//! CreateSchedule, GetSchedule, UpdateSchedule and DeleteSchedule.

use std::sync::Arc;

use pilotlight_model::limits::SCHEDULES;
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Answer, Repeatable, Seconds, conflict, group_not_found, nothing, rules, schedule_not_found,
    typed,
};
use crate::catalog::Session;
use crate::catalog::schedule_groups::DEFAULT;
use crate::catalog::schedules::{Next, Schedule};
use crate::control::Parts;
use crate::schedules::settings::{ScheduleState, Settings};
use crate::schedules::timing::Timing;

/// Which schedule a request means.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    name: String,
    #[serde(default = "default_group")]
    group_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Changed {
    schedule_arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Shown {
    arn: String,
    group_name: String,
    name: String,
    #[serde(flatten)]
    settings: Settings,
    creation_date: Seconds,
    last_modification_date: Seconds,
}

pub(super) async fn create(
    parts: &Arc<Parts>,
    caller: &Caller,
    mut input: Value,
) -> Result<Changed, LambdaError> {
    let repeatable = Repeatable::take("CreateSchedule", &mut input);
    rules::supported(&input)?;
    let named: Named = typed(input.clone())?;
    let settings: Settings = typed(input)?;
    let now_ms = parts.config.clock.unix_ms();
    let timing = rules::judge(&settings, caller, now_ms)?;
    let (seed, _) = Uuid::new_v4().as_u64_pair();
    let schedule = Schedule {
        id: 0,
        caller: caller.clone(),
        next: next(&settings, timing(now_ms, seed).as_ref(), now_ms),
        group: named.group_name,
        name: named.name,
        settings,
        created_ms: now_ms,
        modified_ms: now_ms,
        anchor_ms: now_ms,
        seed,
        deleting: false,
    };
    let schedule_arn = schedule.arn();
    parts
        .catalog
        .write(move |session| insert(session, &schedule, &repeatable, now_ms))
        .await?;
    parts.note_schedules();
    Ok(Changed { schedule_arn })
}

fn insert(
    session: &Session<'_>,
    schedule: &Schedule,
    repeatable: &Repeatable,
    now_ms: u64,
) -> Result<(), LambdaError> {
    let Schedule {
        caller,
        group,
        name,
        ..
    } = schedule;
    session.ensure_default_group(caller, now_ms)?;
    let found = session
        .group(caller, group)?
        .ok_or_else(|| group_not_found(group))?;
    if found.deleting {
        return Err(conflict(format!(
            "Schedule group {group} is being deleted."
        )));
    }
    if session.schedule(caller, group, name)?.is_some() {
        return match repeatable.was_done(session, caller)? {
            true => Ok(()),
            false => Err(conflict(format!("Schedule {name} already exists."))),
        };
    }
    if session.count_schedules(caller)?.1 >= SCHEDULES {
        return Err(LambdaError::new(
            ErrorKind::QuotaExceeded,
            format!("There can be {SCHEDULES} schedules in this account and region."),
        ));
    }
    session.insert_schedule(found.id, schedule)?;
    repeatable.done(session, caller, now_ms)
}

pub(super) async fn get(
    parts: &Arc<Parts>,
    caller: &Caller,
    named: Named,
) -> Result<Shown, LambdaError> {
    let caller = caller.clone();
    let schedule = parts
        .catalog
        .read(move |session| find(session, &caller, &named))
        .await?;
    Ok(Shown {
        arn: schedule.arn(),
        group_name: schedule.group,
        name: schedule.name,
        settings: schedule.settings,
        creation_date: Seconds::of(schedule.created_ms),
        last_modification_date: Seconds::of(schedule.modified_ms),
    })
}

/// What is not given goes back to its default, as on AWS: a schedule is replaced as a whole.
pub(super) async fn update(
    parts: &Arc<Parts>,
    caller: &Caller,
    mut input: Value,
) -> Result<Changed, LambdaError> {
    // An update may be repeated as it is.
    Repeatable::take("UpdateSchedule", &mut input);
    rules::supported(&input)?;
    let named: Named = typed(input.clone())?;
    let settings: Settings = typed(input)?;
    let now_ms = parts.config.clock.unix_ms();
    let caller = caller.clone();
    let schedule_arn = parts
        .catalog
        .write(move |session| {
            let mut schedule = find(session, &caller, &named)?;
            let timing = rules::judge(&settings, &caller, now_ms)?;
            if schedule.settings.schedule_expression != settings.schedule_expression {
                schedule.anchor_ms = now_ms;
            }
            let timing = timing(schedule.anchor_ms, schedule.seed);
            schedule.next = next(&settings, timing.as_ref(), now_ms);
            (schedule.settings, schedule.modified_ms) = (settings, now_ms);
            session.update_schedule(&schedule)?;
            Ok::<_, LambdaError>(schedule.arn())
        })
        .await?;
    parts.note_schedules();
    Ok(Changed { schedule_arn })
}

pub(super) async fn delete(
    parts: &Arc<Parts>,
    caller: &Caller,
    mut input: Value,
) -> Result<Answer, LambdaError> {
    let repeatable = Repeatable::take("DeleteSchedule", &mut input);
    let named: Named = typed(input)?;
    let now_ms = parts.config.clock.unix_ms();
    let caller = caller.clone();
    parts
        .catalog
        .write(move |session| {
            match find(session, &caller, &named) {
                Ok(schedule) => {
                    session.delete_schedule(schedule.id)?;
                    session.remove_firings(&caller, &schedule.arn())?;
                }
                Err(_) if repeatable.was_done(session, &caller)? => return Ok(()),
                Err(error) => return Err(error),
            }
            repeatable.done(session, &caller, now_ms)
        })
        .await?;
    parts.note_schedules();
    Ok(nothing())
}

fn find(session: &Session<'_>, caller: &Caller, named: &Named) -> Result<Schedule, LambdaError> {
    let Named { name, group_name } = named;
    if let Some(schedule) = session.schedule(caller, group_name, name)? {
        return Ok(schedule);
    }
    let group_is_there = group_name == DEFAULT || session.group(caller, group_name)?.is_some();
    Err(match group_is_there {
        true => schedule_not_found(name),
        false => group_not_found(group_name),
    })
}

/// When an enabled schedule is due and fires first from now on.
fn next(settings: &Settings, timing: Option<&Timing>, now_ms: u64) -> Option<Next> {
    if settings.state == ScheduleState::Disabled {
        return None;
    }
    let timing = timing?;
    let due_ms = timing.first(now_ms)?;
    Some(Next {
        due_ms,
        fire_ms: timing.fires_at(due_ms),
    })
}

fn default_group() -> String {
    DEFAULT.to_owned()
}
