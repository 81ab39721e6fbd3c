//! Functions over their whole life, with the bodies that AWS answers.

use bytes::Bytes;
use http::{Method, Request};
use pilotlight_model::node::{Api, Caller, Directory};
use serde_json::{Value, json};

use crate::harness::{ARN, FUNCTIONS, Platform, ROLE, START_MS, caller, inline, until, zip};

/// The parts of an answer that differ every time, taken out.
fn fixed(mut body: Value) -> Value {
    let fields = body.as_object_mut().unwrap();
    let revision = fields.remove("RevisionId").unwrap();
    assert_eq!(revision.as_str().unwrap().len(), 36);
    assert_eq!(
        fields.remove("CodeSha256").unwrap().as_str().unwrap().len(),
        44
    );
    assert!(fields.remove("CodeSize").unwrap().as_u64().unwrap() > 0);
    body
}

fn expected(name: &str, more: Value) -> Value {
    let mut body = json!({
        "FunctionName": name,
        "FunctionArn": format!("{ARN}{name}"),
        "Runtime": "python3.11",
        "Role": ROLE,
        "Handler": "app.handler",
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "LastModified": "2026-01-02T03:04:05.678+0000",
        "Version": "$LATEST",
        "TracingConfig": { "Mode": "PassThrough" },
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": { "Size": 512 },
        "SnapStart": { "ApplyOn": "None", "OptimizationStatus": "Off" },
        "LoggingConfig": { "LogFormat": "Text", "LogGroup": format!("/aws/lambda/{name}") },
        "RuntimeVersionConfig": {
            "RuntimeVersionArn": format!("arn:aws:lambda:us-east-1::runtime:{}", "1".repeat(64)),
        },
    });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn life_of_a_function() {
    let platform = Platform::open().await;
    platform.node.hold();
    let created = platform.create("thumbs").await;
    assert_eq!(created.status, 201);
    let revision = created.body["RevisionId"].clone();
    assert_eq!(
        fixed(created.body),
        expected(
            "thumbs",
            json!({
                "State": "Pending",
                "StateReason": "The function is being created.",
                "StateReasonCode": "Creating",
            })
        )
    );
    let arn = format!("{ARN}thumbs");
    let pending = platform
        .control
        .resolve(
            &caller().account,
            &caller().region,
            &"thumbs".parse().unwrap(),
            None,
        )
        .unwrap_err();
    assert_eq!(
        (pending.kind.type_name(), pending.message.as_str()),
        (
            "ResourceConflictException",
            "The operation cannot be performed at this time. The function is currently in the \
             following state: Pending"
        )
    );
    platform.node.release();
    let ready = json!({ "State": "Active", "LastUpdateStatus": "Successful" });
    let active = platform.settled("thumbs").await;
    assert_ne!(active["RevisionId"], revision);
    assert_eq!(fixed(active), expected("thumbs", ready.clone()));

    let got = platform.get(&format!("{FUNCTIONS}/thumbs")).await;
    assert_eq!(got.status, 200);
    assert_eq!(
        fixed(got.body["Configuration"].clone()),
        expected("thumbs", ready.clone())
    );
    assert_eq!(got.body["Code"]["RepositoryType"], "S3");
    assert!(got.body.get("Tags").is_none() && got.body.get("Concurrency").is_none());

    let qualified = platform.get(&format!("{FUNCTIONS}/thumbs:$LATEST")).await;
    assert_eq!(
        qualified.body["Configuration"]["FunctionArn"],
        format!("{arn}:$LATEST")
    );

    let resolved = platform
        .control
        .resolve(
            &caller().account,
            &caller().region,
            &"thumbs".parse().unwrap(),
            Some("$LATEST"),
        )
        .unwrap();
    assert_eq!(resolved.invoked_arn, format!("{arn}:$LATEST"));
    assert_eq!(resolved.spec.handler, "app.handler");

    let listed = platform.get(&format!("{FUNCTIONS}/")).await;
    let mut lean = expected("thumbs", json!({}));
    lean.as_object_mut().unwrap().remove("RuntimeVersionConfig");
    assert_eq!(listed.body.as_object().unwrap().len(), 1);
    assert_eq!(fixed(listed.body["Functions"][0].clone()), lean);

    let deleted = platform.delete(&format!("{FUNCTIONS}/thumbs")).await;
    assert_eq!((deleted.status, deleted.body), (204, Value::Null));
    assert_eq!(platform.node.retired.lock().len(), 1);
    let again = platform.delete(&format!("{FUNCTIONS}/thumbs")).await;
    assert_eq!(
        (again.status, again.kind.as_str()),
        (404, "ResourceNotFoundException")
    );
    assert_eq!(
        again.body,
        json!({ "Type": "User", "Message": format!("Function not found: {arn}") })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_are_in_progress_until_they_are_ready() {
    let platform = Platform::open().await;
    let before = platform.active("f").await;
    let serving = || {
        let found = platform.control.resolve(
            &caller().account,
            &caller().region,
            &"f".parse().unwrap(),
            None,
        );
        found.unwrap().spec
    };
    let old = serving();
    platform.node.hold();
    let change = json!({
        "Description": "Changed",
        "Timeout": 10,
        "MemorySize": 512,
        "Environment": { "Variables": { "ENV_A": "a" } },
        "EphemeralStorage": { "Size": 1024 },
        "LoggingConfig": { "LogGroup": "/my/group" },
    });
    let path = format!("{FUNCTIONS}/f/configuration");
    let updated = platform.call(Method::PUT, &path, change).await;
    assert_eq!(updated.status, 200);
    assert_ne!(updated.body["RevisionId"], before["RevisionId"]);
    let mut wanted = expected(
        "f",
        json!({
            "Description": "Changed",
            "Timeout": 10,
            "MemorySize": 512,
            "Environment": { "Variables": { "ENV_A": "a" } },
            "EphemeralStorage": { "Size": 1024 },
            "LoggingConfig": { "LogFormat": "Text", "LogGroup": "/my/group" },
            "State": "Active",
            "LastUpdateStatus": "InProgress",
            "LastUpdateStatusReason": "The function is being created.",
            "LastUpdateStatusReasonCode": "Creating",
        }),
    );
    assert_eq!(fixed(updated.body), wanted);
    assert_eq!(serving().revision, old.revision);

    for (path, body) in [
        (path.clone(), json!({ "Timeout": 11 })),
        (
            format!("{FUNCTIONS}/f/code"),
            json!({ "ZipFile": inline("b") }),
        ),
    ] {
        let busy = platform.call(Method::PUT, &path, body).await;
        assert_eq!(
            (busy.status, busy.kind.as_str()),
            (409, "ResourceConflictException")
        );
        assert_eq!(
            busy.body["message"],
            format!(
                "The operation cannot be performed at this time. An update is in progress for \
                 resource: {ARN}f"
            )
        );
    }
    platform.node.release();
    let fields = wanted.as_object_mut().unwrap();
    fields.insert("LastUpdateStatus".to_owned(), json!("Successful"));
    fields.remove("LastUpdateStatusReason");
    fields.remove("LastUpdateStatusReasonCode");
    assert_eq!(fixed(platform.settled("f").await), wanted);
    let new = serving();
    assert!(new.revision > old.revision);
    assert_eq!((new.memory_mb, new.log_group.as_str()), (512, "/my/group"));
    assert_eq!(
        (&new.code, new.environment["ENV_A"].as_str()),
        (&old.code, "a")
    );

    let coded = platform
        .call(
            Method::PUT,
            &format!("{FUNCTIONS}/f/code"),
            json!({ "ZipFile": inline("other") }),
        )
        .await;
    assert_eq!(
        (coded.status, &coded.body["LastUpdateStatus"]),
        (200, &json!("InProgress"))
    );
    assert_ne!(coded.body["CodeSha256"], before["CodeSha256"]);
    platform.settled("f").await;
    assert_ne!(serving().code, old.code);
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_changes_nothing() {
    let platform = Platform::open().await;
    let before = platform.active("f").await;
    let body = json!({ "ZipFile": inline("other"), "DryRun": true });
    let dry = platform
        .call(Method::PUT, &format!("{FUNCTIONS}/f/code"), body)
        .await;
    assert_eq!(dry.status, 200);
    assert_ne!(dry.body["CodeSha256"], before["CodeSha256"]);
    assert_eq!(platform.configuration("f").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_and_kept_apart_by_account_and_region() {
    let platform = Platform::open().await;
    for number in 0..53 {
        assert_eq!(platform.create(&format!("f{number:02}")).await.status, 201);
    }
    let mut names = Vec::new();
    let mut marker = String::new();
    let mut pages = 0;
    loop {
        let page = platform
            .get(&format!("{FUNCTIONS}?MaxItems=1000{marker}"))
            .await
            .body;
        for function in page["Functions"].as_array().unwrap() {
            names.push(function["FunctionName"].as_str().unwrap().to_owned());
        }
        pages += 1;
        match page.get("NextMarker") {
            Some(next) => marker = format!("&Marker={}", next.as_str().unwrap()),
            None => break,
        }
    }
    let expected: Vec<String> = (0..53).map(|number| format!("f{number:02}")).collect();
    assert_eq!((names, pages), (expected, 2));

    let all = platform
        .get(&format!("{FUNCTIONS}?FunctionVersion=ALL&MaxItems=1"))
        .await
        .body;
    assert_eq!(
        all["Functions"][0]["FunctionArn"],
        format!("{ARN}f00:$LATEST")
    );
    assert_eq!(
        platform
            .get(&format!("{FUNCTIONS}?Marker=%21"))
            .await
            .status,
        400
    );

    for (account, region) in [("000000000000", "us-east-1"), ("123456789012", "eu-west-1")] {
        let other = Caller {
            account: account.parse().unwrap(),
            region: region.parse().unwrap(),
            function: None,
        };
        let empty = platform
            .call_as(other, Method::GET, FUNCTIONS, Value::Null)
            .await;
        assert_eq!(empty.body, json!({ "Functions": [] }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_small_reads_that_tools_make() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let versions = platform.get(&format!("{FUNCTIONS}/f/versions")).await;
    assert_eq!(versions.status, 200);
    assert_eq!(versions.body["Versions"].as_array().unwrap().len(), 1);
    assert_eq!(
        versions.body["Versions"][0]["FunctionArn"],
        format!("{ARN}f:$LATEST")
    );
    let signing = platform
        .get("/2020-06-30/functions/f/code-signing-config")
        .await;
    assert_eq!(
        (signing.status, signing.body),
        (200, json!({ "FunctionName": "f" }))
    );
    let policy = platform.get(&format!("{FUNCTIONS}/f/policy")).await;
    assert_eq!(policy.status, 404);
    assert_eq!(
        policy.body["Message"],
        "The resource you requested does not exist."
    );
    let account = platform.get("/2016-08-19/account-settings/").await;
    assert_eq!(account.body["AccountUsage"]["FunctionCount"], 1);
    assert_eq!(account.body["AccountLimit"]["ConcurrentExecutions"], 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_package_can_be_fetched_by_its_link_alone_and_not_for_long() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let location = platform.get(&format!("{FUNCTIONS}/f")).await.body["Code"]["Location"].clone();
    let location = location.as_str().unwrap();
    let path = location.strip_prefix("http://127.0.0.1:9000").unwrap();
    let fetch = async |path: &str| {
        let request = Request::get(path).body(Bytes::new()).unwrap();
        platform.control.handle(caller(), request).await
    };
    let fetched = fetch(path).await;
    assert_eq!(
        (fetched.status().as_u16(), fetched.body().as_ref()),
        (200, zip("f").as_slice())
    );
    let expires = START_MS + 10 * 60 * 1000;
    let longer = path.replace(&expires.to_string(), &(expires + 1).to_string());
    assert_ne!(longer, path);
    for wrong in [
        longer.as_str(),
        path.split_once('?').unwrap().0,
        &path[..path.len() - 2],
        &path[..path.len() - 1],
        "/pilotlight/v1/code/",
        "/pilotlight/v1/code/x?expires=1&signature=00",
    ] {
        assert_eq!(fetch(wrong).await.status(), 403, "{wrong}");
    }
    platform.clock.advance(std::time::Duration::from_secs(601));
    assert_eq!(fetch(path).await.status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_does_not_stop_a_creation() {
    let platform = Platform::open().await;
    let body = json!({
        "FunctionName": "f",
        "Runtime": "provided.al2023",
        "Role": ROLE,
        "Handler": "bootstrap",
        "Code": { "ZipFile": inline("f") },
    });
    let request = Request::post(FUNCTIONS)
        .body(Bytes::from(body.to_string()))
        .unwrap();
    drop(platform.control.handle(caller(), request));
    until(|| async { (platform.configuration("f").await["State"] == "Active").then_some(()) })
        .await;
}
