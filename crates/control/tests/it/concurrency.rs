//! Concurrency that functions reserve: the operations, their limits, and what invocations may draw on.

use http::Method;
use pilotlight_model::concurrency::Share;
use pilotlight_model::node::Directory;
use serde_json::{Value, json};

use crate::harness::{ARN, Platform, Reply, caller};

const PUT: &str = "/2017-10-31/functions";
const GET: &str = "/2019-09-30/functions";

async fn put(platform: &Platform, name: &str, reserved: u32) -> Reply {
    let body = json!({ "ReservedConcurrentExecutions": reserved });
    let path = format!("{PUT}/{name}/concurrency");
    platform.call(Method::PUT, &path, body).await
}

async fn get(platform: &Platform, name: &str) -> Reply {
    let path = format!("{GET}/{name}/concurrency");
    platform.call(Method::GET, &path, Value::Null).await
}

async fn delete(platform: &Platform, name: &str) -> Reply {
    let path = format!("{PUT}/{name}/concurrency");
    platform.delete(&path).await
}

async fn unreserved(platform: &Platform) -> Value {
    let settings = platform
        .call(Method::GET, "/2016-08-19/account-settings", Value::Null)
        .await;
    settings.body["AccountLimit"]["UnreservedConcurrentExecutions"].clone()
}

fn share(platform: &Platform, name: &str) -> Share {
    let caller = caller();
    let name = name.parse().unwrap();
    let resolved = platform
        .control
        .resolve(&caller.account, &caller.region, &name, None);
    resolved.unwrap().share
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_is_kept_shown_and_given_up() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform.active("g").await;
    assert_eq!(get(&platform, "f").await.body, json!({}));
    let answer = put(&platform, "f", 7).await;
    assert_eq!(
        (answer.status, answer.body),
        (200, json!({ "ReservedConcurrentExecutions": 7 }))
    );
    assert_eq!(
        get(&platform, "f").await.body,
        json!({ "ReservedConcurrentExecutions": 7 })
    );
    let whole = platform
        .call(Method::GET, "/2015-03-31/functions/f", Value::Null)
        .await;
    assert_eq!(
        whole.body["Concurrency"],
        json!({ "ReservedConcurrentExecutions": 7 })
    );
    assert_eq!(unreserved(&platform).await, 993);
    let (f, g) = (share(&platform, "f"), share(&platform, "g"));
    assert_eq!((f.reserved, f.unreserved), (Some(7), 993));
    assert_eq!((g.reserved, g.unreserved), (None, 993));

    let killed = platform.killed().await;
    assert_eq!(share(&killed, "f"), f);
    assert_eq!(unreserved(&killed).await, 993);

    let answer = delete(&platform, "f").await;
    assert_eq!((answer.status, answer.body), (204, Value::Null));
    assert_eq!(get(&platform, "f").await.body, json!({}));
    assert_eq!(share(&platform, "f").reserved, None);
    assert_eq!(unreserved(&platform).await, 1000);
    assert_eq!(delete(&platform, "f").await.status, 204, "repeatable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_stay_for_those_that_reserve_nothing() {
    let platform = Platform::open().await;
    for name in ["f", "g", "h"] {
        platform.active(name).await;
    }
    assert_eq!(put(&platform, "f", 500).await.status, 200);
    assert_eq!(put(&platform, "g", 400).await.status, 200);
    for (name, more) in [("h", 1), ("g", 401), ("f", 1_001)] {
        let refused = put(&platform, name, more).await;
        assert_eq!(
            (refused.status, refused.kind.as_str()),
            (400, "InvalidParameterValueException")
        );
        // Without a type, as AWS has it.
        assert_eq!(
            refused.body,
            json!({
                "message": "Specified ReservedConcurrentExecutions for function decreases account's \
                            UnreservedConcurrentExecution below its minimum value of [100]."
            })
        );
    }
    // What it had does not count twice, and nothing can always be had.
    assert_eq!(put(&platform, "f", 499).await.status, 200);
    assert_eq!(put(&platform, "h", 0).await.status, 200);
    assert_eq!(share(&platform, "h").reserved, Some(0));
    // A function that is deleted gives back what it had.
    platform.delete("/2015-03-31/functions/g").await;
    assert_eq!(unreserved(&platform).await, 501);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_functions_reserve() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let refused = put(&platform, "f:$LATEST", 0).await;
    assert_eq!(
        (refused.status, refused.kind.as_str()),
        (400, "InvalidParameterValueException")
    );
    assert_eq!(
        refused.body["message"],
        "This operation is permitted on Lambda functions only. Aliases and versions do not support this \
         operation. Please specify either a function name or an unqualified function ARN."
    );
    let missing = put(&platform, "absent", 1).await;
    assert_eq!(
        (missing.status, missing.kind.as_str()),
        (404, "ResourceNotFoundException")
    );
    assert_eq!(
        missing.body["Message"],
        format!("Function not found: {ARN}absent:$LATEST")
    );
    assert_eq!(
        get(&platform, "absent").await.body["Message"],
        format!("Function not found: {ARN}absent")
    );
    assert_eq!(delete(&platform, "absent").await.status, 404);
    let negative = platform
        .call(
            Method::PUT,
            &format!("{PUT}/f/concurrency"),
            json!({ "ReservedConcurrentExecutions": -1 }),
        )
        .await;
    assert_eq!(negative.kind, "ValidationException");
}
