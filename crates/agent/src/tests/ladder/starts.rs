//! Every kind of start, and what its log and its waterfall say.

use super::*;

#[tokio::test]
async fn a_deploy_leaves_a_template_and_a_spare() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    assert_eq!(world.forks().templates().len(), 1);
    let furnished = world.forks().furnished.lock().clone();
    for it in furnished {
        assert_eq!(
            (it.owner, it.memory_mb, it.tmp_mb),
            (spec.key.clone(), 128, 512)
        );
        assert_eq!(it.root.code, crate::launcher::CodeKey::Image(digest('2')));
    }
    let counts = world.of(&spec);
    assert_eq!(
        (counts.rung, counts.spares, counts.berths),
        (Rung::Spare, 1, 1)
    );
    assert_eq!(counts.template_bytes, super::fake::forks::TEMPLATE_BYTES);
    assert_eq!(counts.spare_bytes, super::fake::forks::SPARE_BYTES);
    assert_eq!(world.counts(), (0, 0, 0), "none of it serves");
    // Template, spare and zygote, measured, each with its sandbox: not what the function may use.
    let status = world.agent.status();
    assert_eq!(status.promised_mb, 11 + 3 + 11);
    assert_eq!(status.ladder.forks, 2, "the template and the spare");
    world.agent.prepare(Arc::clone(&spec)).await.unwrap();
    assert_eq!(world.forks().made(), 2, "it can be repeated");
}

#[tokio::test]
async fn each_start_takes_the_cheapest_that_is_there() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    let first = world.invoke(&spec, "1").await;
    assert_eq!(first.kind, StartKind::Spare);
    assert_eq!(
        phases(&first),
        [Phase::Queue, Phase::Place, Phase::Handler],
        "as of a warm start"
    );
    world.until(|world| world.of(&spec).idle == 1).await;
    let second = world.invoke(&spec, "2").await;
    assert_eq!(
        (second.kind, second.instance),
        (StartKind::Warm, first.instance)
    );
    // The spare that was taken is replaced.
    world.spare(&spec).await;
}

#[tokio::test]
async fn what_nobody_waits_for_is_built_after_what_a_start_waits_for() {
    let world = node(Function::default()).await;
    let waited_for = |world: &World| world.forks().waited_for.load(Ordering::SeqCst);
    let spec = world.prepared(version()).await;
    world.until(|world| world.of(&spec).berths == 1).await;
    assert_eq!(waited_for(&world), 0, "zygote, template and spare");
    let forked = || world.invoke_cold(&spec, StartKind::Forked);
    assert_eq!(forked().await.kind, StartKind::Forked);
    assert_eq!(waited_for(&world), 0, "its berth was ready");
    world.until(|world| world.of(&spec).berths == 1).await;
    let (one, other) = tokio::join!(forked(), forked());
    assert_eq!(
        (one.kind, other.kind),
        (StartKind::Forked, StartKind::Forked)
    );
    assert_eq!(waited_for(&world), 1, "the one that came too late");
}

#[tokio::test]
async fn a_forced_start_is_of_the_kind_that_is_wanted() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    world.invoke(&spec, "1").await;
    world.spare(&spec).await;
    world.until(|world| world.of(&spec).idle == 1).await;
    let mut best = request(&spec, "1");
    best.cold = Some(Cold::Best);
    let spare = world.try_invoke(best).await.unwrap();
    assert_eq!(spare.kind, StartKind::Spare);
    // It may get ready for its first request, as nobody waits for it meanwhile.
    assert_eq!(json(&spare.payload)["told"], "spare");
    for kind in [StartKind::Forked, StartKind::Zygote, StartKind::Booted] {
        world.spare(&spec).await;
        let reply = world.invoke_cold(&spec, kind).await;
        assert_eq!(reply.kind, kind);
        let expected: &[Phase] = match kind {
            StartKind::Forked => &[Phase::Slot, Phase::Fork, Phase::Restore],
            StartKind::Zygote => &[Phase::Slot, Phase::Mounts, Phase::Fork, Phase::UserInit],
            _ => &[
                Phase::Slot,
                Phase::Cgroup,
                Phase::Mounts,
                Phase::Network,
                Phase::Spawn,
                Phase::UserInit,
            ],
        };
        let all = phases(&reply);
        assert_eq!(&all[2..all.len() - 1], expected, "{kind}");
        assert_eq!(json(&reply.payload)["told"], serde_json::Value::Null);
        let kind_of_init = &json(&reply.payload)["type"];
        assert_eq!(kind_of_init, "on-demand", "what its template was is over");
        assert_eq!(world.of(&spec).spares, 1, "the spare is left alone");
    }
}

#[tokio::test]
async fn what_was_published_with_snap_start_is_told_so_by_its_template_alone() {
    let world = node(Function::default()).await;
    let published = |version| {
        let mut spec = super::version();
        spec.key.version = version;
        spec.snap_start = SnapStart::PublishedVersions;
        world.prepared(spec)
    };
    let (latest, first) = (
        published(Version::Latest).await,
        published(Version::Number(1)).await,
    );
    for (spec, kind, wanted) in [
        (&first, StartKind::Spare, "snap-start"),
        (&first, StartKind::Forked, "snap-start"),
        (&first, StartKind::Booted, "on-demand"),
        (&latest, StartKind::Forked, "on-demand"),
    ] {
        world.spare(spec).await;
        let reply = world.invoke_cold(spec, kind).await;
        assert_eq!(reply.kind, kind);
        assert_eq!(
            json(&reply.payload)["type"],
            wanted,
            "{kind} of {}",
            spec.key
        );
    }
}

#[tokio::test]
async fn what_is_wanted_and_not_there_is_the_next_below() {
    let world = node(Function::default()).await;
    let spec = Arc::new(spec());
    world.agent.prepare(Arc::clone(&spec)).await.unwrap();
    assert_eq!(world.of(&spec).rung, Rung::Zygote, "templates are refused");
    let reply = world.invoke_cold(&spec, StartKind::Spare).await;
    assert_eq!(reply.kind, StartKind::Zygote);
    assert_eq!(world.forks().templates().len(), 0);
}

#[tokio::test]
async fn a_restore_is_told_and_never_billed() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    let mut wanted = request(&spec, "1");
    wanted.cold = Some(Cold::Kind(StartKind::Forked));
    wanted.log_tail = true;
    let reply = world.try_invoke(wanted).await.unwrap();
    let tail = String::from_utf8(reply.log_tail.unwrap()).unwrap();
    assert!(tail.starts_with("START RequestId: "), "{tail}");
    assert!(tail.contains("\tRestore Duration: "), "{tail}");
    assert!(
        tail.ends_with(" ms\tBilled Restore Duration: 0 ms\t\n"),
        "{tail}"
    );
    assert!(!tail.contains("Init Duration"), "{tail}");
    let log = world.log().await;
    let count = |start: &str| log.iter().filter(|it| it.starts_with(start)).count();
    assert_eq!(count("INIT_START Runtime Version: python:3.11.v1\t"), 1);
    // The spare and this one.
    assert_eq!(count("RESTORE_START Runtime Version: python:3.11.v1\t"), 2);
    assert_eq!(count("RESTORE_REPORT Restore Duration: "), 2);
    assert_eq!(count("user init"), 1);
    // The second request has nothing to report of it.
    world.until(|world| world.of(&spec).idle == 1).await;
    world.invoke(&spec, "2").await;
    world.until(|world| world.of(&spec).idle == 1).await;
    let log = world.log().await;
    let report = log.iter().rfind(|it| it.starts_with("REPORT")).unwrap();
    assert!(!report.contains("Restore"), "{report}");
}

#[tokio::test]
async fn a_start_from_the_zygote_pays_its_init() {
    let world = node(Function::default()).await;
    let spec = Arc::new(spec());
    let mut wanted = request(&spec, "1");
    wanted.log_tail = true;
    let reply = world.try_invoke(wanted).await.unwrap();
    assert_eq!(reply.kind, StartKind::Zygote);
    let tail = String::from_utf8(reply.log_tail.unwrap()).unwrap();
    assert!(
        tail.contains("\tInit Duration: ") && !tail.contains("Restore"),
        "{tail}"
    );
    assert_eq!(
        json(&reply.payload)["colour"],
        "blue",
        "its own environment"
    );
    assert!(world.log().await[0].starts_with("INIT_START "));
}

#[tokio::test]
async fn every_fork_has_its_own_stream_and_credentials() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    let mut streams = std::collections::HashSet::new();
    let mut secrets = std::collections::HashSet::new();
    for _ in 0..5 {
        let reply = world.invoke_cold(&spec, StartKind::Forked).await;
        let told = json(&reply.payload);
        streams.insert(told["stream"].to_string());
        secrets.insert(told["secret"].to_string());
        assert_eq!(told["colour"], "blue");
    }
    assert_eq!((streams.len(), secrets.len()), (5, 5));
}

#[tokio::test]
async fn a_runtime_that_knows_no_restore_is_frozen_at_its_first_next() {
    let function = Function {
        knows_restore: false,
        ..Function::default()
    };
    let world = node(function).await;
    let spec = world.prepared(version()).await;
    world.spare(&spec).await;
    assert_eq!(world.invoke(&spec, "1").await.kind, StartKind::Spare);
    let reply = world.invoke_cold(&spec, StartKind::Forked).await;
    assert_eq!(reply.kind, StartKind::Forked);
    let log = world.log().await;
    assert_eq!(log.iter().filter(|it| *it == "user init").count(), 1);
}

#[tokio::test]
async fn a_runtime_that_makes_its_own_connection_is_forked_too() {
    for knows_restore in [true, false] {
        let function = Function {
            knows_restore,
            ..Function::default()
        };
        let world = node(function).await;
        let mut custom = version();
        custom.runtime = Runtime::ProvidedAl2023.into();
        let spec = world.prepared(custom).await;
        assert_eq!(world.of(&spec).rung, Rung::Spare);
        assert_eq!(world.invoke(&spec, "1").await.kind, StartKind::Spare);
        for kind in [StartKind::Forked, StartKind::Booted] {
            let reply = world.invoke_cold(&spec, kind).await;
            assert_eq!((reply.kind, reply.function_error), (kind, None));
        }
        let reply = world.invoke_cold(&spec, StartKind::Zygote).await;
        assert_eq!(reply.kind, StartKind::Booted, "it has no zygote");
    }
}

#[tokio::test]
async fn a_version_with_a_variable_that_comes_too_late_boots_into_its_template() {
    let world = node(Function::default()).await;
    let mut spec = version();
    spec.environment
        .insert("PYTHONHASHSEED".to_owned(), "1".to_owned());
    let spec = world.prepared(spec).await;
    assert_eq!(world.of(&spec).rung, Rung::Spare);
    assert_eq!(
        world.launcher.programs.lock().len(),
        2,
        "zygote and template"
    );
    let reply = world.invoke_cold(&spec, StartKind::Zygote).await;
    assert_eq!(reply.kind, StartKind::Booted);
    assert_eq!(
        world.invoke_cold(&spec, StartKind::Forked).await.kind,
        StartKind::Forked
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_at_once_are_forked_from_one_template() {
    let world = node(Function::default()).await;
    let limits = Limits::default();
    let spec = world.prepared(named("burst", 16).as_ref().clone()).await;
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    *world.forks().gate.lock() = Some(Arc::clone(&gate));
    let calls: Vec<_> = (0..200)
        .map(|number| world.start_invoke(request(&spec, &number.to_string())))
        .collect();
    // As many are forked at the same time as the node allows.
    let at_once = limits.concurrent_starts as usize;
    world
        .until(|world| world.forks().tried.load(Ordering::SeqCst) >= 2 + at_once)
        .await;
    gate.add_permits(1_000);
    for (number, call) in calls.into_iter().enumerate() {
        let reply = call.await.unwrap().unwrap();
        assert_eq!(json(&reply.payload)["event"], number.to_string());
        assert!(reply.kind <= StartKind::Forked, "{}", reply.kind);
    }
    world.spare(&spec).await;
    // What the template wrote is read when its log's turn comes, which may be after all of these.
    let inits = loop {
        let log = world.log_of("/aws/lambda/f").await;
        match log.iter().filter(|it| *it == "user init").count() {
            0 => tokio::task::yield_now().await,
            count => break count,
        }
    };
    assert_eq!(inits, 1);
}
