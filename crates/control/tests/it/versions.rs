//! Published versions: made of `$LATEST`, never changed, and reached by their number.

use http::Method;
use pilotlight_model::node::{Directory, Resolved};
use pilotlight_model::{LambdaError, Version};
use serde_json::{Value, json};

use crate::harness::{ARN, FUNCTIONS, Platform, START_MS, caller, inline, until};

fn resolve(platform: &Platform, qualifier: &str) -> Result<Resolved, LambdaError> {
    let (caller, name) = (caller(), "f".parse().unwrap());
    platform
        .control
        .resolve(&caller.account, &caller.region, &name, Some(qualifier))
}

async fn publish(platform: &Platform, body: Value) -> Value {
    let path = format!("{FUNCTIONS}/f/versions");
    let reply = platform.call(Method::POST, &path, body).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.body
}

async fn version(platform: &Platform, number: &str) -> Value {
    until(|| async {
        let path = format!("{FUNCTIONS}/f/configuration?Qualifier={number}");
        let now = platform.get(&path).await.body;
        (now["State"] != "Pending").then_some(now)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_can_be_created_with_its_first_version() {
    let platform = Platform::open().await;
    let created = platform
        .create_with("f", |body| body["Publish"] = json!(true))
        .await;
    assert_eq!(created.status, 201);
    assert_eq!(created.body["Version"], "1");
    assert_eq!(created.body["FunctionArn"], format!("{ARN}f"));
    assert_eq!(created.body["State"], "Pending");
    let latest = platform.settled("f").await;
    let first = version(&platform, "1").await;
    assert_eq!(first["FunctionArn"], format!("{ARN}f:1"));
    assert_eq!(
        (&first["State"], &first["LastUpdateStatus"]),
        (&json!("Active"), &json!("Successful"))
    );
    assert_eq!(latest["Version"], "$LATEST");
    assert_ne!(first["RevisionId"], latest["RevisionId"]);
    let resolved = resolve(&platform, "1").unwrap();
    assert_eq!(resolved.spec.key.version, Version::Number(1));
    assert_eq!(resolved.invoked_arn, format!("{ARN}f:1"));
    // Both have the one image.
    assert_eq!(
        resolved.spec.code,
        resolve(&platform, "$LATEST").unwrap().spec.code
    );
    assert_eq!(
        resolve(&platform, "01").unwrap_err().message,
        format!("Function not found: {ARN}f:01")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_with_snap_start_is_active_once_its_node_is_ready() {
    let platform = Platform::open().await;
    let wanted = json!({ "ApplyOn": "PublishedVersions" });
    let (asked, applied) = (
        json!({ "ApplyOn": "PublishedVersions", "OptimizationStatus": "Off" }),
        json!({ "ApplyOn": "PublishedVersions", "OptimizationStatus": "On" }),
    );
    let created = platform
        .create_with("f", |body| {
            body["Runtime"] = json!("python3.12");
            body["SnapStart"] = wanted;
        })
        .await;
    assert_eq!(created.body["SnapStart"], asked);
    assert_eq!(platform.settled("f").await["SnapStart"], asked);
    let first = publish(&platform, Value::Null).await;
    assert_eq!(
        [
            &first["State"],
            &first["StateReasonCode"],
            &first["SnapStart"]
        ],
        [&json!("Pending"), &json!("Creating"), &applied]
    );
    let first = version(&platform, "1").await;
    assert_eq!(
        [
            &first["State"],
            &first["LastUpdateStatus"],
            &first["SnapStart"]
        ],
        [&json!("Active"), &json!("Successful"), &applied]
    );
    assert!(resolve(&platform, "1").unwrap().spec.has_snap_start());
    assert!(!resolve(&platform, "$LATEST").unwrap().spec.has_snap_start());
    assert_eq!(publish(&platform, Value::Null).await["Version"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_is_no_new_version() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let first = publish(&platform, json!({ "Description": "first" })).await;
    assert_eq!(
        [
            &first["Version"],
            &first["FunctionArn"],
            &first["Description"],
            &first["State"],
            &first["LastUpdateStatus"],
        ],
        [
            "1",
            format!("{ARN}f:1").as_str(),
            "first",
            "Active",
            "Successful"
        ]
    );
    // Ready at once, as `$LATEST` was.
    assert!(resolve(&platform, "1").is_ok());
    assert_eq!(publish(&platform, Value::Null).await, first);

    let same = json!({ "ZipFile": inline("f"), "Publish": true });
    let path = format!("{FUNCTIONS}/f/code");
    let again = platform.call(Method::PUT, &path, same).await;
    assert_eq!((again.status, &again.body), (200, &first));
    platform.settled("f").await;

    let other = json!({ "ZipFile": inline("other"), "Publish": true });
    let second = platform.call(Method::PUT, &path, other).await;
    assert_eq!(
        (&second.body["Version"], &second.body["FunctionArn"]),
        (&json!("2"), &json!(format!("{ARN}f:2")))
    );
    assert_eq!(second.body["State"], "Pending");
    assert!(second.body.get("LastUpdateStatus").is_none());
    assert_eq!(version(&platform, "2").await["State"], "Active");
    platform.settled("f").await;

    // The first is what it was, whatever happened to `$LATEST`.
    assert_eq!(version(&platform, "1").await, first);
    let (old, new) = (resolve(&platform, "1"), resolve(&platform, "2"));
    assert_ne!(old.unwrap().spec.code, new.unwrap().spec.code);
    let mut changed = platform
        .call(
            Method::PUT,
            &format!("{FUNCTIONS}/f:1/configuration"),
            json!({ "Timeout": 9 }),
        )
        .await;
    assert_eq!(changed.status, 404);
    changed = platform
        .call(
            Method::PUT,
            &format!("{FUNCTIONS}/f/configuration"),
            json!({ "Description": "third" }),
        )
        .await;
    assert_eq!(changed.status, 200);
    platform.settled("f").await;
    assert_eq!(publish(&platform, Value::Null).await["Version"], "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_only_what_the_caller_means() {
    let platform = Platform::open().await;
    let latest = platform.active("f").await;
    let path = format!("{FUNCTIONS}/f/versions");
    let sha = latest["CodeSha256"].as_str().unwrap();
    for (body, status, message) in [
        (
            json!({ "CodeSha256": "other" }),
            400,
            format!(
                "CodeSHA256 (other) is different from current CodeSHA256 in $LATEST ({sha}). Please \
                 try again with the CodeSHA256 in $LATEST."
            ),
        ),
        (
            json!({ "RevisionId": "other" }),
            412,
            "The Revision Id provided does not match the latest Revision Id. Call the \
             GetFunction/GetAlias API to retrieve the latest Revision Id"
                .to_owned(),
        ),
    ] {
        let refused = platform.call(Method::POST, &path, body).await;
        assert_eq!(
            (refused.status, &refused.body["message"]),
            (status, &json!(message))
        );
    }
    let right = json!({ "CodeSha256": sha, "RevisionId": latest["RevisionId"] });
    assert_eq!(publish(&platform, right).await["Version"], "1");
    let nowhere = format!("{FUNCTIONS}/nope/versions");
    let missing = platform.call(Method::POST, &nowhere, Value::Null).await;
    assert_eq!(missing.status, 404);

    platform.node.hold();
    let change = json!({ "Timeout": 9 });
    let configuration = format!("{FUNCTIONS}/f/configuration");
    platform.call(Method::PUT, &configuration, change).await;
    let busy = platform.call(Method::POST, &path, Value::Null).await;
    assert_eq!(busy.status, 409);
    platform.node.release();
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_listed_in_pages_and_deleted_alone_or_together() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform.active("g").await;
    for number in 1..=3 {
        publish(&platform, Value::Null).await;
        let change = json!({ "Timeout": 10 + number });
        let path = format!("{FUNCTIONS}/f/configuration");
        platform.call(Method::PUT, &path, change).await;
        platform.settled("f").await;
    }
    let arns = async |path: &str, member: &str| {
        let (mut found, mut marker) = (Vec::new(), String::new());
        loop {
            let page = platform
                .get(&format!("{path}MaxItems=1{marker}"))
                .await
                .body;
            for version in page[member].as_array().unwrap() {
                let arn = version["FunctionArn"].as_str().unwrap();
                found.push(arn.strip_prefix(ARN).unwrap().to_owned());
            }
            match page.get("NextMarker") {
                Some(next) => marker = format!("&Marker={}", next.as_str().unwrap()),
                None => return found,
            }
        }
    };
    let of_f = format!("{FUNCTIONS}/f/versions?");
    let all = format!("{FUNCTIONS}?FunctionVersion=ALL&");
    let plain = format!("{FUNCTIONS}?");
    assert_eq!(
        arns(&of_f, "Versions").await,
        ["f:$LATEST", "f:1", "f:2", "f:3"]
    );
    assert_eq!(
        arns(&all, "Functions").await,
        ["f:$LATEST", "f:1", "f:2", "f:3", "g:$LATEST"]
    );
    assert_eq!(arns(&plain, "Functions").await, ["f", "g"]);
    let account = platform.get("/2016-08-19/account-settings/").await;
    assert_eq!(account.body["AccountUsage"]["FunctionCount"], 2);

    let delete = async |path: &str| {
        let path = format!("{FUNCTIONS}/{path}");
        platform.delete(&path).await
    };
    assert_eq!(delete("f?Qualifier=3").await.status, 204);
    assert!(resolve(&platform, "3").is_err());
    assert_eq!(
        delete("f?Qualifier=live").await.body["message"],
        "Deletion of aliases is not currently supported."
    );
    // A number is never given twice.
    assert_eq!(publish(&platform, Value::Null).await["Version"], "4");
    let platform = platform.killed().await;
    assert!(resolve(&platform, "4").is_ok());
    platform.node.retired.lock().clear();
    let path = format!("{FUNCTIONS}/f");
    let gone = platform.delete(&path).await;
    assert_eq!(gone.status, 204);
    assert_eq!(platform.node.retired.lock().len(), 4);
    assert!(resolve(&platform, "1").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_dated_by_its_publishing_and_shares_the_function_s_tags() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform.clock.advance(std::time::Duration::from_secs(1));
    let first = publish(&platform, Value::Null).await;
    assert_eq!(START_MS, 1_767_323_045_678);
    assert_eq!(first["LastModified"], "2026-01-02T03:04:06.678+0000");
    let tags = format!("/2017-03-31/tags/{ARN}f");
    let keep = json!({ "Tags": { "pilotlight:keep-alive": "7" } });
    platform.call(Method::POST, &tags, keep).await;
    for qualifier in ["$LATEST", "1"] {
        let spec = resolve(&platform, qualifier).unwrap().spec;
        assert_eq!(spec.keep_alive.map(|it| it.as_secs()), Some(7));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_ready_at_once_is_prepared_too() {
    let platform = Platform::open().await;
    platform.active("f").await;
    assert_eq!(publish(&platform, json!({})).await["State"], "Active");
    let of_version = || {
        let prepared = platform.node.prepared.lock();
        let mut specs = prepared.iter();
        let first = specs.find(|spec| spec.key.version == Version::Number(1));
        first.cloned()
    };
    let prepared = until(|| async { of_version() }).await;
    assert_eq!(prepared, resolve(&platform, "1").unwrap().spec);
}
