//! Instances that are made ready before anybody asks.

use pilotlight_model::function::SnapStart;
use pilotlight_model::node::{WarmUpCall, WarmUpOrder, WarmedUp};

use super::*;

impl World {
    async fn warm_up(&self, spec: &Arc<FunctionSpec>, instances: u32) -> WarmedUp {
        let order = WarmUpOrder {
            spec: Arc::clone(spec),
            instances,
            call: None,
        };
        self.agent.warm_up(order).await.unwrap()
    }
}

fn warmed(idle: u32, started: u32) -> WarmedUp {
    WarmedUp {
        idle,
        started,
        ..WarmedUp::default()
    }
}

#[tokio::test]
async fn a_version_is_brought_to_that_many_idle_instances() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    assert_eq!(world.warm_up(&spec, 3).await, warmed(3, 3));
    let counts = world.of(&spec);
    assert_eq!(
        (counts.idle, counts.spares),
        (3, 1),
        "the spare is beside them"
    );
    assert!(
        !world
            .log()
            .await
            .iter()
            .any(|line| line.starts_with("START")),
        "no handler was called"
    );
    assert_eq!(
        world.warm_up(&spec, 3).await,
        warmed(3, 0),
        "they are there"
    );
    assert_eq!(world.warm_up(&spec, 4).await, warmed(4, 1));
    assert_eq!(world.warm_up(&spec, 1).await, warmed(4, 0));
    assert_eq!(world.invoke(&spec, "1").await.kind, StartKind::Warm);
}

#[tokio::test]
async fn without_a_template_they_are_booted() {
    let world = node(Function::default()).await;
    let spec = Arc::new(spec());
    assert_eq!(spec.snap_start, SnapStart::None);
    assert_eq!(world.warm_up(&spec, 2).await, warmed(2, 2));
    let reply = world.invoke(&spec, "1").await;
    assert_eq!(reply.kind, StartKind::Warm);
    assert_eq!(phases(&reply), [Phase::Queue, Phase::Place, Phase::Handler]);
}

#[tokio::test]
async fn what_missed_its_template_has_one_made() {
    let world = node(Function::default()).await;
    let spec = version();
    let spec = Arc::new(spec);
    assert_eq!(world.warm_up(&spec, 1).await.started, 1);
    world.spare(&spec).await;
    world.until(|world| world.of(&spec).idle == 1).await;
    assert_eq!(world.warm_up(&spec, 2).await, warmed(2, 1));
}

#[tokio::test]
async fn handlers_are_called_with_the_mark_where_that_is_wanted() {
    let world = node(Function::default()).await;
    let spec = world.prepared(version()).await;
    let order = WarmUpOrder {
        spec: Arc::clone(&spec),
        instances: 2,
        call: Some(WarmUpCall {
            invoked_arn: spec.key.to_string(),
            payload: Bytes::from_static(b"{\"warm\":true}"),
            at_ms: 1,
        }),
    };
    let done = world.agent.warm_up(order).await.unwrap();
    assert_eq!((done.started, done.called, done.failed), (2, 2, 0));
    world.until(|world| world.of(&spec).idle == 2).await;
    let log = world.log().await;
    let starts = log.iter().filter(|line| line.starts_with("START"));
    assert_eq!(starts.count(), 2);
    assert_eq!(world.invoke(&spec, "1").await.kind, StartKind::Warm);
}

#[tokio::test]
async fn nothing_is_reclaimed_for_them() {
    let limits = Limits {
        node_memory_mb: 600,
        ..Limits::default()
    };
    let world = limited(Function::default(), limits).await;
    let (other, spec) = (named("other", 256), named("f", 128));
    world.invoke(&other, "1").await;
    world.until(|world| world.of(&other).idle == 1).await;
    // Its template takes all the room of an instance while it is made, and the spare comes after it.
    world.spare(&other).await;
    // Beside the zygotes there is room for two.
    let done = world.warm_up(&spec, 5).await;
    assert_eq!((done.idle, done.started), (2, 2));
    assert_eq!(world.of(&other).idle, 1);
}

#[tokio::test]
async fn an_init_that_fails_warms_nothing_and_holds_nobody_up() {
    let fails = Function {
        init: step(|_, _| async { Err(Exit::Code(1)) }),
        ..Function::default()
    };
    let world = node(fails).await;
    let spec = Arc::new(spec());
    assert_eq!(world.warm_up(&spec, 2).await, warmed(0, 0));
    assert_eq!(world.of(&spec).idle, 0);
}

#[tokio::test]
async fn a_node_that_drains_warms_nothing() {
    let world = node(Function::default()).await;
    world.agent.drain(Duration::ZERO).await;
    let order = WarmUpOrder {
        spec: Arc::new(spec()),
        instances: 1,
        call: None,
    };
    let refused = world.agent.warm_up(order).await;
    assert_eq!(refused, Err(NodeError::Draining));
}
