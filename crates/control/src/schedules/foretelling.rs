//! Firings are known before they come: the node is told of them in time to make instances ready. What was told and will
//! not come, because its schedule was changed or deleted, is taken back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::VersionKey;
use pilotlight_model::error::Causes;
use pilotlight_model::node::Announcement;
use tokio_util::sync::CancellationToken;

use super::delivery::{Context, Delivery};
use crate::catalog::CatalogError;
use crate::catalog::schedules::Schedule;
use crate::control::Parts;

/// How long before a firing the node is told: longer than the longest init and the making of a template, and no longer
/// than who decides there waits for what was announced, so that it has one announcement of a version in mind at a time.
const AHEAD: Duration = Duration::from_secs(60);
/// Firings that the node is told of at a time, the soonest.
const MOST: usize = 512;
/// Between two looks, at least: a firing that is nearer when its schedule is made finds what it finds.
const REST: Duration = Duration::from_millis(200);
/// Rest after a fault of the catalog.
const FAULT_REST: Duration = Duration::from_secs(5);

/// Requests by when they come, in milliseconds since 1970, and for what.
type Foretold = BTreeMap<(u64, VersionKey), u32>;

/// Tells of firings until stopped.
pub(crate) async fn run(parts: Arc<Parts>, stop: CancellationToken) {
    let clock = Arc::clone(&parts.config.clock);
    let mut told = Foretold::new();
    while !stop.is_cancelled() {
        let changed = parts.upcoming_changed.notified();
        let (wake_ms, rest) = match look(&parts, &mut told).await {
            Ok(wake_ms) => (wake_ms, REST),
            Err(error) => {
                tracing::error!(error = %Causes(&error), "firings to come cannot be read");
                (0, FAULT_REST)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = changed => {}
            () = clock.sleep_until(wake_ms) => {}
        }
    }
}

/// Tells what is new; returns when there is more to tell.
async fn look(parts: &Parts, told: &mut Foretold) -> Result<u64, CatalogError> {
    let ahead_ms = AHEAD.as_millis() as u64;
    let now_ms = parts.config.clock.unix_ms();
    let until_ms = now_ms.saturating_add(ahead_ms);
    let (schedules, next_ms) = parts
        .catalog
        .read(move |session| {
            let schedules = session.schedules_to_fire(until_ms, MOST)?;
            Ok::<_, CatalogError>((schedules, session.next_fire_after(until_ms)?))
        })
        .await?;
    // What is behind the last that was read is not known.
    let full = schedules.len() >= MOST;
    let last_ms = schedules.last().and_then(fire_ms);
    let known_until_ms = last_ms.filter(|_| full).unwrap_or(u64::MAX);
    let mut upcoming = Foretold::new();
    for schedule in &schedules {
        add(parts, schedule, now_ms, &mut upcoming);
    }
    for (at_ms, key, requests) in changes(told, &upcoming, now_ms, known_until_ms) {
        if let Some(spec) = parts.catalog.index().serving(&key) {
            parts.node.announce(Announcement {
                spec,
                requests,
                after: Duration::from_millis(at_ms.saturating_sub(now_ms)),
            });
        }
        match requests {
            0 => told.remove(&(at_ms, key)),
            _ => told.insert((at_ms, key), requests),
        };
    }
    told.retain(|(at_ms, _), _| *at_ms > now_ms);
    Ok(next_ms.map_or(u64::MAX, |next_ms| next_ms.saturating_sub(ahead_ms)))
}

fn fire_ms(schedule: &Schedule) -> Option<u64> {
    schedule.next.map(|next| next.fire_ms)
}

/// Adds what a schedule will ask for when it fires, which may be nothing: of what is due now, it is too late to tell.
fn add(parts: &Parts, schedule: &Schedule, now_ms: u64, upcoming: &mut Foretold) {
    let Some(next) = schedule.next.filter(|next| next.fire_ms > now_ms) else {
        return;
    };
    if schedule.deleting {
        return;
    }
    let context = Context {
        caller: schedule.caller.clone(),
        schedule_arn: schedule.arn(),
        scheduled_ms: next.due_ms,
        execution_id: String::new(),
        attempt: 1,
    };
    let (function, instances) = match Delivery::of(&schedule.settings.target, &context) {
        Ok(Delivery::Invoke { function, .. }) => (function, None),
        Ok(Delivery::WarmUp(request)) => {
            let (function, instances) = request.wanted();
            (function.clone(), Some(instances))
        }
        Ok(Delivery::Queue { .. }) | Err(_) => return,
    };
    // Any of the versions of an alias may get an event; of a warm-up each gets its part.
    for route in parts.routes(&function).unwrap_or_default() {
        let requests = instances.map_or(1, |instances| route.weight.part_of(instances));
        let key = route.resolved.spec.key.clone();
        *upcoming.entry((next.fire_ms, key)).or_default() += requests;
    }
}

/// What is to be told after `told`: none are to come of what was told and is no longer among what is known to come.
fn changes(
    told: &Foretold,
    upcoming: &Foretold,
    now_ms: u64,
    known_until_ms: u64,
) -> Vec<(u64, VersionKey, u32)> {
    let known = now_ms + 1..=known_until_ms;
    let gone = told
        .keys()
        .filter(|of| known.contains(&of.0) && !upcoming.contains_key(*of));
    let gone = gone.map(|of| (of, 0));
    let news = upcoming
        .iter()
        .filter(|(of, requests)| told.get(*of) != Some(*requests));
    let news = news.map(|(of, requests)| (of, *requests));
    gone.chain(news)
        .map(|((at_ms, key), requests)| (*at_ms, key.clone(), requests))
        .collect()
}

#[cfg(test)]
mod tests {
    use pilotlight_model::Version;

    use super::*;

    fn key(name: &str) -> VersionKey {
        VersionKey {
            account: Default::default(),
            region: Default::default(),
            name: name.parse().unwrap(),
            version: Version::Latest,
        }
    }

    fn foretold(list: &[(u64, &str, u32)]) -> Foretold {
        let entry = |(at, name, requests): &(u64, &str, u32)| ((*at, key(name)), *requests);
        list.iter().map(entry).collect()
    }

    #[test]
    fn what_is_new_is_told_and_what_is_gone_is_taken_back() {
        let told = foretold(&[
            (5, "fired", 1),
            (20, "stays", 1),
            (20, "goes", 2),
            (30, "more", 1),
        ]);
        let upcoming = foretold(&[(20, "stays", 1), (30, "more", 3), (40, "new", 1)]);
        let all = [
            (20, key("goes"), 0),
            (30, key("more"), 3),
            (40, key("new"), 1),
        ];
        assert_eq!(changes(&told, &upcoming, 10, u64::MAX), all);
        // What is behind the last that is known may still be there.
        let near = foretold(&[(15, "nearer", 1)]);
        assert_eq!(changes(&told, &near, 10, 15), [(15, key("nearer"), 1)]);
        assert_eq!(changes(&upcoming, &upcoming, 10, u64::MAX), []);
    }
}
