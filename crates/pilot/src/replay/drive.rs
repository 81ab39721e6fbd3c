//! Calls functions when the trace did, whatever came of the calls before.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use pilotlight_model::start::PhaseLength;
use pilotlight_model::{Phase, StartKind};
use pilotlight_sim::Trace;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::client::{Client, encode};
use crate::invoke::timing::ServerTiming;

/// Calls that are out at the same time at most: the account's concurrency, unless that was changed. A call beyond
/// that waits, which its time shows.
const OUT: usize = 1_000;
/// Time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);
/// Starts that are told in full.
const TOLD: usize = 10;

/// A call that was answered.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Called {
    /// Place of its function in the trace.
    #[serde(skip)]
    pub(super) place: usize,
    /// Its function.
    pub(super) function: String,
    /// When it was due, in milliseconds since the replay began.
    pub(super) at_ms: u64,
    /// What its instance came from; none where it failed.
    pub(super) kind: Option<StartKind>,
    /// What the platform took until the handler ran, in microseconds.
    pub(super) start_us: u64,
    /// What it took beyond the handler's own time, seen from here and since it was due, in microseconds.
    pub(super) beyond_us: u64,
    /// Where the time went.
    pub(super) phases: Vec<PhaseLength>,
}

/// Makes all calls and returns what came of them.
pub(super) async fn drive(client: &Client, names: &[String], trace: &Trace) -> Vec<Called> {
    let client = Arc::new(client.clone());
    let places = Arc::new(Semaphore::new(OUT));
    let mut calls = tokio::task::JoinSet::new();
    let mut done = Vec::with_capacity(trace.requests.len());
    let begin = Instant::now();
    let mut said = begin;
    for request in &trace.requests {
        let due = begin + Duration::from_millis(request.at_ms);
        // What has ended is taken in while there is time.
        while let Ok(Some(ended)) = tokio::time::timeout_at(due, calls.join_next()).await {
            done.extend(ended.ok());
        }
        tokio::time::sleep_until(due).await;
        let name = names[request.function as usize].clone();
        let (client, places) = (Arc::clone(&client), Arc::clone(&places));
        let (place, at_ms, ms) = (request.function as usize, request.at_ms, request.took_ms);
        calls.spawn(async move {
            let _place = places.acquire().await;
            let (kind, phases) = call(&client, &name, ms).await;
            let handler = Duration::from_millis(u64::from(ms));
            Called {
                place,
                function: name,
                at_ms,
                kind,
                start_us: before_handler(&phases),
                beyond_us: due.elapsed().saturating_sub(handler).as_micros() as u64,
                phases,
            }
        });
        if said.elapsed() > PROGRESS {
            said = Instant::now();
            eprintln!("{} s: {} answered", begin.elapsed().as_secs(), done.len());
        }
    }
    while let Some(ended) = calls.join_next().await {
        done.extend(ended.ok());
    }
    done
}

async fn call(client: &Client, name: &str, ms: u32) -> (Option<StartKind>, Vec<PhaseLength>) {
    let path = format!("/2015-03-31/functions/{}/invocations", encode(name));
    let event = Bytes::from(format!("{{\"ms\":{ms}}}"));
    let answer = match client.call(Method::POST, &path, &[], event).await {
        Ok(answer) => answer,
        Err(_) => return (None, Vec::new()),
    };
    let timing = answer.header("server-timing").and_then(ServerTiming::parse);
    match timing {
        Some(timing)
            if answer.status.is_success() && answer.header("x-amz-function-error").is_none() =>
        {
            (Some(timing.kind), timing.phases)
        }
        _ => (None, Vec::new()),
    }
}

fn before_handler(phases: &[PhaseLength]) -> u64 {
    let before = phases.iter().filter(|it| it.phase < Phase::Handler);
    before.map(|it| it.us).sum()
}

/// The calls whose start took longest, the longest first.
pub(super) fn slowest(mut called: Vec<Called>) -> Vec<Called> {
    called.sort_by_key(|it| std::cmp::Reverse(it.start_us));
    called.truncate(TOLD);
    called
}
