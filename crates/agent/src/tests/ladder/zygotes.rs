//! How zygotes come and go.

use super::*;

#[tokio::test]
async fn a_zygote_that_dies_is_raised_again_and_everything_boots_meanwhile() {
    let world = node(Function::default()).await;
    let spec = Arc::new(spec());
    world.forks().zygotes()[0].kill();
    world
        .until(|world| !world.agent.status().zygotes[0].ready)
        .await;
    assert_eq!(world.invoke(&spec, "1").await.kind, StartKind::Booted);
    world
        .until(|world| world.agent.status().zygotes[0].ready)
        .await;
    let reply = world.invoke_cold(&spec, StartKind::Zygote).await;
    assert_eq!(reply.kind, StartKind::Zygote);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_a_zygote_that_starts() {
    let launcher = FakeLauncher::forking(super::fake::script(|_| std::future::pending()));
    let world = World::on(launcher, Limits::default(), Folder::new());
    world.until(|world| world.launcher.living() == 1).await;
    let began = tokio::time::Instant::now();
    world.agent.drain(Duration::from_secs(30)).await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(world.launcher.living(), 0);
}

#[tokio::test]
async fn a_zygote_that_cannot_be_forked_is_let_go_and_another_raised() {
    let world = node(Function::default()).await;
    let spec = Arc::new(spec());
    world.forks().failing_zygote.store(3, Ordering::SeqCst);
    for _ in 0..3 {
        let reply = world.invoke_cold(&spec, StartKind::Zygote).await;
        assert_eq!(
            (reply.kind, reply.function_error),
            (StartKind::Booted, None)
        );
    }
    world
        .until(|world| !world.agent.status().zygotes[0].ready)
        .await;
    world.invoke_cold(&spec, StartKind::Zygote).await;
    world
        .until(|world| world.agent.status().zygotes[0].ready)
        .await;
    let reply = world.invoke_cold(&spec, StartKind::Zygote).await;
    assert_eq!(reply.kind, StartKind::Zygote);
}

#[tokio::test]
async fn templates_outlive_their_zygote() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    world.forks().zygotes()[0].kill();
    world
        .until(|world| !world.agent.status().zygotes[0].ready)
        .await;
    let reply = world.invoke_cold(&spec, StartKind::Forked).await;
    assert_eq!(reply.kind, StartKind::Forked);
}

#[tokio::test]
async fn a_zygote_that_cannot_be_frozen_is_none_and_everything_boots() {
    let launcher = FakeLauncher::forking(program(Function::default()));
    let refusal = refused("shared_mapping");
    let forks = launcher.forks.as_ref().unwrap();
    forks.zygote_refusals.lock().push_back(refusal);
    let world = World::on(launcher, Limits::default(), Folder::new());
    let spec = world.prepared(version()).await;
    let zygote = &world.agent.status().zygotes[0];
    assert!(!zygote.ready);
    assert!(
        zygote.note.as_ref().unwrap().contains("shared_mapping"),
        "{zygote:?}"
    );
    // A template can be made of what booted.
    assert_eq!(world.of(&spec).rung, Rung::Spare);
    let reply = world.invoke_cold(&spec, StartKind::Zygote).await;
    assert_eq!(reply.kind, StartKind::Booted);
}

#[tokio::test(start_paused = true)]
async fn a_zygote_that_does_not_come_to_rest_is_tried_again() {
    let launcher = FakeLauncher::forking(program(Function::default()));
    let refusals = &launcher.forks.as_ref().unwrap().zygote_refusals;
    // More than are tried with one process.
    let busy = || refused("running_thread");
    refusals
        .lock()
        .extend(std::iter::repeat_with(busy).take(20));
    let world = World::on(launcher, Limits::default(), Folder::new());
    world
        .until(|world| world.agent.status().zygotes[0].ready)
        .await;
    assert!(world.launcher.launches() > 1);
}

#[tokio::test(start_paused = true)]
async fn a_zygote_that_does_not_come_up_is_tried_again_less_and_less_often() {
    let launcher = FakeLauncher::forking(super::fake::script(|mut runtime| async move {
        if runtime.env.iter().any(|it| it == "_PILOTLIGHT_ZYGOTE=1") {
            use std::io::Write;
            runtime.stderr.write_all(b"no handler given").unwrap();
            return Exit::Code(1);
        }
        runtime.api().await.echo().await
    }));
    let world = World::on(launcher, Limits::default(), Folder::new());
    tokio::time::sleep(Duration::from_secs(600)).await;
    let launches = world.launcher.launches();
    assert!((10..30).contains(&launches), "{launches}");
    let note = world.agent.status().zygotes[0].note.clone().unwrap();
    assert!(note.contains("exit status 1: no handler given"), "{note}");
    let reply = world.invoke(&Arc::new(spec()), "1").await;
    assert_eq!(reply.kind, StartKind::Booted);
}
