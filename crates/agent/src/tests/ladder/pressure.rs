//! What is given up when memory is short, and how it comes back.

use super::*;

/// A node of that many MiB, whose zygote takes 11 of them.
async fn small(node_memory_mb: u64) -> World {
    let limits = Limits {
        node_memory_mb,
        ..Limits::default()
    };
    limited(Function::default(), limits).await
}

/// A node of that many MiB, and a version that had all its rungs there, until another function took the whole node.
async fn crowded_out(node_memory_mb: u32) -> (World, Arc<FunctionSpec>) {
    let world = small(node_memory_mb.into()).await;
    let spec = world.prepared(version()).await;
    let mut large = self::spec();
    large.key.name = "large".parse().unwrap();
    large.memory_mb = node_memory_mb;
    large.keep_alive = Some(Duration::ZERO);
    world.invoke(&Arc::new(large), "1").await;
    world.until(|world| world.launcher.living() == 0).await;
    (world, spec)
}

#[tokio::test]
async fn spares_go_before_templates_and_these_before_zygotes() {
    // Zygote 11, template 11 and spare 3 of each of two: 39.
    let world = small(300).await;
    let (a, b) = (named("a", 128), named("b", 128));
    world.agent.prepare(Arc::clone(&a)).await.unwrap();
    world.agent.prepare(Arc::clone(&b)).await.unwrap();
    assert_eq!(world.agent.status().promised_mb, 39);
    let other = |memory_mb| {
        let mut spec = spec();
        spec.key.name = format!("large{memory_mb}").parse().unwrap();
        spec.memory_mb = memory_mb;
        Arc::new(spec)
    };
    let of_both = |world: &World| {
        let (a, b) = (world.of(&a), world.of(&b));
        let templates = [&a, &b].map(|it| u32::from(it.template_bytes > 0));
        (a.spares + b.spares, templates[0] + templates[1])
    };
    // One spare is enough.
    assert_eq!(world.invoke(&other(262), "1").await.function_error, None);
    assert_eq!(of_both(&world), (1, 2));
    // Both, and a template.
    assert_eq!(world.invoke(&other(273), "1").await.function_error, None);
    assert_eq!(of_both(&world), (0, 1));
    // Everything.
    let reply = world.invoke(&other(300), "1").await;
    assert_eq!(
        (reply.kind, reply.function_error),
        (StartKind::Booted, None)
    );
    assert_eq!(of_both(&world), (0, 0));
    assert_eq!(world.of(&b).rung, Rung::Cached);
    assert!(!world.agent.status().zygotes[0].ready);
    let given_up = world.agent.status().ladder.given_up;
    let count = |rung: &str| given_up.get(rung).copied().unwrap_or(0);
    assert_eq!(
        (count("spare"), count("template"), count("zygote")),
        (2, 2, 1)
    );
}

#[tokio::test]
async fn what_was_given_up_is_made_again_when_it_is_used() {
    let (world, spec) = crowded_out(200).await;
    assert_eq!(world.of(&spec).rung, Rung::Cached);
    // This one boots, and misses the zygote and the template.
    assert_eq!(world.invoke(&spec, "1").await.kind, StartKind::Booted);
    world
        .until(|world| world.agent.status().zygotes[0].ready)
        .await;
}

#[tokio::test]
async fn a_forced_start_misses_what_it_asked_for_and_did_not_get() {
    let (world, spec) = crowded_out(400).await;
    // What got what it asked for misses nothing.
    let booted = world.invoke_cold(&spec, StartKind::Booted).await;
    assert_eq!(booted.kind, StartKind::Booted);
    let missing = world.invoke_cold(&spec, StartKind::Forked).await;
    assert!(missing.kind > StartKind::Forked, "{}", missing.kind);
    world
        .until(|world| world.of(&spec).template_bytes > 0)
        .await;
}

#[tokio::test]
async fn a_running_request_is_never_given_up() {
    let world = small(150).await;
    let spec = world.prepared(version()).await;
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    *world.forks().gate.lock() = Some(Arc::clone(&gate));
    let first = world.invoke(&spec, "1").await;
    assert_eq!(first.kind, StartKind::Spare);
    gate.add_permits(100);
    // Two of 128 do not fit: the second waits for the first instance, or takes its room.
    let calls: Vec<_> = (0..10)
        .map(|number| world.start_invoke(request(&spec, &number.to_string())))
        .collect();
    for (number, call) in calls.into_iter().enumerate() {
        let reply = call.await.unwrap().unwrap();
        assert_eq!(json(&reply.payload)["event"], number.to_string());
    }
}

#[tokio::test]
async fn a_spare_without_room_to_run_waits_for_it() {
    // Zygote 11, template 11, spare 3: the spare needs 125 more to run, and 128 are idle elsewhere.
    let world = small(200).await;
    let mut other = self::spec();
    other.key.name = "other".parse().unwrap();
    let other = Arc::new(other);
    let spec = world.prepared(version()).await;
    world.invoke(&other, "1").await;
    world.until(|world| world.of(&other).idle == 1).await;
    let reply = world.invoke(&spec, "1").await;
    assert_eq!((reply.kind, reply.function_error), (StartKind::Spare, None));
    assert_eq!(world.of(&other).idle, 0, "reclaimed for it");
    assert!(world.agent.status().promised_mb <= 200);
}

#[tokio::test]
async fn a_template_without_room_leaves_the_version_active() {
    let world = small(100).await;
    // It never fits beside the zygote, so that even its template's init finds no room.
    let spec = Arc::new(FunctionSpec {
        memory_mb: 95,
        ..version()
    });
    // Nobody waits for room that nobody is about to leave: for an init it would be a quarter of a minute.
    let prepared = tokio::time::timeout(
        Duration::from_secs(10),
        world.agent.prepare(Arc::clone(&spec)),
    );
    prepared.await.unwrap().unwrap();
    assert_eq!(world.invoke(&spec, "1").await.function_error, None);
}

#[tokio::test]
async fn a_template_waits_for_what_is_about_to_leave() {
    let world = small(200).await;
    let other = Arc::new(FunctionSpec {
        memory_mb: 150,
        ..self::spec()
    });
    world.invoke(&other, "1").await;
    world.until(|world| world.of(&other).idle == 1).await;
    // The idle instance is reclaimed for it.
    let spec = named("f", 100);
    world.agent.prepare(Arc::clone(&spec)).await.unwrap();
    assert_eq!(world.of(&other).idle, 0);
    world.spare(&spec).await;
}

#[tokio::test]
async fn what_is_kept_is_bounded_in_number_too() {
    let limits = Limits {
        node_instances: 3,
        ..Limits::default()
    };
    let world = limited(Function::default(), limits).await;
    let (a, b) = (named("a", 128), named("b", 128));
    world.agent.prepare(Arc::clone(&a)).await.unwrap();
    world.agent.prepare(Arc::clone(&b)).await.unwrap();
    let rungs = [world.of(&a).rung, world.of(&b).rung];
    assert_eq!(rungs, [Rung::Spare, Rung::Template], "no place for a spare");
    // Instances have places of their own.
    let calls: Vec<_> = (0..3)
        .map(|_| world.start_invoke(request(&b, "1")))
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().function_error, None);
    }
}

#[tokio::test]
async fn the_books_balance_at_the_end() {
    let world = small(500).await;
    let specs: Vec<_> = (0..8)
        .map(|number| named(&format!("f{number}"), 64))
        .collect();
    for spec in &specs {
        world.agent.prepare(Arc::clone(spec)).await.unwrap();
    }
    let calls: Vec<_> = (0..100)
        .map(|number: usize| {
            let event = if number.is_multiple_of(7) {
                "\"exit\""
            } else {
                "1"
            };
            world.start_invoke(request(&specs[number % specs.len()], event))
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
        assert!(world.agent.status().promised_mb <= 500);
    }
    world.agent.drain(Duration::from_secs(30)).await;
    assert_eq!(world.agent.status().promised_mb, 0);
    // What was being made when the drain began is let go of when it is there.
    let gone = async {
        while world.launcher.living() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let patience = Duration::from_secs(10);
    tokio::time::timeout(patience, gone)
        .await
        .expect("all is gone");
}

#[tokio::test]
async fn what_is_restored_takes_nothing_from_others() {
    // Zygote 11, template 11 and spare 3 of the first: 25. An init takes 128 while it runs.
    let world = small(150).await;
    let (a, b, c) = (named("a", 128), named("b", 128), named("c", 128));
    assert_eq!(world.agent.restore(Arc::clone(&a)).await, Ok(true));
    assert_eq!(world.of(&a).rung, Rung::Spare);
    assert_eq!(world.agent.restore(Arc::clone(&b)).await, Ok(false));
    assert_eq!(
        (world.of(&a).rung, world.of(&b)),
        (Rung::Spare, VersionCounts::default())
    );
    let mut untemplated = c.as_ref().clone();
    untemplated.snap_start = SnapStart::None;
    assert_eq!(world.agent.restore(Arc::new(untemplated)).await, Ok(true));
}
