//! Why requests found no idle instance, and what the policy expected.

use pilotlight_model::node::{CallsAnswer, CallsAsked, Declaration, WarmUpOrder, Why, WhyReason};
use pilotlight_model::start::StartKind;

use super::fake::script;
use super::*;

fn deciding(policy: Option<&str>, keep_alive: Duration) -> World {
    let echo = script(|mut runtime| async move { runtime.api().await.echo().await });
    let limits = Limits {
        keep_alive,
        ..Limits::default()
    };
    let deciding = Deciding {
        policy: policy.map(str::to_owned),
        ..Deciding::default()
    };
    let folder = Folder::new();
    World::deciding(FakeLauncher::new(echo), limits, folder, deciding)
}

fn reasons(why: &Why) -> Vec<&WhyReason> {
    why.starts.iter().map(|start| &start.reason).collect()
}

#[tokio::test]
async fn what_was_reclaimed_is_told_with_its_reason() {
    let world = deciding(None, Duration::from_millis(10));
    let spec = Arc::new(spec());
    for _ in 0..2 {
        world.invoke(&spec, "1").await;
        world.until(|world| world.counts() == (0, 0, 0)).await;
    }
    let why = world.agent.why(&spec.key);
    assert_eq!((why.policy.as_str(), &why.forecasts), ("fixed:10ms", &None));
    assert!(
        matches!(
            reasons(&why)[..],
            [WhyReason::Reclaimed { because, .. }, WhyReason::First] if because == "expired"
        ),
        "{why:?}"
    );
    assert!(
        why.starts
            .iter()
            .all(|it| it.kind == StartKind::Booted && it.waited_us > 0)
    );
}

#[tokio::test]
async fn a_change_is_told_and_a_retired_version_is_forgotten() {
    let world = deciding(None, Duration::from_secs(600));
    let mut changed = spec();
    let first = Arc::new(changed.clone());
    world.invoke(&first, "1").await;
    world.idle().await;
    world.invoke(&first, "1").await;
    world.idle().await;
    changed.revision = 2;
    let changed = Arc::new(changed);
    world.invoke(&changed, "1").await;
    let why = world.agent.why(&changed.key);
    assert!(
        matches!(
            reasons(&why)[..],
            [WhyReason::Changed { .. }, WhyReason::First]
        ),
        "{why:?}"
    );
    assert_eq!(why.starts[0].warm_before, 1);
    world.agent.retire(&changed.key);
    assert_eq!(world.agent.why(&changed.key).starts, []);
}

#[tokio::test]
async fn a_policy_that_forecasts_tells_what_it_knows() {
    let world = deciding(Some("pilot"), Duration::from_secs(600));
    let spec = Arc::new(spec());
    world.invoke(&spec, "1").await;
    world.idle().await;
    let forecasts = world.agent.why(&spec.key).forecasts.unwrap();
    assert_eq!(world.agent.why(&spec.key).policy, "pilot:node");
    assert_eq!(forecasts.told[0].why, "never_seen");
    assert_eq!(forecasts.told[0].kind, Some(StartKind::Booted));
    assert_eq!(world.agent.status().forecasts.unwrap().hits, 0);
    let fixed = deciding(None, Duration::ZERO);
    assert_eq!(fixed.agent.status().forecasts, None);
}

/// What was warmed up, and a start that was asked for, are told as what they were.
#[tokio::test]
async fn warm_ups_and_starts_that_were_asked_for_are_told_as_such() {
    let world = deciding(Some("pilot"), Duration::from_secs(600));
    let spec = Arc::new(spec());
    let order = WarmUpOrder {
        spec: Arc::clone(&spec),
        instances: 3,
        call: None,
    };
    let warmed = world.agent.warm_up(order).await.unwrap();
    assert_eq!((warmed.idle, warmed.started), (3, 3));
    let told = |world: &World| world.agent.why(&spec.key).forecasts.unwrap();
    let expected = told(&world).expected.unwrap();
    assert_eq!(expected.by, "announced");
    assert!(
        expected.until_ms > expected.from_ms + 599_000,
        "{expected:?}"
    );

    assert_eq!(world.invoke(&spec, "1").await.kind, StartKind::Warm);
    world.until(|world| world.counts() == (0, 3, 0)).await;
    let forecasts = told(&world);
    assert_eq!(forecasts.told.len(), 1, "{forecasts:?}");
    assert_eq!(forecasts.told[0].kind, Some(StartKind::Warm));
    assert_eq!(forecasts.told[0].why, "foreseen");
    let counters = &forecasts.counters;
    assert_eq!(
        (counters.forecasts, counters.hits, counters.misses),
        (1, 1, 0)
    );

    let reply = world.invoke_cold(&spec, StartKind::Booted).await;
    assert_eq!(reply.kind, StartKind::Booted);
    let why = world.agent.why(&spec.key);
    assert_eq!(why.starts[0].reason, WhyReason::Asked);
    assert_eq!(
        why.forecasts.unwrap().told.len(),
        1,
        "nothing was ready for it"
    );
    assert_eq!(world.counts().0, 0, "and nothing more was started");
}

fn asked(function: Option<&str>, from: u32, limit: usize) -> CallsAsked {
    let VersionKey {
        account, region, ..
    } = spec().key;
    CallsAsked {
        account,
        region,
        function: function.map(|name| name.parse().unwrap()),
        from,
        limit,
    }
}

/// Caller and callee by name.
fn edges(answer: &CallsAnswer) -> Vec<String> {
    let name = |arn: &str| arn.split(':').nth(6).unwrap().to_owned();
    let calls = answer.calls.iter();
    calls
        .map(|it| format!("{}-{}", name(&it.caller), name(&it.calls.function)))
        .collect()
}

#[tokio::test]
async fn the_graph_of_calls_is_told_in_pages() {
    let named = |name: &str, account: &str| {
        let mut spec = spec();
        spec.key.name = name.parse().unwrap();
        spec.key.account = account.parse().unwrap();
        Arc::new(spec)
    };
    let (own, other) = ("123456789012", "210987654321");
    let world = deciding(Some("pilot:node"), Duration::from_secs(600));
    let specs = ["a", "b", "c", "d"].map(|name| named(name, own));
    let foreign = ["a", "b"].map(|name| named(name, other));
    let declare = |caller: &Arc<FunctionSpec>, callee: &Arc<FunctionSpec>, part| {
        world.agent.declare(Declaration {
            caller: Arc::clone(caller),
            callee: Arc::clone(callee),
            part,
            after: Some(Duration::from_millis(300)),
        });
    };
    declare(&specs[0], &specs[1], 0.4);
    declare(&specs[0], &specs[2], 0.8);
    declare(&foreign[0], &foreign[1], 1.0);
    declare(&specs[1], &specs[2], 1.0);
    declare(&specs[3], &specs[0], 1.0);
    // The likeliest of a caller's first, and none of another account.
    let all = world.agent.calls(&asked(None, 0, 100));
    assert_eq!(edges(&all), ["a-c", "a-b", "b-c", "d-a"]);
    assert_eq!((all.policy.as_str(), all.next), ("pilot:node", None));
    let first = &all.calls[0].calls;
    assert!(
        first.declared && first.probability > first.fan_out * 0.5,
        "{first:?}"
    );
    assert_eq!((first.p50_ms, first.p90_ms, first.calls), (300, 300, 0));
    // A caller's calls are not parted, and what follows is in the pages behind.
    let mut pages = Vec::new();
    let mut from = 0;
    loop {
        let page = world.agent.calls(&asked(None, from, 1));
        pages.push(edges(&page));
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    pages.retain(|page| !page.is_empty());
    assert_eq!(pages, [vec!["a-c", "a-b"], vec!["b-c"], vec!["d-a"]]);
    let of = |name| edges(&world.agent.calls(&asked(Some(name), 0, 100)));
    assert_eq!(of("c"), ["a-c", "b-c"], "those that it gets");
    assert_eq!(of("a"), ["a-c", "a-b", "d-a"], "and those that it makes");
    world.agent.retire(&specs[2].key);
    assert_eq!(of("a"), ["a-b", "d-a"]);

    let world = deciding(None, Duration::from_secs(600));
    let none = world.agent.calls(&asked(None, 0, 100));
    assert_eq!(
        (none.calls, none.next),
        (Vec::new(), None),
        "it learns none"
    );
}
