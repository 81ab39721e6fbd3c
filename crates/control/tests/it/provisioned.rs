//! Provisioned concurrency: the operations, their refusals, and what the node is told.

use std::collections::BTreeMap;

use http::Method;
use pilotlight_model::node::{Directory, EventQueue};
use pilotlight_model::provisioned::{Provisioned, Trouble};
use pilotlight_model::{Version, VersionKey};
use serde_json::{Value, json};

use crate::aliases::{created, update, versions, words};
use crate::events::{event, queue_is};
use crate::harness::{ARN, FUNCTIONS, Platform, Reply, caller, until};

const CONFIG: &str = "/2019-09-30/functions/f/provisioned-concurrency";
const RESERVED: &str = "/2017-10-31/functions/f/concurrency";

async fn put(platform: &Platform, qualifier: &str, count: u32) -> Reply {
    let body = json!({ "ProvisionedConcurrentExecutions": count });
    let path = format!("{CONFIG}?Qualifier={qualifier}");
    platform.call(Method::PUT, &path, body).await
}

async fn get(platform: &Platform, qualifier: &str) -> Reply {
    let path = format!("{CONFIG}?Qualifier={qualifier}");
    platform.call(Method::GET, &path, Value::Null).await
}

async fn delete(platform: &Platform, qualifier: &str) -> Reply {
    let path = format!("{CONFIG}?Qualifier={qualifier}");
    platform.delete(&path).await
}

async fn list(platform: &Platform, more: &str) -> Reply {
    platform.get(&format!("{CONFIG}?List=ALL{more}")).await
}

async fn reserve(platform: &Platform, count: u32) -> Reply {
    let body = json!({ "ReservedConcurrentExecutions": count });
    platform.call(Method::PUT, RESERVED, body).await
}

/// Waits until the node has been told to keep that many of each version, and nothing else.
async fn told(platform: &Platform, expected: &[(u64, u32)]) {
    let expected: BTreeMap<Version, u32> = expected
        .iter()
        .map(|(version, count)| (Version::Number(*version), *count))
        .collect();
    until(|| async {
        let provisions = platform.node.provisions.lock();
        let found: BTreeMap<Version, u32> = provisions
            .iter()
            .map(|(key, provisioned)| (key.version, provisioned.wanted))
            .collect();
        (found == expected).then_some(())
    })
    .await;
}

/// The node has made so many of that version, or cannot.
fn made(platform: &Platform, version: u64, count: u32, trouble: Option<Trouble>) {
    let mut provisions = platform.node.provisions.lock();
    let of = |key: &&VersionKey| key.version == Version::Number(version);
    let key = provisions.keys().find(of).cloned().unwrap();
    let provisioned = provisions.get_mut(&key).unwrap();
    *provisioned = Provisioned {
        allocated: count,
        available: count,
        trouble,
        ..provisioned.clone()
    };
}

/// Status, allocated, available, and the reason.
fn status(reply: &Reply) -> (&str, u64, u64, Option<&str>) {
    let count = |name: &str| {
        let member = format!("{name}ProvisionedConcurrentExecutions");
        reply.body[member].as_u64().unwrap()
    };
    (
        reply.body["Status"].as_str().unwrap(),
        count("Allocated"),
        count("Available"),
        reply.body["StatusReason"].as_str(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_provisioned_is_told_shown_and_released() {
    let platform = versions().await;
    let answer = put(&platform, "1", 3).await;
    assert_eq!(
        (answer.status, answer.body),
        (
            202,
            json!({
                "RequestedProvisionedConcurrentExecutions": 3,
                "AvailableProvisionedConcurrentExecutions": 0,
                "AllocatedProvisionedConcurrentExecutions": 0,
                "Status": "IN_PROGRESS",
                "LastModified": "2026-01-02T03:04:05+0000",
            })
        )
    );
    told(&platform, &[(1, 3)]).await;
    made(&platform, 1, 2, None);
    let reply = get(&platform, "1").await;
    assert_eq!(
        (reply.status, status(&reply)),
        (200, ("IN_PROGRESS", 2, 2, None))
    );
    made(&platform, 1, 3, None);
    assert_eq!(status(&get(&platform, "1").await), ("READY", 3, 3, None));
    made(&platform, 1, 1, Some(Trouble::InitFailed));
    let reason = Some("FUNCTION_ERROR_INIT_FAILURE");
    assert_eq!(status(&get(&platform, "1").await), ("FAILED", 1, 1, reason));
    // Another number is another attempt.
    assert_eq!(
        status(&put(&platform, "1", 5).await),
        ("IN_PROGRESS", 1, 1, None)
    );
    told(&platform, &[(1, 5)]).await;
    let whole = list(&platform, "").await;
    assert_eq!(
        whole.body["ProvisionedConcurrencyConfigs"][0]["FunctionArn"],
        format!("{ARN}f:1")
    );

    let killed = platform.killed().await;
    told(&killed, &[(1, 5)]).await;
    assert_eq!(
        get(&killed, "1").await.body["RequestedProvisionedConcurrentExecutions"],
        5
    );

    assert_eq!(delete(&platform, "1").await.status, 204);
    told(&platform, &[]).await;
    let gone = get(&platform, "1").await;
    assert_eq!(gone.kind, "ProvisionedConcurrencyConfigNotFoundException");
    assert_eq!(
        (gone.status, &gone.body["message"]),
        (
            404,
            &json!("No Provisioned Concurrency Config found for this function")
        )
    );
    assert_eq!(delete(&platform, "1").await.status, 204, "repeatable");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named() {
    let platform = versions().await;
    let latest = put(&platform, "$LATEST", 1).await;
    assert_eq!(
        words(&latest),
        (
            400,
            "InvalidParameterValueException",
            "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
        )
    );
    for reply in [
        get(&platform, "$LATEST").await,
        delete(&platform, "$LATEST").await,
    ] {
        assert_eq!(
            words(&reply),
            (
                400,
                "InvalidParameterValueException",
                "The function resource provided must be an alias or a published version."
            )
        );
    }
    for (qualifier, message) in [
        ("10", format!("Function not found: {ARN}f:10")),
        ("noalias", format!("Cannot find alias arn: {ARN}f:noalias")),
    ] {
        for reply in [
            put(&platform, qualifier, 1).await,
            get(&platform, qualifier).await,
            delete(&platform, qualifier).await,
        ] {
            assert_eq!(
                words(&reply),
                (404, "ResourceNotFoundException", message.as_str())
            );
        }
    }
    let none = put(&platform, "1", 0).await;
    assert_eq!(none.kind, "ValidationException");
    assert_eq!(
        none.body["message"],
        "1 validation error detected: Value '0' at 'provisionedConcurrentExecutions' failed to satisfy \
         constraint: Member must have value greater than or equal to 1"
    );
    assert_eq!(
        list(&platform, "").await.body,
        json!({ "ProvisionedConcurrencyConfigs": [] })
    );
    let path = "/2019-09-30/functions/absent/provisioned-concurrency?List=ALL";
    assert_eq!(
        words(&platform.get(path).await),
        (
            404,
            "ResourceNotFoundException",
            format!("Function not found: {ARN}absent").as_str()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_account_and_reservation() {
    let platform = versions().await;
    for (count, message) in [
        (
            1_001,
            "Specified ConcurrentExecutions for function is greater than account's unreserved \
             concurrency [1000].",
        ),
        (
            1_000,
            "Specified ConcurrentExecutions for function decreases account's \
             UnreservedConcurrentExecution below its minimum value of [100].",
        ),
    ] {
        assert_eq!(
            words(&put(&platform, "1", count).await),
            (400, "InvalidParameterValueException", message)
        );
    }
    assert_eq!(put(&platform, "1", 2).await.status, 202);
    assert_eq!(
        words(&reserve(&platform, 1).await),
        (
            400,
            "InvalidParameterValueException",
            " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned \
             concurrency [2]."
        )
    );
    assert_eq!(reserve(&platform, 2).await.status, 200);
    for (qualifier, count) in [("2", 1), ("1", 3)] {
        assert_eq!(
            words(&put(&platform, qualifier, count).await),
            (
                400,
                "InvalidParameterValueException",
                "Requested Provisioned Concurrency should not be greater than the \
                 reservedConcurrentExecution for function"
            )
        );
    }
    // All that is reserved is provisioned: nothing is left for other versions.
    let share = |qualifier: Option<&str>| {
        let (caller, name) = (caller(), "f".parse().unwrap());
        let resolved = platform
            .control
            .resolve(&caller.account, &caller.region, &name, qualifier);
        resolved.unwrap().share
    };
    let (own, latest) = (share(Some("1")), share(None));
    assert_eq!((own.provisioned, own.reserved), (2, Some(0)));
    assert_eq!((latest.provisioned, latest.reserved), (0, Some(0)));
    assert_eq!(latest.unreserved, 998);
    // The function is not switched off for that: an event waits for its turn.
    *platform.admission.throttled.lock() = Some("f");
    platform.control.enqueue(event("f", "1")).await.unwrap();
    until(|| async {
        let retried = platform.control.metrics().events_retried.get();
        (retried == 1).then_some(())
    })
    .await;
    queue_is(&platform, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_takes_along_what_is_provisioned_for_it() {
    let platform = versions().await;
    created(&platform, "live", "1", Value::Null).await;
    assert_eq!(put(&platform, "1", 1).await.status, 202);
    assert_eq!(
        words(&put(&platform, "live", 1).await),
        (
            409,
            "ResourceConflictException",
            "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned \
             version"
        )
    );
    delete(&platform, "1").await;
    assert_eq!(put(&platform, "live", 4).await.status, 202);
    told(&platform, &[(1, 4)]).await;
    assert_eq!(
        words(&put(&platform, "1", 1).await),
        (
            409,
            "ResourceConflictException",
            "Version is pointed by a Provisioned Concurrency alias"
        )
    );
    update(&platform, "live", json!({ "FunctionVersion": "2" })).await;
    told(&platform, &[(2, 4)]).await;
    let weights = json!({ "AdditionalVersionWeights": { "3": 0.25 } });
    update(&platform, "live", json!({ "RoutingConfig": weights })).await;
    told(&platform, &[(2, 3), (3, 1)]).await;
    made(&platform, 2, 3, None);
    assert_eq!(
        status(&get(&platform, "live").await),
        ("IN_PROGRESS", 3, 3, None)
    );
    made(&platform, 3, 1, None);
    assert_eq!(status(&get(&platform, "live").await), ("READY", 4, 4, None));
    let path = format!("{FUNCTIONS}/f/aliases/live");
    platform.delete(&path).await;
    told(&platform, &[]).await;
    assert_eq!(
        get(&platform, "live").await.kind,
        "ResourceNotFoundException"
    );
    assert_eq!(
        list(&platform, "").await.body["ProvisionedConcurrencyConfigs"],
        json!([])
    );
    created(&platform, "latest", "$LATEST", Value::Null).await;
    assert_eq!(
        put(&platform, "latest", 1).await.kind,
        "InvalidParameterValueException"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_functions_that_go_take_it_along_and_pages_are_in_order() {
    let platform = versions().await;
    for version in ["1", "2", "3"] {
        assert_eq!(put(&platform, version, 1).await.status, 202);
    }
    told(&platform, &[(1, 1), (2, 1), (3, 1)]).await;
    let first = list(&platform, "&MaxItems=2").await.body;
    let marker = first["NextMarker"].as_str().unwrap();
    let second = list(&platform, &format!("&Marker={marker}")).await.body;
    let arns = |page: &Value| {
        let configs = page["ProvisionedConcurrencyConfigs"].as_array().unwrap();
        let arns = configs.iter().map(|it| it["FunctionArn"].clone());
        arns.collect::<Vec<_>>()
    };
    assert_eq!(arns(&first), [format!("{ARN}f:1"), format!("{ARN}f:2")]);
    assert_eq!(arns(&second), [format!("{ARN}f:3")]);
    assert!(second.get("NextMarker").is_none());
    let path = format!("{FUNCTIONS}/f?Qualifier=2");
    platform.delete(&path).await;
    told(&platform, &[(1, 1), (3, 1)]).await;
    let path = format!("{FUNCTIONS}/f");
    platform.delete(&path).await;
    told(&platform, &[]).await;
}
