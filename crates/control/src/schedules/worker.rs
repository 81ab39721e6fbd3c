//! The worker that fires schedules, and deletes what groups leave behind.

use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::error::Causes;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::handing_on::{Attempted, Failed, Handed, attempt, dead_letter, failed};
use super::misfire::plan;
use super::settings::ActionAfterCompletion;
use super::timing::Timing;
use crate::catalog::firings::Firing;
use crate::catalog::schedules::{Next, Schedule};
use crate::catalog::{CatalogError, Session};
use crate::control::Parts;

/// Schedules that fire in one transaction.
const BATCH: usize = 64;
/// Schedules of a group that are deleted in one transaction.
const DELETED: usize = 1_000;
/// Rest after a fault of the catalog.
const FAULT_REST: Duration = Duration::from_secs(5);

/// Fires what is due, until stopped.
pub(crate) async fn run(parts: Arc<Parts>, stop: CancellationToken) {
    let clock = Arc::clone(&parts.config.clock);
    while !stop.is_cancelled() {
        let changed = parts.schedules_changed.notified();
        let wake_ms = match turn(&parts).await {
            Ok(wake_ms) => wake_ms,
            Err(error) => {
                tracing::error!(error = %Causes(&error), "schedules cannot be fired");
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(FAULT_REST) => {}
                }
                continue;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = changed => {}
            () = clock.sleep_until(wake_ms) => {}
        }
    }
}

/// Does what is to be done now; returns when there is more.
async fn turn(parts: &Arc<Parts>) -> Result<u64, CatalogError> {
    let now_ms = parts.config.clock.unix_ms();
    let (fire_ms, group) = parts
        .catalog
        .read(|session| {
            let group = session.group_being_deleted()?;
            Ok::<_, CatalogError>((session.next_fire()?, group))
        })
        .await?;
    let mut wake_ms = fire_ms.unwrap_or(u64::MAX);
    if wake_ms <= now_ms {
        // As many as are due; then it is looked again.
        fire(parts, now_ms).await?;
        wake_ms = now_ms;
    }
    if let Some(id) = group {
        let delete = move |session: &Session<'_>| session.continue_group_deletion(id, DELETED);
        parts.catalog.write(delete).await?;
        wake_ms = now_ms;
    }
    Ok(wake_ms)
}

/// Fires a batch of schedules in one transaction.
async fn fire(parts: &Arc<Parts>, now_ms: u64) -> Result<(), CatalogError> {
    let shared = Arc::clone(parts);
    let fired = parts
        .catalog
        .write(move |session| {
            let mut fired = Fired {
                handed: Handed::new(&shared),
                count: 0,
                waiting: false,
            };
            for schedule in session.schedules_to_fire(now_ms, BATCH)? {
                fire_one(session, &schedule, now_ms, &mut fired)?;
            }
            Ok::<_, CatalogError>(fired)
        })
        .await?;
    // First: who sees what comes of a firing sees it counted.
    parts.metrics.schedules_fired.inc_by(fired.count);
    fired.handed.announce();
    parts.upcoming_changed.notify_one();
    if fired.waiting {
        parts.firings_changed.notify_one();
    }
    Ok(())
}

/// What a batch came to.
struct Fired {
    handed: Handed,
    count: u64,
    /// There are firings that the second worker sees to.
    waiting: bool,
}

/// One schedule goes on to its next due time, and what it is due for now is handed on.
fn fire_one(
    session: &Session<'_>,
    schedule: &Schedule,
    now_ms: u64,
    fired: &mut Fired,
) -> Result<(), CatalogError> {
    let (Some(waited), false) = (schedule.next, schedule.deleting) else {
        return session.set_next(schedule.id, None);
    };
    let timing = schedule.settings.timing(schedule.anchor_ms, schedule.seed);
    let Some(timing) = timing else {
        tracing::error!(
            schedule = schedule.arn(),
            "a schedule's expression does not read any more"
        );
        return session.set_next(schedule.id, None);
    };
    let longest = schedule.settings.target.retry_policy.longest();
    let plan = plan(&timing, waited.due_ms, now_ms, longest);
    if plan.left_out || !plan.deliver {
        tracing::warn!(
            schedule = schedule.arn(),
            due_ms = waited.due_ms,
            last_ms = plan.last,
            delivered = plan.deliver,
            "due times have passed, of which at most the last is delivered"
        );
    }
    let firing = Firing {
        id: 0,
        caller: schedule.caller.clone(),
        schedule_arn: schedule.arn(),
        target: schedule.settings.target.clone(),
        execution_id: Uuid::new_v4().simple().to_string(),
        scheduled_ms: plan.last,
        fired_ms: timing.fires_at(plan.last),
        attempts: 0,
        retry_ms: now_ms,
        last_error: None,
    };
    if plan.deliver {
        fired.deliver(session, &firing, now_ms)?;
    } else {
        fired.too_late(session, &firing, now_ms)?;
    }
    move_on(session, schedule, &timing, plan.next)
}

impl Fired {
    /// Hands a firing on, or has it wait for the second worker.
    fn deliver(
        &mut self,
        session: &Session<'_>,
        firing: &Firing,
        now_ms: u64,
    ) -> Result<(), CatalogError> {
        self.count += 1;
        match attempt(session, firing, now_ms, &mut self.handed)? {
            Attempted::Done => {}
            Attempted::WarmUp(_) => {
                session.insert_firing(firing)?;
                self.waiting = true;
            }
            Attempted::Failed(why) => {
                failed(session, firing, &why, true, now_ms, &mut self.handed)?;
                self.waiting = true;
            }
        }
        Ok(())
    }

    /// A firing that nobody may want any more is a dead letter.
    fn too_late(
        &mut self,
        session: &Session<'_>,
        firing: &Firing,
        now_ms: u64,
    ) -> Result<(), CatalogError> {
        let why = Failed {
            code: "ServiceUnavailable",
            message: "The platform was not running when the schedule was due.".to_owned(),
        };
        let age = "MaximumEventAgeInSeconds";
        dead_letter(session, firing, &why, age, now_ms, &mut self.handed)
    }
}

/// A schedule waits for its next due time, or is over.
fn move_on(
    session: &Session<'_>,
    schedule: &Schedule,
    timing: &Timing,
    next: Option<u64>,
) -> Result<(), CatalogError> {
    match next {
        Some(due_ms) => {
            let fire_ms = timing.fires_at(due_ms);
            session.set_next(schedule.id, Some(Next { due_ms, fire_ms }))
        }
        None if schedule.settings.action_after_completion == ActionAfterCompletion::Delete => {
            session.delete_schedule(schedule.id)
        }
        None => session.set_next(schedule.id, None),
    }
}
