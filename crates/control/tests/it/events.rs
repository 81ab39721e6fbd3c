//! Asynchronous invocations: acknowledged means delivered at least once, whatever happens.

use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use pilotlight_control::Ending;
use pilotlight_model::node::{Cause, EventQueue, NodeError, QueuedEvent};
use pilotlight_model::{RequestId, Version, VersionKey};

use crate::harness::{ARN, FUNCTIONS, Platform, caller, until};

pub(crate) fn event(name: &str, payload: &str) -> QueuedEvent {
    QueuedEvent {
        request_id: RequestId::new(),
        account: caller().account,
        region: caller().region,
        name: name.parse().unwrap(),
        qualifier: None,
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        client_context: Some("{}".to_owned()),
        trace_id: "Root=1-2-3".to_owned(),
        cause: None,
    }
}

/// The invocation that made an event.
fn cause() -> Cause {
    Cause {
        version: VersionKey {
            account: caller().account,
            region: caller().region,
            name: "caller".parse().unwrap(),
            version: Version::Number(3),
        },
        request_id: RequestId::new(),
        at_ms: 1,
    }
}

pub(crate) async fn queue_is(platform: &Platform, length: i64) {
    until(|| async { (platform.control.metrics().events_queued.get() == length).then_some(()) })
        .await;
}

/// Moves the clock on until the queue is empty: how many attempts were made and put off by now is unknown.
async fn empties(platform: &Platform) {
    until(|| async {
        platform.clock.advance(Duration::from_secs(1));
        (platform.control.metrics().events_queued.get() == 0).then_some(())
    })
    .await;
}

/// Events that ended for that reason with nobody to be told.
fn dropped(platform: &Platform, reason: &'static str) -> u64 {
    let metrics = platform.control.metrics();
    metrics
        .events_dropped
        .get_or_create(&Ending { reason })
        .get()
}

/// Waits until so many attempts have been put off: the next is due at a known time then.
async fn put_off(platform: &Platform, times: u64) {
    until(|| async { (platform.control.metrics().events_retried.get() >= times).then_some(()) })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_delivered_as_it_was_given() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let mut given = event("f", r#"{"a":1}"#);
    given.qualifier = Some("$LATEST".to_owned());
    given.cause = Some(cause());
    platform.control.enqueue(given.clone()).await.unwrap();
    queue_is(&platform, 0).await;
    let invoked = platform.node.invoked.lock().clone();
    assert_eq!(invoked.len(), 1);
    let request = &invoked[0];
    assert_eq!(
        (request.request_id, &request.payload),
        (given.request_id, &given.payload)
    );
    assert_eq!(request.invoked_arn, format!("{ARN}f:$LATEST"));
    assert_eq!(request.client_context.as_deref(), Some("{}"));
    assert_eq!(request.cause, given.cause);
    let (given, lineage) = request.trace_id.split_once(';').unwrap();
    assert_eq!(given, "Root=1-2-3");
    assert!(lineage.starts_with("Lineage=1:") && lineage.ends_with(":0"));
    assert_eq!(platform.control.metrics().events_delivered.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_no_half_event_behind() {
    let platform = Platform::open().await;
    platform.active("f").await;
    // Dropped at its first wait, as the future of a request is whose connection breaks.
    let mut enqueued = platform.control.enqueue(event("f", "1"));
    let _ = enqueued
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    drop(enqueued);
    let delivered = || platform.control.metrics().events_delivered.get();
    until(|| async { (delivered() == 1).then_some(()) }).await;
    queue_is(&platform, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_function_is_tried_three_times_with_waits() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform
        .node
        .invokes
        .lock()
        .extend([Ok(false), Ok(false), Ok(false)]);
    let called = QueuedEvent {
        cause: Some(cause()),
        ..event("f", "1")
    };
    platform.control.enqueue(called).await.unwrap();
    put_off(&platform, 1).await;
    platform.clock.advance(Duration::from_secs(60));
    put_off(&platform, 2).await;
    assert_eq!(platform.node.invoked.lock().len(), 2);
    platform.clock.advance(Duration::from_secs(120));
    queue_is(&platform, 0).await;
    assert_eq!(platform.node.invoked.lock().len(), 3);
    assert_eq!(dropped(&platform, "retries_exhausted"), 1);
    let invoked = platform.node.invoked.lock().clone();
    let called: Vec<bool> = invoked.iter().map(|it| it.cause.is_some()).collect();
    assert_eq!(called, [true, false, false], "called once, and tried again");
    let ids: HashSet<RequestId> = platform
        .node
        .invoked
        .lock()
        .iter()
        .map(|request| request.request_id)
        .collect();
    assert_eq!(
        ids.len(),
        1,
        "every attempt has the id that the caller was told"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_throttled_does_not_run_and_lets_others_pass() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform.active("g").await;
    *platform.admission.throttled.lock() = Some("f");
    for number in 1..=3 {
        let event = event("f", &number.to_string());
        platform.control.enqueue(event).await.unwrap();
    }
    put_off(&platform, 1).await;
    platform.control.enqueue(event("g", "4")).await.unwrap();
    queue_is(&platform, 3).await;
    assert_eq!(platform.node.invoked.lock().len(), 1);
    *platform.admission.throttled.lock() = None;
    empties(&platform).await;
    assert_eq!(platform.node.invoked.lock().len(), 4);
    let shares = platform.admission.shares.lock();
    assert!(shares.iter().all(|(_, share)| share.unreserved == 1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_refuses_is_tried_again_until_it_is_taken() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform.node.invokes.lock().extend([
        Err(NodeError::Overloaded),
        Err(NodeError::Draining),
        Err(NodeError::Internal("x".to_owned())),
    ]);
    platform.control.enqueue(event("f", "1")).await.unwrap();
    for (refusals, wait) in [(1, 1), (2, 2), (3, 4)] {
        put_off(&platform, refusals).await;
        platform.clock.advance(Duration::from_secs(wait));
    }
    queue_is(&platform, 0).await;
    assert_eq!(platform.control.metrics().events_delivered.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_survive_a_kill() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform.node.invokes.lock().push_back(Ok(false));
    platform.control.enqueue(event("f", "kept")).await.unwrap();
    put_off(&platform, 1).await;
    let after = platform.killed().await;
    assert_eq!(after.control.metrics().events_queued.get(), 1);
    after.clock.advance(Duration::from_secs(60));
    queue_is(&after, 0).await;
    assert_eq!(after.node.invoked.lock()[0].payload, "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_all_kept_and_all_delivered() {
    let platform = Arc::new(Platform::open_with(|config| config.event_concurrency = 8).await);
    platform.active("f").await;
    let tasks: Vec<_> = (0..300)
        .map(|number| {
            let platform = Arc::clone(&platform);
            tokio::spawn(async move {
                platform
                    .control
                    .enqueue(event("f", &number.to_string()))
                    .await
                    .unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    queue_is(&platform, 0).await;
    let invoked = platform.node.invoked.lock();
    let payloads: HashSet<Bytes> = invoked
        .iter()
        .map(|request| request.payload.clone())
        .collect();
    assert_eq!((payloads.len(), invoked.len()), (300, 300));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_says_so_and_a_missing_function_is_given_up() {
    // An account has no more than are free.
    let platform = Platform::open_with(|config| config.limits.queued_events = 4).await;
    platform.node.hold();
    // Pending: refused for now, so that the events stay.
    assert_eq!(platform.create("f").await.status, 201);
    platform.control.enqueue(event("f", "1")).await.unwrap();
    platform.control.enqueue(event("f", "2")).await.unwrap();
    let full = platform.control.enqueue(event("f", "3")).await.unwrap_err();
    assert_eq!(full.kind.status(), 429);
    assert_eq!(full.message, "Rate Exceeded.");
    // Another account finds a place: what keeps its event out is that it has no such function.
    let mut others = event("f", "4");
    others.account = "000000000001".parse().unwrap();
    let missing = platform.control.enqueue(others).await.unwrap_err();
    assert_eq!(missing.kind.status(), 404);
    put_off(&platform, 1).await;
    let path = format!("{FUNCTIONS}/f");
    assert_eq!(platform.delete(&path).await.status, 204);
    empties(&platform).await;
    assert_eq!(dropped(&platform, "function_gone"), 2);
    assert!(platform.node.invoked.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_ends_what_runs_and_leaves_the_rest() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform.control.drain(Duration::from_secs(30)).await;
    platform.control.enqueue(event("f", "late")).await.unwrap();
    assert!(platform.node.invoked.lock().is_empty());
    let next = platform.killed().await;
    queue_is(&next, 0).await;
    assert_eq!(next.node.invoked.lock()[0].payload, "late");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_of_an_event_before_it_is_on_disk() {
    let platform = Platform::open().await;
    platform.active("f").await;
    // Whoever else writes to the file keeps the catalog waiting, as a slow disk would.
    let other = platform.catalog();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut enqueued = platform.control.enqueue(event("f", "1"));
    let first = tokio::time::timeout(Duration::from_millis(100), &mut enqueued).await;
    assert!(first.is_err(), "accepted before it was written: {first:?}");
    assert!(platform.node.invoked.lock().is_empty());
    other.execute_batch("COMMIT").unwrap();
    enqueued.await.unwrap();
    queue_is(&platform, 0).await;
    assert_eq!(platform.node.invoked.lock().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_by_the_time_of_the_writing_is_not_accepted() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let mut of_alias = event("f", "1");
    of_alias.qualifier = Some("live".to_owned());
    for (given, qualifier) in [(event("g", "1"), "g:$LATEST"), (of_alias, "f:live")] {
        let refused = platform.control.enqueue(given).await.unwrap_err();
        assert_eq!(
            refused.message,
            format!("Function not found: {ARN}{qualifier}")
        );
    }
    assert_eq!(platform.control.metrics().events_queued.get(), 0);
}
