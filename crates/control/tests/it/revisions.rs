//! `RevisionId`: what changes it, and of what, as recorded from AWS.

use http::Method;
use serde_json::{Value, json};

use crate::harness::{ARN, FUNCTIONS, Platform, inline};

async fn of(platform: &Platform, qualifier: &str) -> Value {
    let path = format!("{FUNCTIONS}/f/configuration?Qualifier={qualifier}");
    platform.get(&path).await.body["RevisionId"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_a_function_changes_its_revision_and_no_other() {
    let platform = Platform::open().await;
    let created = platform.create("f").await.body["RevisionId"].clone();
    platform.settled("f").await;
    let mut latest = of(&platform, "$LATEST").await;
    assert_ne!(latest, created, "it has become active");

    // Publishing is a change of `$LATEST`; becoming active is none of a version that is at once.
    let versions = format!("{FUNCTIONS}/f/versions");
    let known = json!({ "RevisionId": latest });
    let version = platform.call(Method::POST, &versions, known).await;
    assert_eq!(version.status, 201, "{}", version.body);
    let first = version.body["RevisionId"].clone();
    assert_eq!(of(&platform, "1").await, first);
    let published = of(&platform, "$LATEST").await;
    assert!(published != latest && published != first);
    // What has not changed is not published, and so changes nothing.
    platform.call(Method::POST, &versions, Value::Null).await;
    assert_eq!(of(&platform, "$LATEST").await, published);
    latest = published;

    // An alias has a revision of its own.
    let alias = json!({ "Name": "live", "FunctionVersion": "1" });
    let aliases = format!("{FUNCTIONS}/f/aliases");
    platform.call(Method::POST, &aliases, alias).await;
    assert_eq!(
        (of(&platform, "$LATEST").await, of(&platform, "1").await),
        (latest.clone(), first.clone())
    );
    assert_eq!(of(&platform, "live").await, first, "that of the version");

    // Tags are the function's, although no version holds them.
    let tags = format!("/2017-03-31/tags/{ARN}f");
    let tag = platform
        .call(Method::POST, &tags, json!({ "Tags": { "a": "b" } }))
        .await;
    let untag = format!("{tags}?tagKeys=a");
    assert_eq!(tag.status, 204);
    let tagged = of(&platform, "$LATEST").await;
    assert_ne!(tagged, latest);
    platform.delete(&untag).await;
    assert_ne!(of(&platform, "$LATEST").await, tagged);
    assert_eq!(of(&platform, "1").await, first);

    let code = json!({ "ZipFile": inline("other"), "RevisionId": of(&platform, "$LATEST").await });
    let updated = platform
        .call(Method::PUT, &format!("{FUNCTIONS}/f/code"), code)
        .await;
    assert_eq!(updated.status, 200, "{}", updated.body);
    platform.settled("f").await;
    assert_ne!(of(&platform, "$LATEST").await, updated.body["RevisionId"]);
    assert_eq!(of(&platform, "1").await, first);
}
