//! Small operations: settings that are kept beside a function's own, and what is out of scope.

use http::Method;
use pilotlight_model::node::EventQueue;
use pilotlight_model::{Version, VersionKey, lineage};
use serde_json::{Value, json};

use crate::events::{event, queue_is};
use crate::harness::{ARN, FUNCTIONS, Platform};

#[tokio::test(flavor = "multi_thread")]
async fn recursion_is_ended_unless_it_is_allowed() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let path = "/2024-08-31/functions/f/recursion-config";
    assert_eq!(
        platform.get(path).await.body,
        json!({ "RecursiveLoop": "Terminate" })
    );
    let revision = platform.configuration("f").await["RevisionId"].clone();
    let allow = json!({ "RecursiveLoop": "Allow" });
    let set = platform.call(Method::PUT, path, allow.clone()).await;
    assert_eq!((set.status, &set.body), (200, &allow));
    assert_eq!(platform.configuration("f").await["RevisionId"], revision);
    let platform = platform.killed().await;
    assert_eq!(platform.get(path).await.body, allow);
    let wrong = json!({ "RecursiveLoop": "invalidValue" });
    let refused = platform.call(Method::PUT, path, wrong).await;
    assert_eq!(
        (refused.kind.as_str(), &refused.body["message"]),
        (
            "ValidationException",
            &json!(
                "1 validation error detected: Value 'invalidValue' at 'recursiveLoop' failed to satisfy \
                 constraint: Member must satisfy enum value set: [Terminate, Allow]"
            )
        )
    );
    let missing = platform
        .get("/2024-08-31/functions/nope/recursion-config")
        .await;
    assert_eq!(
        missing.body["Message"],
        format!("Function not found: {ARN}nope")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_of_the_runtime_are_set_for_each_version() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let version = format!("{FUNCTIONS}/f/versions");
    platform.call(Method::POST, &version, Value::Null).await;
    let path = "/2021-07-20/functions/f/runtime-management-config";
    let auto = json!({ "UpdateRuntimeOn": "Auto", "FunctionArn": format!("{ARN}f:$LATEST") });
    assert_eq!(platform.get(path).await.body, auto);
    let manual = json!({ "UpdateRuntimeOn": "Manual" });
    assert_eq!(platform.call(Method::PUT, path, manual).await.status, 400);
    let here =
        platform.configuration("f").await["RuntimeVersionConfig"]["RuntimeVersionArn"].clone();
    let manual = json!({ "UpdateRuntimeOn": "Manual", "RuntimeVersionArn": here });
    let set = platform
        .call(Method::PUT, &format!("{path}?Qualifier=1"), manual)
        .await;
    let expected = json!({
        "UpdateRuntimeOn": "Manual", "FunctionArn": format!("{ARN}f:1"), "RuntimeVersionArn": here,
    });
    assert_eq!((set.status, &set.body), (200, &expected));
    let other = json!({
        "UpdateRuntimeOn": "Manual", "RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:other",
    });
    assert_eq!(
        platform.call(Method::PUT, path, other).await.kind,
        "InvalidParameterValueException"
    );
    let stray = json!({ "UpdateRuntimeOn": "Auto", "RuntimeVersionArn": here });
    assert_eq!(
        platform.call(Method::PUT, path, stray).await.kind,
        "InvalidParameterValueException"
    );
    let platform = platform.killed().await;
    assert_eq!(
        platform.get(&format!("{path}?Qualifier=1")).await.body,
        expected
    );
    assert_eq!(platform.get(path).await.body, auto);
    assert_eq!(
        platform.get(&format!("{path}?Qualifier=2")).await.status,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn event_source_mappings_are_not_here() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let path = "/2015-03-31/event-source-mappings";
    let none = platform.get(&format!("{path}?FunctionName=f")).await;
    assert_eq!(
        (none.status, none.body),
        (200, json!({ "EventSourceMappings": [] }))
    );
    let queue = "arn:aws:sqs:us-east-1:123456789012:q";
    for (make, message) in [
        (
            json!({ "FunctionName": "f", "EventSourceArn": queue }),
            "Event source mappings are not available on this platform yet.",
        ),
        (
            json!({ "FunctionName": "absent", "EventSourceArn": queue }),
            "Function does not exist",
        ),
        (
            json!({ "FunctionName": "absent" }),
            "Unrecognized event source.",
        ),
    ] {
        let refused = platform.call(Method::POST, path, make).await;
        assert_eq!(
            (refused.status, refused.kind.as_str()),
            (400, "InvalidParameterValueException")
        );
        assert_eq!(refused.body["message"], message);
    }
    let one = platform
        .get(&format!("{path}/0c05a4ab-8c5c-4bd3-a1f6-0f4f8f3e2c2d"))
        .await;
    assert_eq!(
        (one.status, &one.body["Message"]),
        (404, &json!("The resource you requested does not exist."))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_goes_on_where_it_is_allowed() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let mut looping = event("f", "{}");
    let version = VersionKey {
        account: looping.account.clone(),
        region: looping.region.clone(),
        name: looping.name.clone(),
        version: Version::Latest,
    };
    for _ in 0..=lineage::LOOPS {
        looping.trace_id = lineage::arrive(&looping.trace_id, &version).header;
    }
    platform.control.enqueue(looping.clone()).await.unwrap();
    queue_is(&platform, 0).await;
    assert_eq!(platform.node.invoked.lock().len(), 0);
    let path = "/2024-08-31/functions/f/recursion-config";
    let allow = json!({ "RecursiveLoop": "Allow" });
    platform.call(Method::PUT, path, allow).await;
    platform.control.enqueue(looping).await.unwrap();
    queue_is(&platform, 0).await;
    assert_eq!(platform.node.invoked.lock().len(), 1);
}
