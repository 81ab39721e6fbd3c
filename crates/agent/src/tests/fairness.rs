//! A flood on one function beside requests of others: of its account and of another, under every policy.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant as Clock;

use parking_lot::Mutex;
use pilotlight_model::node::WarmUpOrder;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::fake::script;
use super::*;

/// What the tests hold back: each start and each request of the flood needs leave.
#[derive(Default)]
struct Gates {
    /// Names of the functions whose instances were launched, in order.
    launched: Mutex<Vec<String>>,
    inits: Option<Semaphore>,
    flood: Option<Semaphore>,
    answered: AtomicUsize,
    init: Duration,
    handler: Duration,
}

impl Gates {
    fn script(self: &Arc<Self>) -> Script {
        let gates = Arc::clone(self);
        script(move |mut runtime| {
            let gates = Arc::clone(&gates);
            async move {
                let prefix = "AWS_LAMBDA_FUNCTION_NAME=";
                let mut name = runtime.env.iter().filter_map(|it| it.strip_prefix(prefix));
                let name = name.next().unwrap().to_owned();
                gates.launched.lock().push(name.clone());
                pass(gates.inits.as_ref()).await;
                tokio::time::sleep(gates.init).await;
                let mut api = runtime.api().await;
                loop {
                    let event = api.next().await;
                    if name == "flood" {
                        pass(gates.flood.as_ref()).await;
                        gates.answered.fetch_add(1, Ordering::SeqCst);
                    }
                    tokio::time::sleep(gates.handler).await;
                    api.respond(&event.id, event.body).await;
                }
            }
        })
    }

    fn launched(&self) -> usize {
        self.launched.lock().len()
    }

    /// How many were launched before the first of that function.
    fn before(&self, name: &str) -> usize {
        let launched = self.launched.lock();
        launched.iter().position(|it| it == name).unwrap()
    }
}

async fn pass(gate: Option<&Semaphore>) {
    if let Some(gate) = gate {
        gate.acquire().await.unwrap().forget();
    }
}

fn shut() -> Option<Semaphore> {
    Some(Semaphore::new(0))
}

fn function(account: u64, name: &str) -> Arc<FunctionSpec> {
    let mut spec = spec();
    spec.key.account = format!("{account:012}").parse().unwrap();
    spec.key.name = name.parse().unwrap();
    spec.timeout = Duration::from_secs(60);
    Arc::new(spec)
}

fn world(gates: &Arc<Gates>, limits: Limits, policy: Option<&str>) -> World {
    let deciding = Deciding {
        policy: policy.map(str::to_owned),
        ..Deciding::default()
    };
    let launcher = FakeLauncher::new(gates.script());
    World::deciding(launcher, limits, Folder::new(), deciding)
}

/// Requests of one function, all at once.
fn flood(world: &World, spec: &Arc<FunctionSpec>, requests: usize) -> JoinSet<()> {
    let mut calls = JoinSet::new();
    add_flood(world, &mut calls, spec, requests);
    calls
}

/// The same beside others.
fn add_flood(world: &World, calls: &mut JoinSet<()>, spec: &Arc<FunctionSpec>, requests: usize) {
    for _ in 0..requests {
        let (agent, request) = (world.agent.clone(), request(spec, "1"));
        calls.spawn(async move {
            agent.invoke(request).await.unwrap();
        });
    }
}

/// A node that has room for four instances, each of which has a request of a flood of a hundred.
async fn full_of_a_flood(policy: Option<&str>) -> (Arc<Gates>, World, JoinSet<()>) {
    let gates = Arc::new(Gates {
        flood: shut(),
        ..Gates::default()
    });
    let limits = Limits {
        node_memory_mb: 4 * 128,
        ..Limits::default()
    };
    let world = world(&gates, limits, policy);
    let calls = flood(&world, &function(1, "flood"), 100);
    world
        .until(|world| world.counts() == (0, 0, 4) && waiting(world) == 96)
        .await;
    (gates, world, calls)
}

/// The flood ends, and all of it is answered.
async fn let_through(gates: &Gates, calls: JoinSet<()>) {
    gates.flood.as_ref().unwrap().add_permits(1_000);
    all_answered(calls).await;
}

async fn all_answered(mut calls: JoinSet<()>) {
    while let Some(call) = calls.join_next().await {
        call.unwrap();
    }
}

fn waiting(world: &World) -> usize {
    world.agent.node.pool.starts_waiting()
}

const POLICIES: [Option<&str>; 3] = [None, Some("pilot"), Some("lru")];

/// Each of the policies, with the other function in the flood's account and in another.
fn cases() -> impl Iterator<Item = (Option<&'static str>, u64)> {
    POLICIES
        .into_iter()
        .flat_map(|policy| [(policy, 1), (policy, 2)])
}

#[tokio::test]
async fn a_flood_of_starts_costs_another_function_one_of_them() {
    for (policy, account) in cases() {
        let gates = Arc::new(Gates {
            inits: shut(),
            ..Gates::default()
        });
        let limits = Limits {
            concurrent_starts: 4,
            node_memory_mb: 1 << 20,
            ..Limits::default()
        };
        let world = world(&gates, limits, policy);
        let mut calls = flood(&world, &function(1, "flood"), 1_000);
        world
            .until(|world| waiting(world) == 996 && gates.launched() == 4)
            .await;
        let other = world.start_invoke(request(&function(account, "other"), "2"));
        world.until(|world| waiting(world) == 997).await;
        gates.inits.as_ref().unwrap().add_permits(2_000);
        assert_eq!(other.await.unwrap().unwrap().payload, "2");
        assert!(
            gates.before("other") <= 5,
            "{policy:?}: {}",
            gates.before("other")
        );
        calls.abort_all();
        while calls.join_next().await.is_some() {}
        world.agent.drain(Duration::from_secs(30)).await;
    }
}

#[tokio::test]
async fn a_node_full_of_a_flood_has_room_for_another_function() {
    for (policy, account) in cases() {
        let (gates, world, calls) = full_of_a_flood(policy).await;
        let other = world.start_invoke(request(&function(account, "other"), "2"));
        world.until(|world| waiting(world) == 97).await;
        // One request of the flood ends, and the other one is served.
        gates.flood.as_ref().unwrap().add_permits(1);
        assert_eq!(other.await.unwrap().unwrap().payload, "2");
        assert_eq!(gates.answered.load(Ordering::SeqCst), 1, "{policy:?}");
        let_through(&gates, calls).await;
    }
}

#[tokio::test]
async fn a_large_function_gets_its_room_from_many_small_instances() {
    let gates = Arc::new(Gates {
        handler: Duration::from_millis(1),
        ..Gates::default()
    });
    let limits = Limits {
        node_memory_mb: 8 * 128,
        ..Limits::default()
    };
    let world = world(&gates, limits, None);
    let calls = flood(&world, &function(1, "flood"), 3_000);
    world
        .until(|_| gates.answered.load(Ordering::SeqCst) > 100)
        .await;
    let mut large = FunctionSpec::clone(&function(1, "large"));
    large.memory_mb = 7 * 128;
    world.invoke(&Arc::new(large), "2").await;
    assert!(waiting(&world) > 0, "the flood goes on");
    all_answered(calls).await;
}

/// Two floods on a node with one place: both go on, and no more than a fifth of the time goes into starts.
#[tokio::test]
async fn one_place_changes_hands_by_time() {
    for account in [1, 2] {
        let gates = Arc::new(Gates {
            init: Duration::from_millis(10),
            handler: Duration::from_millis(1),
            ..Gates::default()
        });
        let limits = Limits {
            node_instances: 1,
            ..Limits::default()
        };
        let world = world(&gates, limits, None);
        let began = Clock::now();
        let mut calls = flood(&world, &function(1, "flood"), 300);
        add_flood(&world, &mut calls, &function(account, "other"), 300);
        all_answered(calls).await;
        let changes = gates.launched();
        // A start takes 10 ms at least, and is of use for four times that.
        let most = began.elapsed().as_millis() / 50 + 2;
        assert!(
            (3..=most as usize).contains(&changes),
            "{changes} of {most}"
        );
    }
}

#[tokio::test]
async fn a_node_full_of_a_flood_has_room_for_what_is_provisioned() {
    let (gates, world, calls) = full_of_a_flood(None).await;
    let provisioned = function(2, "provisioned");
    world.agent.provision(&provisioned, 2);
    let ready = |world: &World| {
        let provisioned = world.agent.provisioned(&provisioned.key);
        provisioned.map_or(0, |provisioned| provisioned.available)
    };
    for made in 1..=2 {
        gates.flood.as_ref().unwrap().add_permits(1);
        world.until(|world| ready(world) == made).await;
    }
    assert_eq!(gates.answered.load(Ordering::SeqCst), 2);
    let_through(&gates, calls).await;
}

/// What nobody waits for is made while starts are waited for: one for eight of theirs.
#[tokio::test]
async fn a_flood_leaves_something_to_starts_off_the_path() {
    let gates = Arc::new(Gates {
        inits: shut(),
        ..Gates::default()
    });
    let limits = Limits {
        concurrent_starts: 2,
        ..Limits::default()
    };
    let world = world(&gates, limits, None);
    let functions: Vec<_> = (0..100)
        .map(|number| function(1, &format!("f{number}")))
        .collect();
    let calls: Vec<_> = functions
        .iter()
        .map(|spec| world.start_invoke(request(spec, "1")))
        .collect();
    world
        .until(|world| waiting(world) == 98 && gates.launched() == 2)
        .await;
    let order = WarmUpOrder {
        spec: function(1, "warm"),
        instances: 4,
        call: None,
    };
    let agent = world.agent.clone();
    let warmed = tokio::spawn(async move { agent.warm_up(order).await });
    world
        .until(|world| world.agent.node.pool.ordered() == 4)
        .await;
    gates.inits.as_ref().unwrap().add_permits(1_000);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(warmed.await.unwrap().unwrap().started, 4);
    let launched = gates.launched.lock();
    let warm = launched
        .iter()
        .enumerate()
        .filter(|(_, name)| *name == "warm");
    let at: Vec<usize> = warm.map(|(place, _)| place).collect();
    // Two are under way at once, so that launches may change places with their neighbours.
    assert!(at[0] <= 10 && at[3] <= 4 * 9 + 2, "{at:?}");
    assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= 7), "{at:?}");
}
