//! Provisioned instances: made ahead, used first, never reclaimed, made again, and released.

use std::sync::atomic::AtomicBool;

use pilotlight_model::function::SnapStart;
use pilotlight_model::provisioned::{Provisioned, Trouble};

use super::*;

impl World {
    fn provisioned(&self, spec: &FunctionSpec) -> Provisioned {
        self.agent.provisioned(&spec.key).unwrap_or_default()
    }

    /// Waits until so many instances are there that wait.
    async fn available(&self, spec: &FunctionSpec, count: u32) {
        self.until(|world| {
            let found = world.provisioned(spec);
            (found.allocated, found.available) == (count, count)
        })
        .await;
    }

    fn provision(&self, spec: &Arc<FunctionSpec>, count: u32) {
        self.agent.provision(spec, count);
    }

    /// Invokes the version by so many requests at once.
    async fn burst(&self, spec: &Arc<FunctionSpec>, count: usize) -> Vec<InvokeReply> {
        let calls: Vec<_> = (0..count)
            .map(|_| self.start_invoke(request(spec, "1")))
            .collect();
        let mut replies = Vec::new();
        for call in calls {
            replies.push(call.await.unwrap().unwrap());
        }
        replies
    }
}

fn kind_of_init(reply: &InvokeReply) -> String {
    json(&reply.payload)["type"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn they_are_forked_ahead_and_used_first() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    world.spare(&spec).await;
    assert_eq!(world.agent.provisioned(&spec.key), None);
    world.provision(&spec, 3);
    assert_eq!(world.provisioned(&spec).wanted, 3);
    world.available(&spec, 3).await;
    assert_eq!(
        world.forks().templates().len(),
        1,
        "nothing but forks of it"
    );
    let counts = world.of(&spec);
    assert_eq!((counts.idle, counts.spares), (3, 1));
    // The one used last comes first, and no other is touched.
    for _ in 0..3 {
        let reply = world.invoke(&spec, "1").await;
        assert_eq!(reply.kind, StartKind::Warm);
        assert_eq!(kind_of_init(&reply), "provisioned-concurrency");
    }
    world.available(&spec, 3).await;
    let usage = world.provisioned(&spec).usage;
    assert_eq!((usage.invocations, usage.spillovers), (3, 0));
    assert_eq!(world.of(&spec).spares, 1);
}

#[tokio::test]
async fn what_is_over_runs_on_demand() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    world.provision(&spec, 2);
    world.available(&spec, 2).await;
    let replies = world.burst(&spec, 8).await;
    let ahead = replies
        .iter()
        .filter(|it| kind_of_init(it) == "provisioned-concurrency");
    let on_demand = replies.iter().filter(|it| kind_of_init(it) == "on-demand");
    let (ahead, on_demand) = (ahead.count() as u64, on_demand.count() as u64);
    assert!(ahead >= 2 && ahead + on_demand == 8, "{ahead} {on_demand}");
    let usage = world.provisioned(&spec).usage;
    assert_eq!((usage.invocations, usage.spillovers), (ahead, on_demand));
    world.available(&spec, 2).await;
}

#[tokio::test]
async fn keep_alive_does_not_end_them_and_releasing_does() {
    let world = node(Function::default()).await;
    let short = FunctionSpec {
        keep_alive: Some(Duration::ZERO),
        snap_start: SnapStart::None,
        ..version()
    };
    let spec = Arc::new(short);
    world.provision(&spec, 2);
    world.available(&spec, 2).await;
    let reply = world.invoke(&spec, "1").await;
    assert_eq!(kind_of_init(&reply), "provisioned-concurrency");
    world.available(&spec, 2).await;
    world.provision(&spec, 1);
    assert_eq!(world.provisioned(&spec).wanted, 1);
    world.available(&spec, 1).await;
    world.until(|world| world.launcher.living() == 2).await;
    world.provision(&spec, 3);
    world.available(&spec, 3).await;
    let before = world.agent.status().provisioned;
    assert!(before.invocations == 1 && before.idle_mb_ms > 0);
    world.provision(&spec, 0);
    assert_eq!(world.agent.provisioned(&spec.key), None);
    // The zygote is left.
    world.until(|world| world.launcher.living() == 1).await;
    let after = world.agent.status().provisioned;
    assert!(
        after.idle_mb_ms >= before.idle_mb_ms,
        "what was counted stays"
    );
}

#[tokio::test]
async fn one_that_dies_is_made_again() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    world.provision(&spec, 2);
    world.available(&spec, 2).await;
    let reply = world.invoke(&spec, "\"exit\"").await;
    assert!(reply.function_error.is_some());
    world.available(&spec, 2).await;
    assert_eq!(world.provisioned(&spec).trouble, None);
}

#[tokio::test]
async fn want_of_memory_reclaims_everything_else() {
    let limits = Limits {
        node_memory_mb: 500,
        ..Limits::default()
    };
    let world = limited(Function::default(), limits).await;
    let spec = world.prepared((*named("kept", 128)).clone()).await;
    world.provision(&spec, 2);
    world.available(&spec, 2).await;
    let other = named("other", 200);
    for _ in 0..3 {
        // It takes the room of spares, templates and zygote, and of its own idle instances.
        world.invoke(&other, "1").await;
        let large = Arc::new(FunctionSpec {
            keep_alive: Some(Duration::ZERO),
            ..(*named("large", 240)).clone()
        });
        let reply = world.invoke(&large, "1").await;
        assert_eq!(reply.function_error, None);
        let found = world.provisioned(&spec);
        assert_eq!((found.allocated, found.available), (2, 2));
    }
}

#[tokio::test]
async fn without_room_the_status_says_so_and_others_keep_theirs() {
    let limits = Limits {
        node_memory_mb: 450,
        ..Limits::default()
    };
    let world = limited(Function::default(), limits).await;
    let other = named("other", 100);
    world.invoke(&other, "1").await;
    let spec = Arc::new(FunctionSpec {
        snap_start: SnapStart::None,
        ..(*named("wanted", 200)).clone()
    });
    world.provision(&spec, 3);
    world
        .until(|world| world.provisioned(&spec).trouble == Some(Trouble::NoRoom))
        .await;
    world
        .until(|world| world.provisioned(&spec).allocated == 2)
        .await;
    // With less it is content.
    world.provision(&spec, 2);
    world.available(&spec, 2).await;
    assert_eq!(world.provisioned(&spec).trouble, None);
    assert!(world.agent.status().promised_mb <= 450);
}

#[tokio::test]
async fn a_part_of_the_node_is_left_to_requests_on_demand() {
    let limits = Limits {
        node_memory_mb: 1_000,
        ..Limits::default()
    };
    let world = limited(Function::default(), limits).await;
    let spec = Arc::new(FunctionSpec {
        snap_start: SnapStart::None,
        ..(*named("greedy", 50)).clone()
    });
    world.provision(&spec, 30);
    world
        .until(|world| world.provisioned(&spec).allocated == 18)
        .await;
    world
        .until(|world| world.provisioned(&spec).trouble == Some(Trouble::NoRoom))
        .await;
    let reply = world.invoke(&named("other", 100), "1").await;
    assert_eq!(reply.function_error, None);
    assert_eq!(world.provisioned(&spec).allocated, 18);
}

#[tokio::test]
async fn an_init_that_fails_is_told_and_tried_again() {
    let fails = Arc::new(AtomicBool::new(true));
    let failing = Arc::clone(&fails);
    let function = Function {
        init: Arc::new(move |_, _| {
            let failing = failing.load(Ordering::SeqCst);
            Box::pin(async move {
                match failing {
                    true => Err(Exit::Code(1)),
                    false => Ok(()),
                }
            })
        }),
        ..Function::default()
    };
    let world = node(function).await;
    let spec = Arc::new(version());
    world.provision(&spec, 2);
    world
        .until(|world| world.provisioned(&spec).trouble == Some(Trouble::InitFailed))
        .await;
    assert_eq!(world.provisioned(&spec).allocated, 0);
    fails.store(false, Ordering::SeqCst);
    world.available(&spec, 2).await;
    assert_eq!(world.provisioned(&spec).trouble, None);
}

#[tokio::test]
async fn a_version_that_goes_takes_them_along() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    world.provision(&spec, 2);
    world.available(&spec, 2).await;
    world.agent.retire(&spec.key);
    assert_eq!(world.agent.provisioned(&spec.key), None);
    world.until(|world| world.launcher.living() == 1).await;
    // A process is gone before its room is free.
    world
        .until(|world| world.agent.status().promised_mb < 128)
        .await;
}

#[tokio::test]
async fn a_new_revision_has_its_own() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    world.provision(&spec, 2);
    world.available(&spec, 2).await;
    let newer = Arc::new(FunctionSpec {
        revision: spec.revision + 1,
        environment: [("COLOUR".to_owned(), "red".to_owned())].into(),
        ..(*spec).clone()
    });
    world.agent.prepare(Arc::clone(&newer)).await.unwrap();
    world.available(&newer, 2).await;
    let reply = world.invoke(&newer, "1").await;
    assert_eq!(kind_of_init(&reply), "provisioned-concurrency");
    assert_eq!(json(&reply.payload)["colour"], "red");
}

#[tokio::test]
async fn the_node_ends_with_them() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    world.provision(&spec, 5);
    world.agent.drain(Duration::from_secs(30)).await;
    assert_eq!(world.agent.status().promised_mb, 0);
    world.until(|world| world.launcher.living() == 0).await;
}
