//! Settings of asynchronous invocations and dead-letter targets, against what AWS was recorded to answer.

use http::Method;
use serde_json::{Value, json};

use crate::harness::{ARN, FUNCTIONS, Platform, Reply};

const MISSING: &str = "The function doesn't exist.";

async fn call(platform: &Platform, method: Method, function: &str, body: Value) -> Reply {
    let (name, query) = function.split_once('?').unwrap_or((function, ""));
    let path = format!("/2019-09-25/functions/{name}/event-invoke-config?{query}");
    platform.call(method, &path, body).await
}

async fn put(platform: &Platform, function: &str, body: Value) -> Value {
    let reply = call(platform, Method::PUT, function, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body
}

async fn list(platform: &Platform, query: &str) -> Reply {
    let path = format!("/2019-09-25/functions/{query}");
    platform.get(&path).await
}

fn refused(reply: &Reply, status: u16, kind: &str, message: &str) {
    let given = reply.body.get("Message").or(reply.body.get("message"));
    assert_eq!(
        (reply.status, reply.kind.as_str(), given),
        (status, kind, Some(&json!(message)))
    );
}

async fn platform() -> Platform {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform.active("g").await;
    platform
}

#[tokio::test(flavor = "multi_thread")]
async fn put_overwrites_and_update_changes() {
    let platform = platform().await;
    let mut put_first = put(
        &platform,
        "f",
        json!({ "MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60 }),
    )
    .await;
    assert!(put_first["LastModified"].take().as_f64().unwrap() > 1.7e9);
    assert_eq!(
        put_first,
        json!({
            "LastModified": null,
            "FunctionArn": format!("{ARN}f:$LATEST"),
            "MaximumRetryAttempts": 2,
            "MaximumEventAgeInSeconds": 60,
            "DestinationConfig": { "OnSuccess": {}, "OnFailure": {} },
        })
    );
    let none = json!({ "MaximumRetryAttempts": 0 });
    let over = put(&platform, "f?Qualifier=$LATEST", none.clone()).await;
    assert_eq!(over.get("MaximumEventAgeInSeconds"), None);

    let destination = format!("{ARN}g");
    let both = json!({
        "MaximumEventAgeInSeconds": 60,
        "DestinationConfig": { "OnSuccess": { "Destination": destination } },
    });
    put(&platform, "f", both).await;
    let updated = call(&platform, Method::POST, "f", none).await.body;
    assert_eq!(updated["MaximumRetryAttempts"], 0);
    assert_eq!(updated["MaximumEventAgeInSeconds"], 60);
    let shown = json!({ "OnSuccess": { "Destination": destination }, "OnFailure": {} });
    assert_eq!(updated["DestinationConfig"], shown);
    let got = call(&platform, Method::GET, "f:$LATEST", Value::Null).await;
    assert_eq!(got.body, updated);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_qualifier_has_its_own_and_they_are_listed_in_pages() {
    let platform = platform().await;
    let version = platform
        .call(
            Method::POST,
            &format!("{FUNCTIONS}/f/versions"),
            Value::Null,
        )
        .await;
    assert_eq!(version.body["Version"], "1");
    let retries = |number: u32| json!({ "MaximumRetryAttempts": number });
    put(&platform, "f", retries(0)).await;
    let of_version = put(&platform, "f:1", retries(1)).await;
    assert_eq!(of_version["FunctionArn"], format!("{ARN}f:1"));

    let all = list(&platform, "f/event-invoke-config/list").await.body;
    let configs = &all["FunctionEventInvokeConfigs"];
    assert_eq!(configs.as_array().unwrap().len(), 2);
    assert_eq!(all.get("NextMarker"), None);
    let first = list(&platform, "f/event-invoke-config/list?MaxItems=1")
        .await
        .body;
    assert_eq!(first["FunctionEventInvokeConfigs"][0], configs[0]);
    let marker = first["NextMarker"].as_str().unwrap();
    let query = format!("f/event-invoke-config/list?MaxItems=1&Marker={marker}");
    let second = list(&platform, &query).await.body;
    assert_eq!(second["FunctionEventInvokeConfigs"], json!([configs[1]]));

    // A version takes its own along when it goes, and the function all.
    let path = format!("{FUNCTIONS}/f?Qualifier=1");
    assert_eq!(platform.delete(&path).await.status, 204);
    let left = list(&platform, "f/event-invoke-config/list").await.body;
    assert_eq!(
        left["FunctionEventInvokeConfigs"].as_array().unwrap().len(),
        1
    );
    let deleted = call(&platform, Method::DELETE, "f", Value::Null).await;
    assert_eq!((deleted.status, deleted.body), (204, Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_worded_as_aws_does() {
    let platform = platform().await;
    let retries = json!({ "MaximumRetryAttempts": 1 });
    let missing = "ResourceNotFoundException";
    for name in ["none", "f:none", "f:7"] {
        let reply = call(&platform, Method::PUT, name, retries.clone()).await;
        refused(&reply, 404, missing, MISSING);
    }
    let reply = call(&platform, Method::POST, "none", retries.clone()).await;
    refused(&reply, 404, missing, MISSING);
    refused(
        &list(&platform, "none/event-invoke-config/list").await,
        404,
        missing,
        MISSING,
    );
    for (method, name, qualified) in [
        (Method::GET, "none", "none:$LATEST"),
        (Method::DELETE, "none", "none:$LATEST"),
        (Method::GET, "f:live", "f:live"),
        (Method::POST, "f", "f:$LATEST"),
    ] {
        let body = match method {
            Method::POST => retries.clone(),
            _ => Value::Null,
        };
        let reply = call(&platform, method, name, body).await;
        let words = format!("The function {ARN}{qualified} doesn't have an EventInvokeConfig");
        refused(&reply, 404, missing, &words);
    }
    let reply = call(&platform, Method::PUT, "f:1?Qualifier=2", retries).await;
    refused(
        &reply,
        400,
        "InvalidParameterValueException",
        "The derived qualifier from the function name does not match the specified qualifier.",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_set_is_worded_as_aws_does() {
    let platform = platform().await;
    let invalid = "InvalidParameterValueException";
    let reply = call(&platform, Method::PUT, "none", json!({})).await;
    refused(
        &reply,
        400,
        invalid,
        "You must specify at least one of error handling or destination setting.",
    );
    let iam = format!("{ARN}f").replace(":lambda:", ":iam:");
    for (destination, words) in [
        (
            format!("{ARN}f"),
            "You can't specify the function as a destination for itself.".to_owned(),
        ),
        (
            format!("{ARN}none"),
            format!("The destination ARN {ARN}none is invalid."),
        ),
        (
            iam.clone(),
            format!(
                "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination={iam}), \
                 onFailure=null) is invalid."
            ),
        ),
    ] {
        let body = json!({ "DestinationConfig": { "OnSuccess": { "Destination": destination } } });
        let reply = call(&platform, Method::PUT, "f", body).await;
        refused(&reply, 400, invalid, &words);
    }
    for body in [
        json!({ "MaximumRetryAttempts": 3 }),
        json!({ "MaximumEventAgeInSeconds": 59 }),
        json!({ "MaximumEventAgeInSeconds": 21_601 }),
        json!({ "DestinationConfig": { "OnFailure": { "Destination": "arn:aws:_-/!lambda::x" } } }),
    ] {
        let reply = call(&platform, Method::PUT, "f", body).await;
        assert_eq!(
            (reply.status, reply.kind.as_str()),
            (400, "ValidationException")
        );
    }
    for empty in [json!({ "OnSuccess": {} }), json!({ "OnFailure": {} })] {
        let body = json!({ "DestinationConfig": empty });
        let shown = put(&platform, "f", body).await;
        assert_eq!(
            shown["DestinationConfig"],
            json!({ "OnSuccess": {}, "OnFailure": {} })
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_target_is_part_of_the_configuration() {
    let platform = platform().await;
    let queue = "arn:aws:sqs:us-east-1:123456789012:dlq";
    let created = platform
        .create_with("h", |body| {
            body["DeadLetterConfig"] = json!({ "TargetArn": queue });
        })
        .await;
    let shown = json!({ "TargetArn": queue });
    assert_eq!(created.body["DeadLetterConfig"], shown, "{}", created.body);
    assert_eq!(platform.settled("h").await["DeadLetterConfig"], shown);

    let path = format!("{FUNCTIONS}/h/configuration");
    let topic = json!({ "DeadLetterConfig": { "TargetArn": "arn:aws:s3:::b" } });
    let reply = platform.call(Method::PUT, &path, topic).await;
    refused(
        &reply,
        400,
        "InvalidParameterValueException",
        "Invalid dead letter queue ARN: Only Amazon SQS queues and Amazon SNS topics are supported.",
    );
    // Something else changed leaves it, as no ARN does; an empty ARN takes it away.
    for other in [
        json!({ "Description": "x" }),
        json!({ "DeadLetterConfig": {} }),
    ] {
        platform.call(Method::PUT, &path, other).await;
        assert_eq!(platform.settled("h").await["DeadLetterConfig"], shown);
    }
    let none = json!({ "DeadLetterConfig": { "TargetArn": "" } });
    let reply = platform.call(Method::PUT, &path, none).await;
    assert_eq!(reply.body.get("DeadLetterConfig"), None, "{}", reply.body);
    let refused = platform
        .create_with("i", |body| {
            body["DeadLetterConfig"] = json!({ "TargetArn": "arn:aws:iam::x:y" });
        })
        .await;
    assert_eq!(refused.status, 400);
}
