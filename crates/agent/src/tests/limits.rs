//! Concurrency, memory, turns, revisions, keep-alive and drain.

use std::sync::atomic::{AtomicUsize, Ordering};

use pilotlight_model::ids::FunctionName;
use pilotlight_model::start::{Cold, StartKind};
use tokio::sync::Semaphore;

use super::fake::script;
use super::*;
use crate::pool::Grant;

/// A runtime whose requests wait for a permit each.
fn gated(gate: &Arc<Semaphore>) -> Script {
    let gate = Arc::clone(gate);
    script(move |mut runtime| {
        let gate = Arc::clone(&gate);
        async move {
            let mut api = runtime.api().await;
            loop {
                let event = api.next().await;
                gate.acquire().await.unwrap().forget();
                api.respond(&event.id, event.body).await;
            }
        }
    })
}

fn echo() -> Script {
    script(|mut runtime| async move { runtime.api().await.echo().await })
}

fn named(name: &str, memory_mb: u32) -> Arc<FunctionSpec> {
    let mut spec = spec();
    spec.key.name = name.parse::<FunctionName>().unwrap();
    spec.memory_mb = memory_mb;
    Arc::new(spec)
}

#[tokio::test]
async fn concurrent_requests_get_an_instance_each() {
    let gate = Arc::new(Semaphore::new(0));
    let world = World::new(gated(&gate));
    let spec = Arc::new(spec());
    let calls: Vec<_> = (0..20)
        .map(|number| world.start_invoke(request(&spec, &number.to_string())))
        .collect();
    world.until(|world| world.counts() == (0, 0, 20)).await;
    gate.add_permits(20);
    let mut instances = std::collections::HashSet::new();
    for (number, call) in calls.into_iter().enumerate() {
        let reply = call.await.unwrap().unwrap();
        assert_eq!(reply.payload, number.to_string());
        instances.insert(reply.instance);
    }
    assert_eq!(instances.len(), 20);
}

#[tokio::test]
async fn starts_wait_for_their_turn() {
    let begun = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(Semaphore::new(0));
    let (count, may_go) = (Arc::clone(&begun), Arc::clone(&gate));
    let slow_init = script(move |mut runtime| {
        count.fetch_add(1, Ordering::SeqCst);
        let may_go = Arc::clone(&may_go);
        async move {
            may_go.acquire().await.unwrap().forget();
            runtime.api().await.echo().await
        }
    });
    let limits = Limits {
        concurrent_starts: 2,
        ..Limits::default()
    };
    let world = World::with_limits(slow_init, limits);
    let names = ["a", "b", "c", "d", "e"];
    let calls: Vec<_> = names
        .iter()
        .map(|name| world.start_invoke(request(&named(name, 128), "1")))
        .collect();
    world.until(|_| begun.load(Ordering::SeqCst) == 2).await;
    assert_eq!(world.counts().0, 2, "the others have not been admitted");
    gate.add_permits(names.len());
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().kind, StartKind::Booted);
    }
}

#[tokio::test(start_paused = true)]
async fn slow_user_code_does_not_keep_its_turn() {
    let limits = Limits {
        concurrent_starts: 1,
        ..Limits::default()
    };
    let world = World::with_limits(
        script(|mut runtime| async move {
            if runtime.number == 0 {
                tokio::time::sleep(Duration::from_secs(9)).await;
            }
            runtime.api().await.echo().await
        }),
        limits,
    );
    let slow = world.start_invoke(request(&named("slow", 128), "1"));
    world.until(|world| world.launcher.launches() == 1).await;
    let began = tokio::time::Instant::now();
    world.invoke(&named("quick", 128), "1").await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "one second and a bit on the paused clock"
    );
    slow.await.unwrap().unwrap();
}

#[tokio::test]
async fn room_is_made_by_reclaiming_the_longest_idle() {
    let limits = Limits {
        node_memory_mb: 300,
        ..Limits::default()
    };
    let world = World::with_limits(echo(), limits);
    let (a, b, c) = (named("a", 128), named("b", 128), named("c", 128));
    let first = world.invoke(&a, "1").await.instance;
    world.invoke(&b, "1").await;
    world.until(|world| world.counts() == (0, 2, 0)).await;
    world.invoke(&c, "1").await;
    let status = world.agent.status();
    assert!(status.promised_mb <= 300);
    assert_eq!(
        world.invoke(&b, "1").await.kind,
        StartKind::Warm,
        "b was younger"
    );
    let again = world.invoke(&a, "1").await;
    assert_eq!(again.kind, StartKind::Booted);
    assert_ne!(again.instance, first);
}

#[tokio::test]
async fn who_waits_for_room_takes_a_freed_instance_of_its_own() {
    let gate = Arc::new(Semaphore::new(0));
    let limits = Limits {
        node_memory_mb: 128,
        ..Limits::default()
    };
    let world = World::with_limits(gated(&gate), limits);
    let spec = Arc::new(spec());
    let calls: Vec<_> = (0..5)
        .map(|_| world.start_invoke(request(&spec, "1")))
        .collect();
    world.until(|world| world.counts() == (0, 0, 1)).await;
    gate.add_permits(5);
    let mut kinds = Vec::new();
    for call in calls {
        kinds.push(call.await.unwrap().unwrap().kind);
    }
    kinds.sort_unstable();
    let mut expected = vec![StartKind::Warm; 4];
    expected.push(StartKind::Booted);
    assert_eq!(kinds, expected);
    assert_eq!(world.launcher.launches(), 1);
}

#[tokio::test]
async fn who_waits_for_room_takes_freed_room_of_others() {
    let gate = Arc::new(Semaphore::new(0));
    let limits = Limits {
        node_instances: 1,
        ..Limits::default()
    };
    let world = World::with_limits(gated(&gate), limits);
    let busy = world.start_invoke(request(&named("a", 128), "1"));
    world.until(|world| world.counts() == (0, 0, 1)).await;
    let waits = world.start_invoke(request(&named("b", 128), "2"));
    gate.add_permits(2);
    assert_eq!(busy.await.unwrap().unwrap().payload, "1");
    assert_eq!(waits.await.unwrap().unwrap().payload, "2");
}

#[tokio::test]
async fn one_waiting_request_too_many_is_turned_away() {
    let gate = Arc::new(Semaphore::new(0));
    let limits = Limits {
        node_instances: 1,
        waiting_invocations: 2,
        ..Limits::default()
    };
    let world = World::with_limits(gated(&gate), limits);
    let spec = Arc::new(spec());
    let mut calls = vec![world.start_invoke(request(&spec, "1"))];
    world.until(|world| world.counts() == (0, 0, 1)).await;
    calls.extend((0..3).map(|_| world.start_invoke(request(&spec, "1"))));
    // The gate is shut, so that exactly one of the calls can have ended.
    world
        .until(|_| calls.iter().any(tokio::task::JoinHandle::is_finished))
        .await;
    gate.add_permits(4);
    let mut refused = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(reply) => assert_eq!(reply.payload, "1"),
            Err(error) => {
                assert_eq!(error, NodeError::Overloaded);
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 1);
}

#[tokio::test]
async fn a_function_larger_than_the_node_is_turned_away() {
    let limits = Limits {
        node_memory_mb: 256,
        ..Limits::default()
    };
    let world = World::with_limits(echo(), limits);
    let error = world
        .try_invoke(request(&named("a", 512), "1"))
        .await
        .unwrap_err();
    assert_eq!(error, NodeError::Overloaded);
}

#[tokio::test]
async fn an_instance_that_has_just_become_idle_is_not_left_beside_a_start() {
    let world = World::new(echo());
    let spec = Arc::new(spec());
    world.invoke(&spec, "1").await;
    world.until(|world| world.counts() == (0, 1, 0)).await;
    // As a request comes here that found none idle a moment ago.
    let mut place = world.agent.node.pool.queue(&spec, None).unwrap();
    assert!(place.soon);
    let grant = place.grant().await;
    assert!(matches!(grant, Grant::Instance(_, StartKind::Warm)));
    assert_eq!(world.launcher.launches(), 1);
}

#[tokio::test]
async fn a_forced_cold_start_is_one() {
    let world = World::new(echo());
    let spec = Arc::new(spec());
    world.invoke(&spec, "1").await;
    world.until(|world| world.counts() == (0, 1, 0)).await;
    let mut cold = request(&spec, "2");
    cold.cold = Some(Cold::Best);
    assert_eq!(
        world.try_invoke(cold).await.unwrap().kind,
        StartKind::Booted
    );
    assert_eq!(world.launcher.launches(), 2);
}

#[tokio::test]
async fn a_new_revision_retires_the_instances_of_the_old_one() {
    let gate = Arc::new(Semaphore::new(0));
    let world = World::new(gated(&gate));
    let old = Arc::new(spec());
    let busy = world.start_invoke(request(&old, "busy"));
    world.until(|world| world.counts() == (0, 0, 1)).await;
    let idle = world.start_invoke(request(&old, "idle"));
    world.until(|world| world.counts() == (0, 0, 2)).await;
    gate.add_permits(1);
    world.until(|world| world.counts() == (0, 1, 1)).await;

    let mut new = spec();
    new.revision = 2;
    let new = Arc::new(new);
    world.agent.prepare(Arc::clone(&new)).await.unwrap();
    world.until(|world| world.counts() == (0, 0, 1)).await;
    gate.add_permits(2);
    assert_eq!(world.invoke(&new, "new").await.kind, StartKind::Booted);
    assert_eq!(busy.await.unwrap().unwrap().payload, "busy");
    assert_eq!(idle.await.unwrap().unwrap().payload, "idle");
    // The one that was busy has gone too; the new one is idle.
    world
        .until(|world| world.counts() == (0, 1, 0) && world.launcher.living() == 1)
        .await;
}

#[tokio::test]
async fn a_deleted_function_is_gone_and_its_name_free() {
    let world = World::new(echo());
    let mut old = spec();
    old.revision = 7;
    let old = Arc::new(old);
    world.agent.prepare(Arc::clone(&old)).await.unwrap();
    world.invoke(&old, "1").await;
    world.until(|world| world.counts() == (0, 1, 0)).await;
    world.agent.retire(&old.key);
    world.until(|world| world.launcher.living() == 0).await;
    assert!(world.launcher.forgotten.lock().contains(&old.key));
    let new = Arc::new(spec());
    assert_eq!(world.invoke(&new, "1").await.kind, StartKind::Booted);
    world.until(|world| world.counts() == (0, 1, 0)).await;
    assert_eq!(world.invoke(&new, "1").await.kind, StartKind::Warm);
}

#[tokio::test]
async fn an_idle_instance_is_kept_for_as_long_as_its_function_says() {
    let world = World::new(echo());
    let mut short = spec();
    short.keep_alive = Some(Duration::from_millis(30));
    world.invoke(&Arc::new(short), "1").await;
    world.invoke(&named("long", 128), "1").await;
    world.until(|world| world.launcher.living() == 1).await;
    world.until(|world| world.counts() == (0, 1, 0)).await;
    assert_eq!(
        world.invoke(&named("long", 128), "1").await.kind,
        StartKind::Warm
    );
}

#[tokio::test]
async fn a_drain_lets_running_requests_end() {
    let gate = Arc::new(Semaphore::new(0));
    let limits = Limits {
        node_instances: 1,
        ..Limits::default()
    };
    let world = World::with_limits(gated(&gate), limits);
    let spec = Arc::new(spec());
    let running = world.start_invoke(request(&spec, "running"));
    world.until(|world| world.counts() == (0, 0, 1)).await;
    let waiting = world.start_invoke(request(&spec, "waiting"));
    let agent = world.agent.clone();
    let drain = tokio::spawn(async move { agent.drain(Duration::from_secs(30)).await });
    assert_eq!(waiting.await.unwrap().unwrap_err(), NodeError::Draining);
    let late = world.try_invoke(request(&spec, "late")).await;
    assert_eq!(late.unwrap_err(), NodeError::Draining);
    gate.add_permits(1);
    assert_eq!(running.await.unwrap().unwrap().payload, "running");
    drain.await.unwrap();
    assert_eq!(world.launcher.living(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_when_its_time_is_over() {
    let world = World::new(gated(&Arc::new(Semaphore::new(0))));
    let mut endless = spec();
    endless.timeout = Duration::from_secs(900);
    let running = world.start_invoke(request(&Arc::new(endless), "1"));
    world.until(|world| world.counts() == (0, 0, 1)).await;
    world.agent.drain(Duration::from_secs(5)).await;
    assert_eq!(world.launcher.living(), 0);
    let reply = running.await.unwrap().unwrap();
    assert_eq!(json(&reply.payload)["errorType"], "Runtime.ExitError");
}
