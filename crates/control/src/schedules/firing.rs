//! The worker that sees to firings which take time, or which could not be handed on at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::AccountId;
use pilotlight_model::error::Causes;
use pilotlight_model::node::NodeError;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use super::handing_on::{Attempted, Failed, Handed, attempt, failed};
use crate::catalog::CatalogError;
use crate::catalog::firings::Firing;
use crate::control::Parts;
use crate::warm_up;

/// Firings that are seen to at the same time.
const ROOM: usize = 16;
/// Of these, those of one account: warm-ups take long, and others are not to wait for them.
const ROOM_OF_ACCOUNT: usize = ROOM / 2;
/// Rest after a fault of the catalog.
const FAULT_REST: Duration = Duration::from_secs(5);

/// A firing that is being seen to.
struct Busy {
    firing: i64,
    account: AccountId,
}

/// Sees to what is due, until stopped; then it lets those that run end.
pub(crate) async fn run(parts: Arc<Parts>, stop: CancellationToken) {
    let clock = Arc::clone(&parts.config.clock);
    let mut running: JoinSet<()> = JoinSet::new();
    let mut busy: HashMap<Id, Busy> = HashMap::new();
    while !stop.is_cancelled() {
        let mut wake_ms = u64::MAX;
        let full = full(&busy);
        // Those that run are due and so come first: this many rows hold every one that could start.
        for firing in upcoming(&parts, full.clone()).await {
            if busy.values().any(|it| it.firing == firing.id) {
                continue;
            }
            if firing.retry_ms > clock.unix_ms() {
                wake_ms = firing.retry_ms;
                break;
            }
            let of_account = |it: &&Busy| it.account == firing.caller.account;
            if busy.len() < ROOM && busy.values().filter(of_account).count() < ROOM_OF_ACCOUNT {
                let what = Busy {
                    firing: firing.id,
                    account: firing.caller.account.clone(),
                };
                let task = running.spawn(see_to(Arc::clone(&parts), firing));
                busy.insert(task.id(), what);
            }
        }
        // Behind the firings of one that has got all of its room there may be others'.
        if self::full(&busy).len() > full.len() {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = parts.firings_changed.notified(), if busy.len() < ROOM => {}
            () = clock.sleep_until(wake_ms) => {}
            Some(ended) = running.join_next_with_id() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(panic) => {
                        tracing::error!(%panic, "a firing panicked");
                        panic.id()
                    }
                };
                busy.remove(&id);
            }
        }
    }
    while running.join_next().await.is_some() {}
}

/// The firings that come next, but those of some accounts.
async fn upcoming(parts: &Parts, without: Vec<AccountId>) -> Vec<Firing> {
    let next = parts
        .catalog
        .read(move |session| session.next_firings(ROOM, &without));
    match next.await {
        Ok(firings) => firings,
        Err(error) => {
            let error: CatalogError = error;
            tracing::error!(error = %Causes(&error), "cannot see which firings are due");
            tokio::time::sleep(FAULT_REST).await;
            parts.firings_changed.notify_one();
            Vec::new()
        }
    }
}

/// The accounts that have all the room that one may have.
fn full(busy: &HashMap<Id, Busy>) -> Vec<AccountId> {
    let mut counts: HashMap<&AccountId, usize> = HashMap::new();
    for it in busy.values() {
        *counts.entry(&it.account).or_default() += 1;
    }
    let full = counts
        .into_iter()
        .filter(|(_, count)| *count >= ROOM_OF_ACCOUNT);
    full.map(|(account, _)| account.clone()).collect()
}

/// One attempt at one firing, written down before it ends.
async fn see_to(parts: Arc<Parts>, firing: Firing) {
    let arn = firing.schedule_arn.clone();
    if let Err(error) = once(&parts, firing).await {
        tracing::error!(error = %Causes(&error), schedule = arn, "a firing's end could not be written");
        tokio::time::sleep(FAULT_REST).await;
    }
}

async fn once(parts: &Arc<Parts>, firing: Firing) -> Result<(), CatalogError> {
    let now_ms = parts.config.clock.unix_ms();
    let (shared, tried) = (Arc::clone(parts), firing.clone());
    let (attempted, handed) = parts
        .catalog
        .write(move |session| {
            let mut handed = Handed::new(&shared);
            if !session.has_firing(tried.id)? {
                return Ok((Attempted::Done, handed));
            }
            let attempted = attempt(session, &tried, now_ms, &mut handed)?;
            match &attempted {
                Attempted::Done => session.remove_firing(tried.id)?,
                Attempted::Failed(why) => failed(session, &tried, why, false, now_ms, &mut handed)?,
                Attempted::WarmUp(_) => {}
            }
            Ok::<_, CatalogError>((attempted, handed))
        })
        .await?;
    handed.announce();
    match attempted {
        Attempted::WarmUp(request) => warm(parts, firing, &request).await,
        Attempted::Done | Attempted::Failed(_) => Ok(()),
    }
}

/// A warm-up that finds no room for all of its instances has done what it could.
async fn warm(
    parts: &Arc<Parts>,
    firing: Firing,
    request: &warm_up::Request,
) -> Result<(), CatalogError> {
    let why: Failed = match warm_up::run(parts, request).await {
        Ok(_) => {
            let done = parts
                .catalog
                .write(move |session| session.remove_firing(firing.id));
            return done.await;
        }
        Err(warm_up::Failure::Function(error)) => error.into(),
        // The next run takes it up.
        Err(warm_up::Failure::Node(NodeError::Draining)) => return Ok(()),
        Err(warm_up::Failure::Node(error)) => Failed {
            code: "ServiceException",
            message: error.to_string(),
        },
    };
    let now_ms = parts.config.clock.unix_ms();
    let mut handed = Handed::new(parts);
    let handed = parts
        .catalog
        .write(move |session| {
            failed(session, &firing, &why, false, now_ms, &mut handed)?;
            Ok::<_, CatalogError>(handed)
        })
        .await?;
    handed.announce();
    Ok(())
}
