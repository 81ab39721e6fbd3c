//! How templates come and go.

use super::*;

#[tokio::test]
async fn a_process_that_cannot_be_frozen_serves_instead() {
    for knows_restore in [true, false] {
        let function = Function {
            knows_restore,
            ..Function::default()
        };
        let world = node(function).await;
        world
            .forks()
            .refusals
            .lock()
            .push_back(refused("open_connection"));
        let spec = world.prepared(version()).await;
        world.until(|world| world.of(&spec).idle == 1).await;
        let counts = world.of(&spec);
        assert_eq!(counts.refusal.unwrap().reason, "open_connection");
        let refusals = world.agent.status().ladder.refusals;
        assert_eq!(refusals.get("open_connection"), Some(&1));
        let mut wanted = request(&spec, "1");
        wanted.log_tail = true;
        let reply = world.try_invoke(wanted).await.unwrap();
        assert_eq!(reply.kind, StartKind::Warm, "its init has been paid");
        let tail = String::from_utf8(reply.log_tail.unwrap()).unwrap();
        assert!(!tail.contains("Init Duration"), "nobody's request: {tail}");
        // It stays on the zygote's rung: the next would be refused too.
        let reply = world.invoke_cold(&spec, StartKind::Spare).await;
        assert_eq!(reply.kind, StartKind::Zygote);
        let mut best = request(&spec, "1");
        best.cold = Some(Cold::Best);
        world.try_invoke(best).await.unwrap();
        assert_eq!(world.forks().templates().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_thread_that_has_not_come_to_rest_is_waited_for() {
    let world = node(Function::default()).await;
    let running = (0..4).map(|_| refused("running_thread"));
    world.forks().refusals.lock().extend(running);
    let spec = world.prepared(version()).await;
    assert_eq!(world.of(&spec).rung, Rung::Spare);
    assert!(world.of(&spec).refusal.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_thread_that_never_rests_is_a_refusal() {
    let world = node(Function::default()).await;
    let running = (0..100).map(|_| refused("running_thread"));
    world.forks().refusals.lock().extend(running);
    let began = tokio::time::Instant::now();
    let spec = world.prepared(version()).await;
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!(world.of(&spec).refusal.unwrap().reason, "running_thread");
}

#[tokio::test]
async fn an_init_that_fails_leaves_the_version_active_on_the_zygote() {
    let function = Function {
        init: step(|_, _| async { Err(Exit::Code(7)) }),
        ..Function::default()
    };
    let world = node(function).await;
    let spec = world.prepared(version()).await;
    let found = world.of(&spec);
    let refusal = found.refusal.unwrap();
    assert_eq!(found.rung, Rung::Zygote);
    assert_eq!(
        refusal.to_string(),
        "init_failed: Status: error, Error Type: Runtime.ExitError"
    );
    let log = world.log().await;
    assert!(log[0].starts_with("INIT_START "), "{log:?}");
    assert!(
        log[2].ends_with("\tPhase: init\tStatus: error\tError Type: Runtime.ExitError"),
        "{log:?}"
    );
    let reply = world.invoke(&spec, "1").await;
    assert_eq!(
        (reply.kind, reply.function_error),
        (StartKind::Zygote, Some("Unhandled"))
    );
    assert_eq!(json(&reply.payload)["errorType"], "Runtime.ExitError");
}

#[tokio::test(start_paused = true)]
async fn an_init_that_hangs_is_given_up_after_its_time() {
    let function = Function {
        init: step(|_, env| async move {
            if env.iter().any(|it| it.ends_with("TYPE=snap-start")) {
                std::future::pending::<()>().await;
            }
            Ok(())
        }),
        ..Function::default()
    };
    let world = node(function).await;
    let began = tokio::time::Instant::now();
    let spec = world.prepared(version()).await;
    assert!(
        (10..12).contains(&began.elapsed().as_secs()),
        "{:?}",
        began.elapsed()
    );
    let refusal = world.of(&spec).refusal.unwrap();
    assert_eq!(refusal.to_string(), "init_failed: Status: timeout");
    let log = world.log().await;
    assert!(
        log[2].ends_with("\tPhase: init\tStatus: timeout"),
        "{log:?}"
    );
    assert_eq!(world.invoke(&spec, "1").await.kind, StartKind::Zygote);
}

#[tokio::test]
async fn a_template_that_dies_is_made_again_and_costs_no_request() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    let busy = world.invoke(&spec, "1").await;
    world.spare(&spec).await;
    world.forks().templates()[0].kill();
    world
        .until(|world| world.of(&spec).template_bytes == 0)
        .await;
    // Whatever was forked from it lives on.
    world.until(|world| world.of(&spec).idle == 1).await;
    let warm = world.invoke(&spec, "2").await;
    assert_eq!((warm.kind, warm.instance), (StartKind::Warm, busy.instance));
    assert_eq!(
        world.invoke_cold(&spec, StartKind::Spare).await.kind,
        StartKind::Spare
    );
    // And it is made again, without being asked for.
    world
        .until(|world| world.of(&spec).template_bytes > 0)
        .await;
    let reply = world.invoke_cold(&spec, StartKind::Forked).await;
    assert_eq!(reply.kind, StartKind::Forked);
}

#[tokio::test(start_paused = true)]
async fn a_template_that_dies_again_and_again_is_made_less_and_less_often() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    let end = tokio::time::Instant::now() + Duration::from_secs(600);
    let mut made = 0;
    while tokio::time::Instant::now() < end {
        for template in world.forks().templates() {
            template.kill();
            made += 1;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!((5..15).contains(&made), "{made}");
    let reply = world.invoke_cold(&spec, StartKind::Forked).await;
    assert_eq!(reply.function_error, None);
}

#[tokio::test]
async fn a_template_that_cannot_be_forked_is_let_go() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    world.forks().failing.store(3, Ordering::SeqCst);
    for _ in 0..3 {
        let reply = world.invoke_cold(&spec, StartKind::Forked).await;
        assert_eq!(
            (reply.kind, reply.function_error),
            (StartKind::Zygote, None)
        );
    }
    world
        .until(|world| world.of(&spec).template_bytes == 0)
        .await;
    world
        .until(|world| world.forks().templates().is_empty())
        .await;
}

#[tokio::test]
async fn a_template_that_dies_while_it_is_forked_costs_the_start_the_next_rung() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    *world.forks().gate.lock() = Some(Arc::clone(&gate));
    let mut wanted = request(&spec, "1");
    wanted.cold = Some(Cold::Kind(StartKind::Forked));
    let call = world.start_invoke(wanted);
    world
        .until(|world| world.forks().tried.load(Ordering::SeqCst) == 3)
        .await;
    world.forks().templates()[0].kill();
    gate.add_permits(100);
    let reply = call.await.unwrap().unwrap();
    assert_eq!(
        (reply.kind, reply.function_error),
        (StartKind::Zygote, None)
    );
    let log = world.log().await;
    let stream_of_reply = log.iter().filter(|it| it.starts_with("INIT_START")).count();
    assert!(stream_of_reply >= 2, "its init is told: {log:?}");
}

#[tokio::test]
async fn a_new_revision_replaces_template_and_spare() {
    let world = node(Function::default()).await;
    let old = world.prepared(version()).await;
    let mut new = version();
    new.revision = 2;
    let new = world.prepared(new).await;
    world
        .until(|world| world.forks().templates().len() == 1)
        .await;
    world.until(|world| world.of(&new).spares == 1).await;
    // Zygote, template, spare: the old ones are gone.
    world.until(|world| world.launcher.living() == 3).await;
    assert_eq!(world.invoke(&new, "1").await.kind, StartKind::Spare);
    // A request that was resolved before the change runs what is there now.
    assert_eq!(world.invoke(&old, "1").await.function_error, None);
}

#[tokio::test]
async fn a_retired_version_leaves_nothing() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    world.agent.retire(&spec.key);
    // The zygote alone, and its berths.
    world.until(|world| world.launcher.living() == 1).await;
    world
        .until(|world| world.forks().berths.load(Ordering::SeqCst) == 4)
        .await;
    world
        .until(|world| world.agent.status().promised_mb == 11)
        .await;
    assert_eq!(world.of(&spec).rung, Rung::Absent);
}

#[tokio::test]
async fn a_name_that_is_taken_again_at_once_gets_a_template() {
    let world = node(Function::default()).await;
    let old = world.prepared(version()).await;
    assert_eq!(world.invoke(&old, "1").await.kind, StartKind::Spare);
    world.agent.retire(&old.key);
    // What the old one had is ending still.
    assert!(world.launcher.living() > 1);
    let mut new = version();
    new.revision = old.revision + 1;
    let new = world.prepared(new).await;
    world.until(|world| world.of(&new).template_bytes > 0).await;
    world.until(|world| world.of(&new).spares == 1).await;
    assert_eq!(world.invoke(&new, "1").await.kind, StartKind::Spare);
}

#[tokio::test]
async fn a_version_that_is_retired_while_it_is_prepared_leaves_nothing() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let inits = Arc::clone(&gate);
    let function = Function {
        init: step(move |_, _| {
            let inits = Arc::clone(&inits);
            async move {
                inits.acquire().await.unwrap().forget();
                Ok(())
            }
        }),
        ..Function::default()
    };
    let world = node(function).await;
    let spec = Arc::new(version());
    let (agent, wanted) = (world.agent.clone(), Arc::clone(&spec));
    let prepare = tokio::spawn(async move { agent.prepare(wanted).await });
    world.until(|world| world.forks().made() == 1).await;
    world.agent.retire(&spec.key);
    gate.add_permits(1);
    prepare.await.unwrap().unwrap();
    world.until(|world| world.launcher.living() == 1).await;
    assert_eq!(world.forks().templates().len(), 0);
    world
        .until(|world| world.of(&spec).rung == Rung::Absent)
        .await;
}

#[tokio::test]
async fn what_was_never_prepared_gets_its_template_when_it_is_used() {
    let world = node(Function::default()).await;
    let spec = Arc::new(version());
    assert_eq!(world.invoke(&spec, "1").await.kind, StartKind::Zygote);
    world.spare(&spec).await;
    assert_eq!(world.of(&spec).rung, Rung::Idle);
    assert_eq!(
        world.invoke_cold(&spec, StartKind::Spare).await.kind,
        StartKind::Spare
    );
}

#[tokio::test]
async fn preparing_twice_at_once_makes_one_template() {
    let world = node(Function::default()).await;
    let spec = Arc::new(version());
    let prepares = (0..5).map(|_| {
        let (agent, spec) = (world.agent.clone(), Arc::clone(&spec));
        tokio::spawn(async move { agent.prepare(spec).await })
    });
    for prepare in prepares.collect::<Vec<_>>() {
        prepare.await.unwrap().unwrap();
    }
    assert_eq!(world.of(&spec).rung, Rung::Spare);
    assert_eq!(world.forks().made(), 2);
}

#[tokio::test]
async fn an_after_restore_hook_that_fails_is_the_function_s_error() {
    let function = Function {
        after_restore: step(|_, _| async { Err(Exit::Code(65)) }),
        ..Function::default()
    };
    let world = node(function).await;
    let spec = world.prepared(version()).await;
    assert_eq!(
        world.of(&spec).rung,
        Rung::Template,
        "there can be no spare"
    );
    let reply = world.invoke(&spec, "1").await;
    assert_eq!(
        (reply.kind, reply.function_error),
        (StartKind::Forked, Some("Unhandled"))
    );
    assert_eq!(
        json(&reply.payload)["errorType"],
        "Runtime.AfterRestoreError"
    );
    let log = world.log().await;
    assert!(
        log.iter()
            .any(|it| it.starts_with("RESTORE_REPORT Restore Duration: ")
                && it.ends_with("\tStatus: error\tError Type: Runtime.AfterRestoreError")),
        "{log:?}"
    );
    // Spares are not tried again and again.
    let tried = world.forks().made();
    assert!(tried <= 4, "{tried}");
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_hangs_is_a_start_from_the_zygote() {
    let function = Function {
        after_restore: step(|_, _| std::future::pending()),
        ..Function::default()
    };
    let world = node(function).await;
    let spec = world.prepared(version()).await;
    let reply = world.invoke(&spec, "1").await;
    assert_eq!(reply.function_error, None);
    assert_eq!(json(&reply.payload)["event"], "1");
    let log = world.log().await;
    assert!(
        log.iter()
            .any(|it| it.starts_with("RESTORE_REPORT Restore Duration: ")
                && it.ends_with("\tStatus: timeout")),
        "{log:?}"
    );
}

#[tokio::test]
async fn an_instance_that_dies_harms_neither_template_nor_siblings() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    for _ in 0..20 {
        let died = world.invoke(&spec, "\"exit\"").await;
        assert_eq!(json(&died.payload)["errorType"], "Runtime.ExitError");
        let reply = world.invoke(&spec, "1").await;
        assert!(reply.kind <= StartKind::Forked);
        assert_eq!(reply.function_error, None);
    }
    assert_eq!(world.forks().templates().len(), 1);
}

#[tokio::test]
async fn a_drain_ends_what_is_kept() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    world.invoke(&spec, "1").await;
    world.agent.drain(Duration::from_secs(30)).await;
    world.until(|world| world.launcher.living() == 0).await;
    world
        .until(|world| world.forks().berths.load(Ordering::SeqCst) == 0)
        .await;
}

#[tokio::test]
async fn what_was_used_most_is_prepared_first_after_a_restart() {
    let world = node(Function::default()).await;
    let (seldom, often) = (named("seldom", 128), named("often", 128));
    world.invoke(&seldom, "1").await;
    for _ in 0..3 {
        world.invoke(&often, "1").await;
    }
    world.agent.drain(Duration::from_secs(30)).await;
    let World { agent, folder, .. } = world;
    drop(agent);
    let launcher = FakeLauncher::forking(program(Function::default()));
    let again = World::on(launcher, Limits::default(), folder);
    let mut keys = [named("never", 128), seldom, often].map(|it| it.key.clone());
    again.agent.most_used_first(&mut keys);
    assert_eq!(
        keys.map(|key| key.name.to_string()),
        ["often", "seldom", "never"]
    );
}
