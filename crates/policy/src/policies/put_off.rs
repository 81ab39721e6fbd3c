//! For how long the start of a request that found all instances busy is put off: what [`queueing`] decides, from
//! what the books say of a version's instances.

use std::time::Duration;

use pilotlight_model::start::Instant;

use crate::VersionId;
use crate::books::{Books, State};
use crate::durations::Durations;
use crate::queueing::{self, Plan, Server};

/// So long after the last time at which an instance should have been free, the next decision is made: not at
/// that very time, or the two would race.
const AFTER: Duration = Duration::from_millis(1);

/// A start that is not made now.
#[derive(Debug, Clone, Copy)]
pub(super) struct PutOff {
    /// For so long.
    pub wait: Duration,
    /// How long the request is expected to wait, in seconds.
    pub expected: f64,
    /// What is done then: a start, or another decision because all that was known has passed.
    pub then_start: bool,
}

/// How long to wait; nothing where a start is best now, or nothing is known. `ahead` are the requests before it.
pub(super) fn put_off(
    now: Instant,
    version: VersionId,
    ahead: u32,
    books: &Books,
    (handler, start): (&Durations, &Durations),
    slack: f64,
) -> Option<PutOff> {
    let (handler, start) = (handler.distribution()?, start.distribution()?);
    let servers: Vec<Server<'_>> = books
        .instances_of(version)
        .filter(|(_, at)| at.state != State::Idle)
        .take(queueing::SERVERS)
        .map(|(_, at)| Server {
            takes: if at.state == State::Busy {
                &handler
            } else {
                &start
            },
            since: now.since(at.since).as_secs_f64(),
        })
        .collect();
    let free = queueing::first_free(&servers, ahead as usize)?;
    let decision = queueing::decide(&free, &start, slack);
    let expected = decision.wait;
    match decision.plan {
        Plan::Start => None,
        Plan::Wait(wait) => Some(PutOff {
            wait,
            expected,
            then_start: true,
        }),
        Plan::Stay => {
            let last = free.atoms().last().map_or(0.0, |(at, _)| *at);
            let last = Duration::try_from_secs_f64(last).unwrap_or(Duration::MAX);
            Some(PutOff {
                wait: last.saturating_add(AFTER),
                expected,
                then_start: false,
            })
        }
    }
}
