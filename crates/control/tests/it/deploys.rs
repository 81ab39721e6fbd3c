//! Making functions ready: compiled, prepared, taken up again after a crash, cleaned up behind.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::Method;
use pilotlight_model::node::{Caller, Directory, NodeError};
use pilotlight_model::{Digest, FunctionSpec, Runtime};
use serde_json::{Value, json};

use crate::harness::{FUNCTIONS, Platform, ROOM, caller, inline, until};

fn serving(platform: &Platform, name: &str) -> Arc<FunctionSpec> {
    let Caller {
        account, region, ..
    } = caller();
    platform
        .control
        .resolve(&account, &region, &name.parse().unwrap(), None)
        .unwrap()
        .spec
}

fn code(platform: &Platform, name: &str) -> Digest {
    serving(platform, name).code.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn code_is_compiled_once_per_runtime_and_package() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let compiled = platform.node.compiled.lock().clone();
    assert_eq!(compiled.len(), 1);
    assert_eq!(compiled[0].0, Runtime::Python311);
    let image = code(&platform, "f");
    assert_ne!(image, compiled[0].1, "the image has the byte code in it");
    assert!(platform.store.contains(&image));

    let path = format!("{FUNCTIONS}/f/configuration");
    platform
        .call(Method::PUT, &path, json!({ "Timeout": 9 }))
        .await;
    platform.settled("f").await;
    assert_eq!(
        (platform.node.compiled.lock().len(), code(&platform, "f")),
        (1, image.clone())
    );

    // Another name of the same image.
    let substituted = json!({ "Runtime": "python3.12" });
    platform.call(Method::PUT, &path, substituted).await;
    platform.settled("f").await;
    assert_eq!(serving(&platform, "f").runtime.as_str(), "python3.12");
    assert_eq!(
        (platform.node.compiled.lock().len(), code(&platform, "f")),
        (1, image.clone())
    );

    platform
        .call(Method::PUT, &path, json!({ "Runtime": "provided.al2023" }))
        .await;
    platform.settled("f").await;
    assert_eq!(platform.node.compiled.lock().len(), 2);
    assert_eq!(code(&platform, "f"), compiled[0].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_ready_has_failed() {
    let platform = Platform::open().await;
    let broken = || NodeError::Internal("no such program".to_owned());
    platform.node.prepares.lock().push_back(broken());
    assert_eq!(platform.create("f").await.status, 201);
    let failed = platform.settled("f").await;
    assert_eq!(
        (
            &failed["State"],
            &failed["StateReason"],
            &failed["StateReasonCode"]
        ),
        (
            &json!("Failed"),
            &json!("no such program"),
            &json!("InternalError")
        )
    );
    let error = platform
        .control
        .resolve(
            &caller().account,
            &caller().region,
            &"f".parse().unwrap(),
            None,
        )
        .unwrap_err();
    assert!(error.message.ends_with("state: Failed"), "{error}");

    let path = format!("{FUNCTIONS}/f/code");
    platform
        .call(Method::PUT, &path, json!({ "ZipFile": inline("good") }))
        .await;
    let mended = platform.settled("f").await;
    assert_eq!(
        (&mended["State"], &mended["LastUpdateStatus"]),
        (&json!("Active"), &json!("Successful"))
    );

    let good = code(&platform, "f");
    platform.node.prepares.lock().push_back(broken());
    platform
        .call(Method::PUT, &path, json!({ "ZipFile": inline("bad") }))
        .await;
    let worse = platform.settled("f").await;
    assert_eq!(
        (&worse["State"], &worse["LastUpdateStatus"]),
        (&json!("Active"), &json!("Failed"))
    );
    assert_eq!(worse["LastUpdateStatusReason"], "no such program");
    assert_eq!(code(&platform, "f"), good, "invocations keep what worked");
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_work_survives_a_kill() {
    let platform = Platform::open().await;
    platform.active("ready").await;
    platform.active("changing").await;
    let old = code(&platform, "changing");
    platform.node.hold();
    assert_eq!(platform.create("pending").await.status, 201);
    let path = format!("{FUNCTIONS}/changing/code");
    platform
        .call(Method::PUT, &path, json!({ "ZipFile": inline("new") }))
        .await;

    let after = platform.killed().await;
    assert_eq!(after.settled("pending").await["State"], "Active");
    assert_eq!(
        after.settled("changing").await["LastUpdateStatus"],
        "Successful"
    );
    assert_ne!(code(&after, "changing"), old);
    assert_eq!(
        after.configuration("ready").await,
        platform.configuration("ready").await
    );
    assert_eq!(
        after.control.metrics().deploys.get(),
        2,
        "what was ready is not deployed again"
    );

    let location = |body: &Value| body["Code"]["Location"].as_str().unwrap().to_owned();
    let path = format!("{FUNCTIONS}/ready");
    assert_eq!(
        location(&platform.get(&path).await.body),
        location(&after.get(&path).await.body),
        "links outlive the process"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_node_leaves_the_work_for_the_next_start() {
    let platform = Platform::open().await;
    platform.node.prepares.lock().push_back(NodeError::Draining);
    assert_eq!(platform.create("f").await.status, 201);
    until(|| async { platform.node.prepares.lock().is_empty().then_some(()) }).await;
    platform
        .control
        .drain(std::time::Duration::from_secs(30))
        .await;
    assert_eq!(platform.configuration("f").await["State"], "Pending");
    let next = platform.killed().await;
    assert_eq!(next.settled("f").await["State"], "Active");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_deleted_while_it_is_made_ready_stays_deleted() {
    let platform = Platform::open().await;
    platform.node.hold();
    assert_eq!(platform.create("f").await.status, 201);
    until(|| async { (platform.node.preparing.load(Ordering::SeqCst) == 1).then_some(()) }).await;
    let path = format!("{FUNCTIONS}/f");
    let deleted = platform.delete(&path).await;
    assert_eq!(
        (deleted.status, platform.node.retired.lock().len()),
        (204, 1)
    );
    platform.node.release();
    // Once for the deletion, and once for what was prepared behind it.
    until(|| async { (platform.node.retired.lock().len() == 2).then_some(()) }).await;
    assert_eq!(platform.get(&path).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_made_anew_is_never_taken_for_the_old_one() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let first = serving(&platform, "f");
    platform.node.hold();
    let path = format!("{FUNCTIONS}/f");
    let update = json!({ "ZipFile": inline("late") });
    platform
        .call(Method::PUT, &format!("{path}/code"), update)
        .await;
    until(|| async { (platform.node.preparing.load(Ordering::SeqCst) == 2).then_some(()) }).await;
    assert_eq!(platform.delete(&path).await.status, 204);
    let anew = platform
        .create_with("f", |body| body["Timeout"] = json!(9))
        .await;
    assert_eq!(anew.status, 201);
    platform.node.release();
    platform.settled("f").await;
    let second = serving(&platform, "f");
    assert_eq!((second.timeout.as_secs(), &second.code), (9, &first.code));
    assert!(second.revision > first.revision + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_function_needs_is_collected() {
    let platform = Platform::open().await;
    let shared = |body: &mut Value| body["Code"] = json!({ "ZipFile": inline("shared") });
    platform.create_with("one", shared).await;
    platform.create_with("two", shared).await;
    platform.active("alone").await;
    platform.settled("one").await;
    platform.settled("two").await;
    let (kept, gone) = (code(&platform, "one"), code(&platform, "alone"));
    assert_eq!(kept, code(&platform, "two"));
    for name in ["one", "alone"] {
        let path = format!("{FUNCTIONS}/{name}");
        assert_eq!(platform.delete(&path).await.status, 204);
    }
    until(|| async { (!platform.store.contains(&gone)).then_some(()) }).await;
    assert!(platform.store.contains(&kept));
    let link = platform.get(&format!("{FUNCTIONS}/two")).await.body["Code"]["Location"].clone();
    let path = link
        .as_str()
        .unwrap()
        .strip_prefix("http://127.0.0.1:9000")
        .unwrap()
        .to_owned();
    let request = http::Request::get(path).body(bytes::Bytes::new()).unwrap();
    let fetched = pilotlight_model::node::Api::handle(&*platform.control, caller(), request).await;
    assert_eq!(fetched.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_ready_is_prepared_again_after_a_start() {
    let before = Platform::open().await;
    before.active("f").await;
    let was = serving(&before, "f");
    let after = before.killed().await;
    let prepared = || after.node.prepared.lock().first().cloned();
    assert_eq!(until(|| async { prepared() }).await, was);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_start_no_more_is_prepared_than_the_node_has_room_for() {
    let before = Platform::open().await;
    let names: Vec<String> = (0..ROOM + 3).map(|number| format!("f{number}")).collect();
    for name in &names {
        before.active(name).await;
    }
    let after = before.killed().await;
    let full = || after.node.full.load(Ordering::SeqCst);
    until(|| async { (full() > 0).then_some(()) }).await;
    for name in &names {
        serving(&after, name);
    }
    assert_eq!((after.node.prepared.lock().len(), full()), (ROOM, 1));
}
