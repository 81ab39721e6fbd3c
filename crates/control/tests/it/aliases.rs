//! Aliases: names for versions, which every qualifier may be.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;
use parking_lot::Mutex;
use pilotlight_control::Chance;
use pilotlight_model::node::{Directory, EventQueue};
use pilotlight_model::{Version, limits};
use serde_json::{Value, json};

use crate::events::{event, queue_is};
use crate::harness::{ARN, FUNCTIONS, Platform, Reply, caller, until};

const ALIASES: &str = "/2015-03-31/functions/f/aliases";

/// A platform whose function `f` has the versions 1 to 3.
pub(crate) async fn versions() -> Platform {
    let platform = Platform::open().await;
    publish(&platform).await;
    platform
}

async fn publish(platform: &Platform) {
    platform.active("f").await;
    for timeout in 11..=13 {
        let path = format!("{FUNCTIONS}/f/configuration");
        let change = json!({ "Timeout": timeout });
        platform.call(Method::PUT, &path, change).await;
        platform.settled("f").await;
        let path = format!("{FUNCTIONS}/f/versions");
        let version = platform.call(Method::POST, &path, Value::Null).await;
        assert_eq!(version.status, 201);
    }
}

async fn create(platform: &Platform, name: &str, version: &str, weights: Value) -> Reply {
    let mut body = json!({ "Name": name, "FunctionVersion": version });
    if !weights.is_null() {
        body["RoutingConfig"] = json!({ "AdditionalVersionWeights": weights });
    }
    platform.call(Method::POST, ALIASES, body).await
}

pub(crate) async fn created(
    platform: &Platform,
    name: &str,
    version: &str,
    weights: Value,
) -> Value {
    let reply = create(platform, name, version, weights).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.body
}

pub(crate) async fn update(platform: &Platform, name: &str, body: Value) -> Reply {
    let path = format!("{ALIASES}/{name}");
    platform.call(Method::PUT, &path, body).await
}

pub(crate) fn words(reply: &Reply) -> (u16, &str, &str) {
    let message = reply.body["message"]
        .as_str()
        .or(reply.body["Message"].as_str());
    (reply.status, &reply.kind, message.unwrap_or_default())
}

/// Which version an invocation of `f` gets now.
fn resolve(platform: &Platform, qualifier: &str) -> Option<Version> {
    let (caller, name) = (caller(), "f".parse().unwrap());
    let resolved =
        platform
            .control
            .resolve(&caller.account, &caller.region, &name, Some(qualifier));
    resolved.ok().map(|resolved| {
        assert_eq!(resolved.invoked_arn, format!("{ARN}f:{qualifier}"));
        resolved.spec.key.version
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_is_made_moved_and_deleted() {
    let platform = versions().await;
    let made = created(&platform, "live", "1", Value::Null).await;
    let revision = made["RevisionId"].clone();
    assert_eq!(
        made,
        json!({
            "AliasArn": format!("{ARN}f:live"), "Name": "live", "FunctionVersion": "1",
            "Description": "", "RevisionId": revision,
        })
    );
    assert_eq!(platform.get(&format!("{ALIASES}/live")).await.body, made);
    // By its own ARN too.
    let path = format!("{FUNCTIONS}/{ARN}f:live/aliases/live");
    assert_eq!(platform.get(&path).await.body, made);
    assert_eq!(resolve(&platform, "live"), Some(Version::Number(1)));

    let moved = json!({
        "FunctionVersion": "2", "Description": "d", "RevisionId": revision,
        "RoutingConfig": { "AdditionalVersionWeights": { "3": 0.25 } },
    });
    let moved = update(&platform, "live", moved).await;
    assert_eq!(moved.status, 200);
    assert_eq!(
        (
            &moved.body["FunctionVersion"],
            &moved.body["Description"],
            &moved.body["RoutingConfig"]
        ),
        (
            &json!("2"),
            &json!("d"),
            &json!({ "AdditionalVersionWeights": { "3": 0.25 } })
        )
    );
    let stale = update(&platform, "live", json!({ "RevisionId": revision })).await;
    assert_eq!(
        (stale.status, stale.kind.as_str()),
        (412, "PreconditionFailedException")
    );

    // What is not said stays; no weights take the second version away.
    let same = update(&platform, "live", json!({})).await;
    assert_eq!(same.body["RoutingConfig"], moved.body["RoutingConfig"]);
    assert_ne!(same.body["RevisionId"], moved.body["RevisionId"]);
    let plain = json!({ "RoutingConfig": { "AdditionalVersionWeights": {} } });
    let plain = update(&platform, "live", plain).await;
    assert_eq!(plain.body.get("RoutingConfig"), None);
    assert_eq!(resolve(&platform, "live"), Some(Version::Number(2)));

    // It is all there after a kill, and gone after a deletion, as often as it is deleted.
    let platform = platform.killed().await;
    assert_eq!(resolve(&platform, "live"), Some(Version::Number(2)));
    for _ in 0..2 {
        let path = format!("{ALIASES}/live");
        let gone = platform.delete(&path).await;
        assert_eq!(gone.status, 204);
        assert_eq!(resolve(&platform, "live"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_alias_cannot_be_is_refused_as_on_aws() {
    let platform = versions().await;
    let invalid = "InvalidParameterValueException";
    let missing = "ResourceNotFoundException";
    let not_found = |it: &str| format!("Function not found: {ARN}{it}");
    for (version, weights, status, kind, message) in [
        (
            "1",
            json!({ "1": 0.8, "2": 0.2 }),
            400,
            invalid,
            "Number of items in AdditionalVersionWeights cannot be greater than 1".to_owned(),
        ),
        (
            "1",
            json!({ "2": 2 }),
            400,
            "ValidationException",
            "1 validation error detected: Value '{2=2.0}' at 'routingConfig.additionalVersionWeights' \
             failed to satisfy constraint: Map value must satisfy constraint: [Member must have value \
             less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member \
             must not be null]"
                .to_owned(),
        ),
        (
            "1",
            json!({ "2": -1 }),
            400,
            "ValidationException",
            "1 validation error detected: Value '{2=-1.0}' at \
             'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map value must \
             satisfy constraint: [Member must have value less than or equal to 1.0, Member must have \
             value greater than or equal to 0.0, Member must not be null]"
                .to_owned(),
        ),
        (
            "1",
            json!({ "$LATEST": 0.5 }),
            400,
            "ValidationException",
            "1 validation error detected: Value '{$LATEST=0.5}' at \
             'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map keys must \
             satisfy constraint: [Member must have length less than or equal to 1024, Member must have \
             length greater than or equal to 1, Member must satisfy regular expression pattern: \
             [0-9]+, Member must not be null]"
                .to_owned(),
        ),
        (
            "1",
            json!({ "1": 0.5 }),
            400,
            invalid,
            "Invalid function version 1. Function version 1 is already included in routing \
             configuration."
                .to_owned(),
        ),
        (
            "$LATEST",
            json!({ "1": 0.5 }),
            400,
            invalid,
            "$LATEST is not supported for an alias pointing to more than 1 version".to_owned(),
        ),
        ("10", json!({ "2": 0.5 }), 404, missing, not_found("f:10")),
        ("1", json!({ "10": 0.5 }), 404, missing, not_found("f:10")),
        ("01", Value::Null, 404, missing, not_found("f:01")),
    ] {
        let refused = create(&platform, "custom", version, weights).await;
        assert_eq!(words(&refused), (status, kind, message.as_str()));
    }
    let elsewhere = format!("{FUNCTIONS}/nope/aliases");
    let body = json!({ "Name": "custom", "FunctionVersion": "1" });
    let refused = platform.call(Method::POST, &elsewhere, body).await;
    assert_eq!(
        words(&refused),
        (404, missing, not_found("nope:1").as_str())
    );
    let refused = create(&platform, "2024", "1", Value::Null).await;
    assert_eq!(
        words(&refused),
        (
            400,
            "ValidationException",
            "1 validation error detected: Value '2024' at 'name' failed to satisfy constraint: Member \
             must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"
        )
    );

    created(&platform, "custom", "1", json!({})).await;
    let twice = create(&platform, "custom", "1", Value::Null).await;
    let message = format!("Alias already exists: {ARN}f:custom");
    assert_eq!(
        words(&twice),
        (409, "ResourceConflictException", message.as_str())
    );
    let latest = update(&platform, "custom", json!({ "FunctionVersion": "$LATEST" })).await;
    assert_eq!(latest.body["FunctionVersion"], "$LATEST");
    let weights = json!({ "RoutingConfig": { "AdditionalVersionWeights": { "2": 0.5 } } });
    let refused = update(&platform, "custom", weights).await;
    // AWS's own body has no more.
    let message = "$LATEST is not supported for an alias pointing to more than 1 version";
    assert_eq!(
        (refused.status, refused.body),
        (400, json!({ "message": message }))
    );

    let unknown = platform.get(&format!("{ALIASES}/nope")).await;
    let message = format!("Cannot find alias arn: {ARN}f:nope");
    assert_eq!(words(&unknown), (404, missing, message.as_str()));
    let unknown = update(&platform, "nope", json!({})).await;
    let message = format!("Alias not found: {ARN}f:nope");
    assert_eq!(words(&unknown), (404, missing, message.as_str()));
    for (method, path) in [
        (Method::GET, "nope/aliases"),
        (Method::GET, "nope/aliases/a"),
        (Method::PUT, "nope/aliases/a"),
        (Method::DELETE, "nope/aliases/a"),
    ] {
        let path = format!("{FUNCTIONS}/{path}");
        let refused = platform.call(method, &path, Value::Null).await;
        assert_eq!(words(&refused), (404, missing, not_found("nope").as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aliases_are_listed_by_name_in_pages_and_by_version() {
    let platform = versions().await;
    created(&platform, "b", "1", json!({ "2": 0.5 })).await;
    created(&platform, "a", "1", Value::Null).await;
    created(&platform, "c", "2", Value::Null).await;
    let list = async |more: &str| {
        let (mut names, mut marker) = (Vec::new(), String::new());
        loop {
            let page = platform
                .get(&format!("{ALIASES}?MaxItems=1{more}{marker}"))
                .await;
            for alias in page.body["Aliases"].as_array().unwrap() {
                names.push(alias["Name"].as_str().unwrap().to_owned());
            }
            match page.body.get("NextMarker") {
                Some(next) => marker = format!("&Marker={}", next.as_str().unwrap()),
                None => return names,
            }
        }
    };
    assert_eq!(list("").await, ["a", "b", "c"]);
    assert_eq!(list("&FunctionVersion=1").await, ["a", "b"]);
    assert_eq!(list("&FunctionVersion=2").await, ["b", "c"]);
    assert_eq!(list("&FunctionVersion=3").await, [""; 0]);
    let wrong = platform.get(&format!("{ALIASES}?Marker=~")).await;
    assert_eq!(wrong.kind, "InvalidParameterValueException");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_has_so_many_aliases_and_no_more() {
    let platform = versions().await;
    for number in 0..limits::ALIASES {
        created(&platform, &format!("a{number}"), "1", Value::Null).await;
    }
    let refused = create(&platform, "more", "1", Value::Null).await;
    assert_eq!(
        (refused.status, refused.kind.as_str()),
        (400, "AliasLimitExceededException")
    );
    platform.delete(&format!("{ALIASES}/a0")).await;
    created(&platform, "more", "1", Value::Null).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_read_through_its_alias() {
    let platform = versions().await;
    created(&platform, "live", "2", json!({ "1": 1.0 })).await;
    for path in [
        format!("{FUNCTIONS}/f:live/configuration"),
        format!("{FUNCTIONS}/f/configuration?Qualifier=live"),
        format!("{FUNCTIONS}/{ARN}f:live/configuration"),
    ] {
        let found = platform.get(&path).await.body;
        assert_eq!(
            (&found["Version"], &found["FunctionArn"], &found["Timeout"]),
            (&json!("2"), &json!(format!("{ARN}f:live")), &json!(12))
        );
    }
    let nothing = platform.get(&format!("{FUNCTIONS}/f:nope")).await;
    let message = format!("Function not found: {ARN}f:nope");
    assert_eq!(
        words(&nothing),
        (404, "ResourceNotFoundException", message.as_str())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_an_alias_uses_stays() {
    let platform = versions().await;
    created(&platform, "live", "2", json!({ "1": 0.1 })).await;
    created(&platform, "beta", "2", Value::Null).await;
    let delete = async |qualifier: &str| {
        let path = format!("{FUNCTIONS}/f?Qualifier={qualifier}");
        platform.delete(&path).await
    };
    let refused = "Unable to delete version because the following aliases reference it:";
    for (version, aliases) in [("1", "[live]"), ("2", "[beta, live]")] {
        let message = format!("{refused} {aliases}");
        assert_eq!(
            words(&delete(version).await),
            (409, "ResourceConflictException", message.as_str())
        );
    }
    assert_eq!(delete("3").await.status, 204);
    assert_eq!(resolve(&platform, "beta"), Some(Version::Number(2)));

    // With its function an alias goes too, and does not come back with the next of that name.
    let path = format!("{FUNCTIONS}/f");
    platform.delete(&path).await;
    publish(&platform).await;
    assert_eq!(resolve(&platform, "live"), None);
    assert_eq!(platform.get(ALIASES).await.body["Aliases"], json!([]));
}

/// Gives the numbers that a test has put in, last first.
#[derive(Default)]
struct Loaded(Mutex<Vec<f64>>);

impl Chance for Loaded {
    fn draw(&self) -> f64 {
        self.0
            .lock()
            .pop()
            .expect("chance is asked only where there is a choice")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_of_an_event_is_chosen_at_each_attempt() {
    let chance = Arc::new(Loaded::default());
    let source = Arc::clone(&chance);
    let platform = Platform::open_with(|config| config.chance = source).await;
    publish(&platform).await;
    created(&platform, "live", "1", json!({ "2": 0.3 })).await;
    *chance.0.lock() = vec![0.3, 0.299];
    platform.node.invokes.lock().push_back(Ok(false));
    let mut given = event("f", "{}");
    given.qualifier = Some("live".to_owned());
    platform.control.enqueue(given).await.unwrap();
    let attempts = async |wanted: usize| {
        until(|| async { (platform.node.invoked.lock().len() == wanted).then_some(()) }).await;
    };
    attempts(1).await;
    until(|| async { (platform.control.metrics().events_retried.get() == 1).then_some(()) }).await;
    platform.clock.advance(std::time::Duration::from_secs(60));
    attempts(2).await;
    queue_is(&platform, 0).await;
    let invoked = platform.node.invoked.lock();
    let got: Vec<_> = invoked
        .iter()
        .map(|it| (it.spec.key.version, it.invoked_arn.clone()))
        .collect();
    let arn = format!("{ARN}f:live");
    assert_eq!(
        got,
        [(Version::Number(2), arn.clone()), (Version::Number(1), arn)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_invocations_are_split_by_weight() {
    let platform = versions().await;
    created(&platform, "live", "1", json!({ "2": 0.2 })).await;
    let mut counts = HashMap::new();
    for _ in 0..10_000 {
        *counts
            .entry(resolve(&platform, "live").unwrap())
            .or_insert(0_u32) += 1;
    }
    // 2,000 with a deviation of 40. Beyond seven of them: less than once in 10^11 runs by chance alone.
    let second = counts[&Version::Number(2)];
    assert!(second.abs_diff(2_000) < 280, "{counts:?}");
    assert_eq!(counts[&Version::Number(1)] + second, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_requests_move_to_is_made_ready_before_they_do() {
    let platform = versions().await;
    created(&platform, "live", "1", Value::Null).await;
    let told = || -> Vec<(String, String, f64, f64)> {
        let shifts = std::mem::take(&mut *platform.node.shifts.lock());
        let rounded = |number: f64| (number * 1e3).round() / 1e3;
        let told = shifts.into_iter().map(|it| {
            let version = |spec: &pilotlight_model::FunctionSpec| spec.key.version.to_string();
            let (part, share) = (rounded(it.part), rounded(it.share));
            (version(&it.from), version(&it.to), part, share)
        });
        told.collect()
    };
    let weights =
        |weights: Value| json!({ "RoutingConfig": { "AdditionalVersionWeights": weights } });
    let (one, two) = ("1".to_owned(), "2".to_owned());

    // Nothing moves before the node has done its part.
    platform.node.hold();
    let (updated, ()) = tokio::join!(
        update(&platform, "live", weights(json!({ "2": 1.0 }))),
        async {
            until(|| async { (!platform.node.shifts.lock().is_empty()).then_some(()) }).await;
            assert_eq!(resolve(&platform, "live"), Some(Version::Number(1)));
            platform.node.release();
        }
    );
    assert_eq!(updated.status, 200, "{}", updated.body);
    assert_eq!(resolve(&platform, "live"), Some(Version::Number(2)));
    assert_eq!(told(), [(one.clone(), two.clone(), 1.0, 1.0)]);

    // Back, by steps; a description moves nothing, nor does what is refused.
    update(&platform, "live", weights(json!({ "2": 0.5 }))).await;
    assert_eq!(told(), [(two.clone(), one.clone(), 0.5, 0.5)]);
    update(&platform, "live", json!({ "Description": "d" })).await;
    update(&platform, "live", weights(json!({ "9": 0.5 }))).await;
    update(&platform, "live", json!({ "FunctionVersion": "9" })).await;
    assert_eq!(told(), []);
    update(&platform, "live", weights(json!({}))).await;
    assert_eq!(told(), [(two, one, 1.0, 1.0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_takes_long_keeps_no_alias_from_changing() {
    let platform = Platform::open_with(|config| {
        config.shift_patience = std::time::Duration::from_millis(20);
    })
    .await;
    publish(&platform).await;
    created(&platform, "live", "1", Value::Null).await;
    platform.node.hold();
    let updated = update(&platform, "live", json!({ "FunctionVersion": "2" })).await;
    assert_eq!(updated.status, 200, "{}", updated.body);
    assert_eq!(resolve(&platform, "live"), Some(Version::Number(2)));
    assert_eq!(platform.node.shifts.lock().len(), 1);
    platform.node.release();
}
