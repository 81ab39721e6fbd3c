//! What a policy orders is done, and what it does not order costs nobody his request.

use parking_lot::Mutex;
use pilotlight_model::function::SnapStart;
use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::{Refusal, Rung};
use pilotlight_model::node::{VersionCounts, WarmUpOrder};
use pilotlight_model::start::{Instant, StartKind};
use pilotlight_policy::action::Because;
use pilotlight_policy::{Action, Event, NodeId, VersionId};

use super::fake::forks::{SPARE_BYTES, TEMPLATE_BYTES};
use super::fake::{Function, program, script};
use super::*;
use crate::launcher::FreezeError;

const VERSION: VersionId = VersionId(0);
const NODE: NodeId = NodeId(0);

/// A policy that orders what the test says, at the next event, and keeps what it was told.
#[derive(Clone, Default)]
struct Scripted {
    orders: Arc<Mutex<Vec<Action>>>,
    told: Arc<Mutex<Vec<Event>>>,
    /// Leaves requests without a start.
    silent: bool,
    /// Wants to know what idle instances take.
    weighs: bool,
}

impl Policy for Scripted {
    fn observe(&mut self, _: Instant, event: Event, actions: &mut Vec<Action>) {
        self.told.lock().push(event);
        if let (Event::Waits(waits), false) = (event, self.silent) {
            actions.push(Action::Start {
                ticket: waits.ticket,
                node: NODE,
            });
        }
        actions.append(&mut self.orders.lock());
    }

    fn wake_at(&self) -> Option<Instant> {
        None
    }

    fn weighs(&self) -> bool {
        self.weighs
    }

    fn hurries(&self) -> bool {
        true
    }
}

impl Scripted {
    fn order(&self, action: Action) {
        self.orders.lock().push(action);
    }

    fn hold(&self, version: VersionId, rung: Rung) {
        self.order(Action::Hold {
            version,
            node: NODE,
            rung,
            because: Because::Worth,
        });
    }

    fn told(&self, of: impl Fn(&Event) -> bool) -> usize {
        self.told.lock().iter().filter(|event| of(event)).count()
    }

    fn decides(&self, launcher: FakeLauncher) -> World {
        self.decides_within(launcher, Limits::default())
    }

    fn decides_within(&self, launcher: FakeLauncher, limits: Limits) -> World {
        let deciding = Deciding {
            scripted: Some(Box::new(self.clone())),
            ..Deciding::default()
        };
        let folder = Folder::new();
        World::deciding(launcher, limits, folder, deciding)
    }
}

fn echoing() -> FakeLauncher {
    FakeLauncher::new(script(|mut runtime| async move {
        runtime.api().await.echo().await
    }))
}

fn counts(world: &World, spec: &FunctionSpec) -> VersionCounts {
    let status = world.agent.status();
    let counts = status.versions.get(&spec.key.to_string());
    counts.cloned().unwrap_or_default()
}

/// A version that has its template and a spare.
async fn with_a_spare(world: &World) -> Arc<FunctionSpec> {
    world
        .until(|world| world.agent.status().zygotes[0].ready)
        .await;
    let spec = Arc::new(FunctionSpec {
        snap_start: SnapStart::Auto,
        ..spec()
    });
    world.agent.prepare(Arc::clone(&spec)).await.unwrap();
    world.until(|world| counts(world, &spec).spares == 1).await;
    spec
}

#[tokio::test(start_paused = true)]
async fn a_request_that_the_policy_forgets_gets_a_start_in_the_end() {
    let policy = Scripted {
        silent: true,
        ..Scripted::default()
    };
    let world = policy.decides(echoing());
    let began = tokio::time::Instant::now();
    let reply = world.invoke(&Arc::new(spec()), "1").await;
    assert_eq!(reply.kind, StartKind::Booted);
    assert!(began.elapsed() >= pilotlight_model::limits::INIT);
    assert_eq!(policy.told(|event| matches!(event, Event::Waits(_))), 1);
    assert_eq!(policy.told(|event| matches!(event, Event::Left(_))), 1);
}

#[tokio::test]
async fn a_version_stands_on_the_rung_that_the_policy_says() {
    let policy = Scripted::default();
    let world = policy.decides(FakeLauncher::forking(program(Function::default())));
    let spec = with_a_spare(&world).await;

    policy.hold(VERSION, Rung::Template);
    world.invoke(&spec, "1").await;
    world.until(|world| counts(world, &spec).spares == 0).await;
    assert!(counts(&world, &spec).template_bytes > 0, "it was left");

    policy.hold(VERSION, Rung::Cached);
    world.invoke(&spec, "1").await;
    let held = |world: &World| counts(world, &spec).template_bytes > 0;
    world.until(|world| !held(world)).await;

    policy.hold(VERSION, Rung::Spare);
    world.invoke(&spec, "1").await;
    world.until(|world| counts(world, &spec).spares == 1).await;
    assert!(held(&world));
    let lost = |of: Rung| policy.told(|it| matches!(it, Event::Lost { rung, .. } if *rung == of));
    assert_eq!(lost(Rung::Template), 1);
    assert!(lost(Rung::Spare) >= 1);
}

/// A template that was called off while it waited for room has not failed: when it is wanted again it is made at once.
#[tokio::test]
async fn a_template_that_is_called_off_may_be_wanted_again() {
    let policy = Scripted::default();
    let limits = Limits {
        node_memory_mb: 300,
        ..Limits::default()
    };
    let launcher = FakeLauncher::forking(program(Function::default()));
    let world = policy.decides_within(launcher, limits);
    world
        .until(|world| world.agent.status().zygotes[0].ready)
        .await;
    let mut large = spec();
    large.key.name = "large".parse().unwrap();
    large.memory_mb = 250;
    large.snap_start = SnapStart::None;
    let large = Arc::new(large);
    world.invoke(&large, "1").await;
    world.idle().await;
    let spec = Arc::new(FunctionSpec {
        snap_start: SnapStart::Auto,
        ..spec()
    });
    world.agent.prepare(Arc::clone(&spec)).await.unwrap();
    assert_eq!(counts(&world, &spec).template_bytes, 0, "there is no room");

    for rung in [Rung::Zygote, Rung::Template] {
        policy.hold(VersionId(1), rung);
        world.invoke(&large, "1").await;
        world.idle().await;
    }
    world.agent.retire(&large.key);
    world
        .until(|world| counts(world, &spec).template_bytes > 0)
        .await;
}

#[tokio::test]
async fn the_policy_hears_at_once_that_a_version_can_have_no_template() {
    let policy = Scripted::default();
    let launcher = FakeLauncher::forking(program(Function::default()));
    let refused = FreezeError::Refused(Refusal {
        reason: "open_connection".into(),
        detail: String::new(),
    });
    let forks = launcher.forks.as_ref().unwrap();
    forks.refusals.lock().push_back(refused);
    let world = policy.decides(launcher);
    world
        .until(|world| world.agent.status().zygotes[0].ready)
        .await;
    let refusals = |version: u32| {
        policy.told(|it| {
            *it == Event::Refused {
                version: VersionId(version),
                node: NODE,
                rung: Rung::Template,
            }
        })
    };
    let mut wanted = spec();
    wanted.snap_start = SnapStart::Auto;
    world.agent.prepare(Arc::new(wanted)).await.unwrap();
    assert_eq!(refusals(0), 1);
    // Its process serves, and was there before that was said: nothing is made in the template's place.
    let told = policy.told.lock().clone();
    let place = |of: fn(&Event) -> bool| told.iter().position(of);
    assert!(
        place(|it| matches!(it, Event::Idle(_))) < place(|it| matches!(it, Event::Refused { .. }))
    );

    // One that is to have none, by its own configuration.
    let mut opted_out = spec();
    opted_out.key.name = "other".parse().unwrap();
    opted_out.snap_start = SnapStart::None;
    world.agent.prepare(Arc::new(opted_out)).await.unwrap();
    assert_eq!((refusals(0), refusals(1)), (1, 1));
}

#[tokio::test]
async fn instances_are_started_ahead() {
    let policy = Scripted::default();
    let world = policy.decides(echoing());
    let spec = Arc::new(spec());
    world.invoke(&spec, "1").await;
    policy.order(Action::PreStart {
        version: VERSION,
        node: NODE,
        instances: 2,
        by: Instant(0),
        because: Because::Worth,
    });
    world.idle().await;
    world.invoke(&spec, "1").await;
    world.until(|world| world.counts() == (0, 3, 0)).await;
    let ahead = |event: &Event| matches!(event, Event::Starting(it) if it.ticket.is_none());
    assert_eq!(policy.told(ahead), 2);
}

/// A policy may be late: what it wants ended has a request by then, which comes to no harm, and the policy hears of
/// the instance anew.
#[tokio::test]
async fn what_has_a_request_is_not_reclaimed() {
    let policy = Scripted::default();
    let world = policy.decides(echoing());
    let spec = Arc::new(spec());
    let instance = world.invoke(&spec, "1").await.instance;
    world.idle().await;
    let idle = policy.told(|event| matches!(event, Event::Idle(_)));
    policy.order(Action::Reclaim {
        instance: InstanceId(instance.0),
        because: Because::Expired,
    });
    let again = world.invoke(&spec, "1").await;
    assert_eq!((again.instance, again.kind), (instance, StartKind::Warm));
    world.idle().await;
    assert_eq!(policy.told(|event| matches!(event, Event::Starting(_))), 2);
    assert_eq!(
        policy.told(|event| matches!(event, Event::Idle(_))),
        idle + 1
    );
    assert_eq!(world.invoke(&spec, "1").await.instance, instance);
}

/// What a warm-up has started, the policy does not start again.
#[tokio::test]
async fn a_warm_up_is_announced_when_it_is_done() {
    let deciding = Deciding {
        policy: Some("pilot".to_owned()),
        ..Deciding::default()
    };
    let folder = Folder::new();
    let world = World::deciding(echoing(), Limits::default(), folder, deciding);
    let order = WarmUpOrder {
        spec: Arc::new(spec()),
        instances: 3,
        call: None,
    };
    let warmed = world.agent.warm_up(order).await.unwrap();
    assert_eq!((warmed.idle, warmed.started), (3, 3));
    assert_eq!(world.counts(), (0, 3, 0), "and none is starting");
    assert_eq!(world.agent.status().forecasts.unwrap().forecasts, 1);
}

/// What a policy reckons with is what the node has measured: starts by their kind, templates, spares and instances by
/// what they take.
#[tokio::test]
async fn costs_are_told_as_they_were_measured() {
    let policy = Scripted {
        weighs: true,
        ..Scripted::default()
    };
    let world = policy.decides(FakeLauncher::forking(program(Function::default())));
    let spec = with_a_spare(&world).await;
    assert_eq!(world.invoke(&spec, "1").await.kind, StartKind::Spare);
    for kind in [StartKind::Forked, StartKind::Zygote, StartKind::Booted] {
        let reply = world.invoke_cold(&spec, kind).await;
        assert_eq!(reply.kind, kind);
    }
    let sandbox = 1 << 20;
    let measured = |event: &Event| matches!(event, Event::Measured(it) if it.memory.0 == SPARE_BYTES + sandbox);
    world.until(|_| policy.told(measured) >= 4).await;
    for kind in [StartKind::Forked, StartKind::Zygote, StartKind::Booted] {
        let took = |event: &Event| matches!(event, Event::Started(it) if it.kind == kind && !it.took.is_zero());
        assert_eq!(policy.told(took), 1, "{kind:?}");
    }
    for (rung, bytes) in [(Rung::Template, TEMPLATE_BYTES), (Rung::Spare, SPARE_BYTES)] {
        let held = |event: &Event| matches!(event, Event::Held(it) if it.rung == rung && it.memory.0 == bytes + sandbox && !it.took.is_zero());
        assert!(policy.told(held) >= 1, "{rung:?}");
    }
}
