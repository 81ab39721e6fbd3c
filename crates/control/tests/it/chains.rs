//! Chains: declared, kept, told to the node as long as they hold, and taken back.

use http::Method;
use pilotlight_model::VersionKey;
use serde_json::{Value, json};

use crate::aliases::{created, update, versions};
use crate::harness::{ARN, Platform, Reply, until};

const CHAINS: &str = "/pilotlight/v1/chains";

/// `f` calls what stands for `G`, and that calls `h` half a minute later, every other time.
fn definition() -> Value {
    json!({
        "StartAt": "F",
        "States": {
            "F": { "Type": "Task", "Resource": format!("{ARN}f"), "Next": "G" },
            "G": {
                "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": { "FunctionName": "${G}" }, "Next": "Wait",
            },
            "Wait": { "Type": "Wait", "Seconds": 30, "Next": "Choose" },
            "Choose": { "Type": "Choice", "Choices": [{ "Next": "H" }], "Default": "Done" },
            "H": { "Type": "Task", "Resource": format!("{ARN}h"), "End": true },
            "Done": { "Type": "Succeed" },
        },
    })
}

async fn put(platform: &Platform, name: &str, callee: &str) -> Reply {
    let body = json!({ "Definition": definition(), "Substitutions": { "G": callee } });
    platform
        .call(Method::PUT, &format!("{CHAINS}/{name}"), body)
        .await
}

/// What the node has been told since the last time, once it is so much: caller, callee and part.
async fn declared(platform: &Platform, count: usize) -> Vec<(String, String, f64)> {
    until(|| async { (platform.node.declared.lock().len() >= count).then_some(()) }).await;
    let told = std::mem::take(&mut *platform.node.declared.lock());
    let short = |key: &VersionKey| format!("{}:{}", key.name, key.version);
    let mut told: Vec<_> = told
        .iter()
        .map(|it| (short(&it.caller.key), short(&it.callee.key), it.part))
        .collect();
    told.sort_by(|one, other| one.0.cmp(&other.0).then(one.1.cmp(&other.1)));
    told
}

fn link(caller: &str, callee: &str, part: f64) -> (String, String, f64) {
    (caller.to_owned(), callee.to_owned(), part)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_told_while_it_is_declared() {
    let platform = Platform::open().await;
    for name in ["f", "g", "h"] {
        platform.active(name).await;
    }
    let made = put(&platform, "orders", "g").await;
    assert_eq!(made.status, 200, "{}", made.body);
    let calls = json!([
        { "Caller": "g", "Callee": format!("{ARN}h"), "Part": 0.5, "Waits": 30.0 },
        { "Caller": format!("{ARN}f"), "Callee": "g", "Part": 1.0, "Waits": 0.0 },
    ]);
    let mut told = made.body["Calls"].as_array().unwrap().clone();
    told.sort_by_key(|call| std::cmp::Reverse(call["Caller"].to_string()));
    assert_eq!(json!(told), calls);
    let both = [
        link("f:$LATEST", "g:$LATEST", 1.0),
        link("g:$LATEST", "h:$LATEST", 0.5),
    ];
    assert_eq!(declared(&platform, 2).await, both);
    // A node that begins anew knows of nothing.
    let again = platform.killed().await;
    assert_eq!(declared(&again, 2).await, both);
    let list = again.get(CHAINS).await.body;
    assert_eq!(list["Chains"][0]["Name"], "orders");
    let gone = again
        .call(Method::DELETE, &format!("{CHAINS}/orders"), Value::Null)
        .await;
    assert_eq!(gone.status, 200);
    let none = [
        link("f:$LATEST", "g:$LATEST", 0.0),
        link("g:$LATEST", "h:$LATEST", 0.0),
    ];
    assert_eq!(declared(&again, 2).await, none);
    assert_eq!(again.get(CHAINS).await.body, json!({ "Chains": [] }));
    let gone = again
        .call(Method::DELETE, &format!("{CHAINS}/orders"), Value::Null)
        .await;
    assert_eq!(
        (gone.status, gone.kind.as_str()),
        (404, "ResourceNotFoundException")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_follows_what_its_names_mean() {
    let platform = versions().await;
    created(&platform, "live", "1", Value::Null).await;
    let body = json!({
        "StartAt": "F",
        "States": {
            "F": { "Type": "Task", "Resource": format!("{ARN}f:live"), "Next": "G" },
            "G": { "Type": "Task", "Resource": format!("{ARN}g"), "End": true },
        },
    });
    let path = format!("{CHAINS}/late");
    let made = platform
        .call(Method::PUT, &path, json!({ "Definition": body }))
        .await;
    assert_eq!(made.status, 200, "{}", made.body);
    // Nothing calls what is not there.
    platform.active("g").await;
    assert_eq!(
        declared(&platform, 1).await,
        [link("f:1", "g:$LATEST", 1.0)]
    );
    update(&platform, "live", json!({ "FunctionVersion": "2" })).await;
    let moved = [link("f:1", "g:$LATEST", 0.0), link("f:2", "g:$LATEST", 1.0)];
    assert_eq!(declared(&platform, 2).await, moved);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_chain_is_refused() {
    let platform = Platform::open().await;
    let refused = |reply: Reply| {
        let message = reply.body["message"]
            .as_str()
            .or(reply.body["Message"].as_str());
        assert_eq!(
            (reply.status, reply.kind.as_str()),
            (400, "InvalidParameterValueException")
        );
        message.unwrap_or_default().to_owned()
    };
    let path = format!("{CHAINS}/c");
    let said = refused(
        platform
            .call(Method::PUT, &path, json!({ "Definition": {} }))
            .await,
    );
    assert_eq!(said, "Invalid definition: a state machine has no StartAt.");
    let alone = json!({ "StartAt": "A", "States": { "A": { "Type": "Pass", "End": true } } });
    let said = refused(
        platform
            .call(Method::PUT, &path, json!({ "Definition": alone }))
            .await,
    );
    assert!(said.starts_with("No function of the definition"), "{said}");
    let said = refused(
        platform
            .call(Method::PUT, &path, json!({ "Defined": alone }))
            .await,
    );
    assert!(said.starts_with("Invalid chain: unknown field"), "{said}");
    let said = refused(put(&platform, "a%20b", "g").await);
    assert!(said.starts_with("The name of a chain"), "{said}");
    for number in 0..100 {
        assert_eq!(put(&platform, &format!("c{number}"), "g").await.status, 200);
    }
    assert_eq!(
        put(&platform, "c0", "h").await.status,
        200,
        "it is there already"
    );
    let said = refused(put(&platform, "c100", "g").await);
    assert!(said.starts_with("There are 100 chains"), "{said}");
}
