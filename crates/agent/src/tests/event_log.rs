//! The event log of a node: it is written as things happen, and makes the policy order the same again.

use std::path::Path;

use pilotlight_model::function::SnapStart;
use pilotlight_model::ladder::Refusal;
use pilotlight_model::node::{Announcement, Cause, Declaration, Shift, WarmUpOrder};
use pilotlight_policy::eventlog::{Header, Line};
use pilotlight_policy::policies::by_name;
use pilotlight_policy::{Action, Event};

use super::fake::{Function, program, script};
use super::*;
use crate::launcher::FreezeError;

/// A node with that policy that writes its event log into its data folder.
fn recorded(launcher: FakeLauncher, policy: Option<&str>, bytes: u64) -> World {
    let folder = Folder::new();
    let limits = Limits {
        // Room for some of what is asked for.
        node_memory_mb: 1024,
        node_instances: 6,
        keep_alive: Duration::from_millis(20),
        ..Limits::default()
    };
    let log = EventLogConfig {
        path: folder.path().join("events"),
        bytes,
    };
    let deciding = Deciding {
        policy: policy.map(str::to_owned),
        event_log: Some(log),
        scripted: None,
    };
    World::deciding(launcher, limits, folder, deciding)
}

fn named(number: usize) -> FunctionSpec {
    let mut spec = FunctionSpec {
        snap_start: SnapStart::Auto,
        ..spec()
    };
    spec.key.name = format!("f{number}").parse().unwrap();
    spec
}

/// A version of a function of its own that others call, and that cannot have a template.
async fn called(world: &World) -> Arc<FunctionSpec> {
    let refusal = Refusal {
        reason: "open_connection".into(),
        detail: "10.0.0.1:5432".to_owned(),
    };
    let refused = FreezeError::Refused(refusal);
    let forks = world.launcher.forks.as_ref().unwrap();
    forks.refusals.lock().push_back(refused);
    let spec = Arc::new(named(9));
    world.agent.prepare(Arc::clone(&spec)).await.unwrap();
    spec
}

/// A request that another made, some time after it came.
fn call_of(caller: &FunctionSpec, callee: &Arc<FunctionSpec>) -> InvokeRequest {
    let mut call = request(callee, "1");
    call.cause = Some(Cause {
        version: caller.key.clone(),
        request_id: RequestId::new(),
        at_ms: crate::clock::unix_ms(),
    });
    call
}

/// Requests for several functions at once, more than there is room for, deploys, a version that is refused its template,
/// calls of one function by another, a declared call, what a schedule announces and takes back, an alias that moves its
/// requests, a warm-up, a deletion: whatever happens on a node.
async fn live(world: &World) {
    world
        .until(|world| world.agent.status().zygotes[0].ready)
        .await;
    let callee = called(world).await;
    let mut specs: Vec<_> = (0..6).map(|number| Arc::new(named(number))).collect();
    for spec in &specs {
        world.agent.prepare(Arc::clone(spec)).await.unwrap();
    }
    world.agent.declare(Declaration {
        caller: Arc::clone(&specs[1]),
        callee: Arc::clone(&specs[2]),
        part: 0.5,
        after: Some(Duration::from_millis(1)),
    });
    for (requests, after) in [(2, 10), (3, 40), (0, 40)] {
        world.agent.announce(Announcement {
            spec: Arc::clone(&specs[3]),
            requests,
            after: Duration::from_millis(after),
        });
    }
    for round in 0..12 {
        let calls: Vec<_> = (0..8)
            .map(|call| request(&specs[(round + call % 3) % specs.len()], "1"))
            .map(|request| world.start_invoke(request))
            .collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        world.invoke(&specs[0], "1").await;
        let call = call_of(&specs[0], &callee);
        world.try_invoke(call).await.unwrap();
        match round {
            2 => {
                // Its next version, which has nothing yet.
                let mut next = named(1);
                next.key.version = Version::Number(1);
                let to = Arc::new(next);
                world.agent.prepare(Arc::clone(&to)).await.unwrap();
                let shift = Shift {
                    from: Arc::clone(&specs[1]),
                    to,
                    part: 0.5,
                    share: 0.5,
                };
                world.agent.shift(shift).await;
            }
            4 => {
                let mut changed = named(0);
                changed.revision = 2;
                specs[0] = Arc::new(changed);
                world.agent.prepare(Arc::clone(&specs[0])).await.unwrap();
            }
            6 => {
                let gone = specs.pop().unwrap();
                world.agent.retire(&gone.key);
            }
            8 => {
                let order = WarmUpOrder {
                    spec: Arc::clone(&specs[2]),
                    instances: 2,
                    call: None,
                };
                world.agent.warm_up(order).await.unwrap();
            }
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    world.agent.drain(Duration::from_secs(10)).await;
}

/// What a log has: its header, the names, and every event with the actions behind it.
struct Read {
    header: Header,
    names: Vec<String>,
    told: Vec<(pilotlight_model::start::Instant, Event, Vec<Action>)>,
}

fn read(path: &Path) -> Read {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let mut read = Read {
        header: Header::read(lines.next().unwrap()).unwrap(),
        names: Vec::new(),
        told: Vec::new(),
    };
    for line in lines {
        match Line::read(line).unwrap() {
            Line::Name(_, name) => read.names.push(name),
            Line::Event(at, event) => read.told.push((at, event, Vec::new())),
            Line::Action(action) => read.told.last_mut().unwrap().2.push(action),
        }
    }
    read
}

/// Every policy orders what it ordered on the node, and the log has what happened there.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_told_the_same_again_orders_the_same() {
    let fixed = None;
    for policy in [
        fixed,
        Some("lru"),
        Some("greedy-dual:512MiB"),
        Some("cidre:512MiB"),
        Some("hybrid:1h"),
        Some("rainbowcake"),
        Some("pilot:shadow"),
        Some("pilot:node"),
    ] {
        let launcher = FakeLauncher::forking(program(Function::default()));
        let world = recorded(launcher, policy, u64::MAX);
        live(&world).await;
        assert_eq!(world.agent.status().dropped_events, 0);

        let read = read(&world.folder.path().join("events"));
        assert_eq!(read.header.policy, policy.unwrap_or("fixed:20ms"));
        assert!(read.names[1].ends_with(":f0:$LATEST"), "{:?}", read.names);
        let mut again = by_name(&read.header.policy).unwrap();
        let mut last = read.header.began;
        for (at, event, ordered) in &read.told {
            assert!(last <= *at, "times go on");
            last = *at;
            let mut actions = Vec::new();
            again.observe(*at, *event, &mut actions);
            assert_eq!(actions, *ordered, "{policy:?}: {event:?}");
        }
        let count = |of: fn(&Event) -> bool| read.told.iter().filter(|it| of(&it.1)).count();
        assert_eq!(count(|event| matches!(event, Event::Arrived(_))), 96 + 24);
        let caused = |event: &Event| matches!(event, Event::Arrived(it) if it.cause.is_some());
        assert_eq!(count(caused), 12);
        assert_eq!(count(|event| matches!(event, Event::Deployed(_))), 9);
        assert_eq!(count(|event| matches!(event, Event::Refused { .. })), 1);
        assert_eq!(count(|event| matches!(event, Event::Calls(_))), 1);
        assert_eq!(count(|event| matches!(event, Event::Shift(_))), 1);
        assert_eq!(count(|event| matches!(event, Event::Announced(_))), 4);
        assert!(count(|event| matches!(event, Event::Pressure { .. })) > 0);
        assert_eq!(count(|event| matches!(event, Event::Retired(_))), 1);
        let starts = count(|event| matches!(event, Event::Starting(_)));
        let gone = count(|event| matches!(event, Event::Gone(_)));
        let mut actions = read.told.iter().flat_map(|it| &it.2);
        let reclaimed =
            actions.any(|action| matches!(action, Action::Reclaim { .. } | Action::Strip { .. }));
        assert!(starts > 6 && gone <= starts && reclaimed, "{starts} {gone}");
    }
}

#[tokio::test]
async fn a_full_log_goes_on_in_a_new_file_that_can_be_read_by_itself() {
    let echo = script(|mut runtime| async move { runtime.api().await.echo().await });
    let world = recorded(FakeLauncher::new(echo), None, 8 << 10);
    let spec = Arc::new(spec());
    for _ in 0..100 {
        world.invoke(&spec, "1").await;
    }
    world.agent.drain(Duration::from_secs(10)).await;
    let path = world.folder.path().join("events");
    let sizes = ["events", "events.1"].map(|name| {
        let file = world.folder.path().join(name);
        std::fs::metadata(file).unwrap().len()
    });
    assert!(
        sizes.iter().all(|bytes| *bytes < (4 << 10) + 1024),
        "{sizes:?}"
    );
    let read = read(&path);
    assert_eq!(read.names, [spec.key.to_string()]);
    assert!(matches!(read.told[0].1, Event::Node(_)));
    assert!(matches!(read.told[1].1, Event::Deployed(_)));
    // Who has the file before can leave out what is said again: that, and the name.
    assert_eq!(read.header.repeats, Some(3));
}

#[tokio::test]
async fn a_request_in_the_trace_of_another_is_told_to_be_caused_by_it() {
    let echo = script(|mut runtime| async move { runtime.api().await.echo().await });
    let world = recorded(FakeLauncher::new(echo), None, u64::MAX);
    for number in 0..2 {
        let mut call = request(&Arc::new(named(number)), "1");
        call.trace_id = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0".to_owned();
        world.try_invoke(call).await.unwrap();
    }
    world.agent.drain(Duration::from_secs(10)).await;
    let read = read(&world.folder.path().join("events"));
    let causes = read.told.iter().filter_map(|(_, event, _)| match event {
        Event::Arrived(arrived) => Some(arrived.cause.map(|cause| cause.version.0)),
        _ => None,
    });
    assert_eq!(causes.collect::<Vec<_>>(), [None, Some(0)]);
}
