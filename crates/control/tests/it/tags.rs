//! Tags, and the one that means something to the platform.

use std::time::Duration;

use http::Method;
use pilotlight_model::node::Directory;
use serde_json::{Value, json};

use crate::harness::{ARN, FUNCTIONS, Platform, caller, until};

const TAGS: &str = "/2017-03-31/tags";

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_added_replaced_and_removed() {
    let platform = Platform::open().await;
    platform
        .create_with("f", |body| body["Tags"] = json!({ "a": "1", "b": "2" }))
        .await;
    let path = format!("{TAGS}/{}", format!("{ARN}f").replace(':', "%3A"));
    let reply = platform
        .call(
            Method::POST,
            &path,
            json!({ "Tags": { "b": "3", "c d": "4" } }),
        )
        .await;
    assert_eq!((reply.status, reply.body), (204, Value::Null));
    let all = json!({ "a": "1", "b": "3", "c d": "4" });
    assert_eq!(platform.get(&path).await.body, json!({ "Tags": all }));
    assert_eq!(
        platform.get(&format!("{FUNCTIONS}/f")).await.body["Tags"],
        all
    );
    let removed = platform
        .delete(&format!("{path}?tagKeys=a&tagKeys=c%20d"))
        .await;
    assert_eq!(removed.status, 204);
    assert_eq!(
        platform.get(&path).await.body,
        json!({ "Tags": { "b": "3" } })
    );
    assert_eq!(
        platform.killed().await.get(&path).await.body,
        json!({ "Tags": { "b": "3" } })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_that_cannot_be() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let path = format!("{TAGS}/{ARN}f");
    let many: serde_json::Map<String, Value> = (0..51)
        .map(|number| (format!("t{number}"), json!("")))
        .collect();
    for tags in [
        json!({ "aws:x": "1" }),
        json!({ "pilotlight:keep-alive": "soon" }),
        json!({ "pilotlight:keep-alive": "-1" }),
        json!({ "": "x" }),
        Value::Object(many),
    ] {
        let reply = platform
            .call(Method::POST, &path, json!({ "Tags": tags }))
            .await;
        assert_eq!(
            (reply.status, reply.kind.as_str()),
            (400, "InvalidParameterValueException")
        );
    }
    assert_eq!(platform.get(&path).await.body, json!({ "Tags": {} }));
    assert_eq!(platform.get(&format!("{TAGS}/{ARN}nope")).await.status, 404);
    let malformed = platform.get(&format!("{TAGS}/f")).await;
    assert_eq!(malformed.kind, "ValidationException");
}

#[tokio::test(flavor = "multi_thread")]
async fn keep_alive_reaches_invocations_as_a_new_revision() {
    let platform = Platform::open().await;
    platform
        .create_with("f", |body| {
            body["Tags"] = json!({ "pilotlight:keep-alive": "30" })
        })
        .await;
    platform.settled("f").await;
    let serving = || {
        let found = platform.control.resolve(
            &caller().account,
            &caller().region,
            &"f".parse().unwrap(),
            None,
        );
        found.unwrap().spec
    };
    let first = serving();
    assert_eq!(first.keep_alive, Some(Duration::from_secs(30)));
    let path = format!("{TAGS}/{ARN}f");
    platform
        .call(Method::POST, &path, json!({ "Tags": { "colour": "red" } }))
        .await;
    assert_eq!(serving().revision, first.revision);
    platform
        .call(
            Method::POST,
            &path,
            json!({ "Tags": { "pilotlight:keep-alive": "0" } }),
        )
        .await;
    let second = serving();
    assert_eq!(second.keep_alive, Some(Duration::ZERO));
    assert!(second.revision > first.revision);
    // Without it the function would have no template until a cold start misses it.
    until(async || {
        let prepared = platform.node.prepared.lock().last().cloned();
        prepared.filter(|it| it.revision == second.revision)
    })
    .await;
    let removed = format!("{path}?tagKeys=pilotlight:keep-alive");
    platform.delete(&removed).await;
    assert_eq!(serving().keep_alive, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn keep_alive_changed_during_an_update_is_in_the_updated_function() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform.node.hold();
    let path = format!("{FUNCTIONS}/f/configuration");
    platform
        .call(Method::PUT, &path, json!({ "Timeout": 7 }))
        .await;
    let tags = format!("{TAGS}/{ARN}f");
    platform
        .call(
            Method::POST,
            &tags,
            json!({ "Tags": { "pilotlight:keep-alive": "5" } }),
        )
        .await;
    let meanwhile = platform.control.resolve(
        &caller().account,
        &caller().region,
        &"f".parse().unwrap(),
        None,
    );
    let meanwhile = meanwhile.unwrap().spec;
    assert_eq!(
        (meanwhile.timeout.as_secs(), meanwhile.keep_alive),
        (3, Some(Duration::from_secs(5)))
    );
    platform.node.release();
    platform.settled("f").await;
    let found = platform.control.resolve(
        &caller().account,
        &caller().region,
        &"f".parse().unwrap(),
        None,
    );
    let spec = found.unwrap().spec;
    assert_eq!(
        (spec.timeout.as_secs(), spec.keep_alive),
        (7, Some(Duration::from_secs(5)))
    );
    assert!(spec.revision > meanwhile.revision);
}
