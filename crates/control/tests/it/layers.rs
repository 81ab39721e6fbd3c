//! Layers, and functions that have them.

use http::Method;
use pilotlight_model::node::{Directory, Folder};
use pilotlight_model::{Digest, FunctionSpec, Runtime};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::harness::{FUNCTIONS, Platform, caller, inline, until};

const LAYERS: &str = "/2018-10-31/layers";
const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:layer:";

async fn publish(platform: &Platform, name: &str, contents: &str) -> Value {
    publish_with(platform, name, contents, json!({})).await
}

async fn publish_with(platform: &Platform, name: &str, contents: &str, more: Value) -> Value {
    let mut body = json!({ "Content": { "ZipFile": inline(contents) } });
    let fields = body.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    let path = format!("{LAYERS}/{name}/versions");
    let reply = platform.call(Method::POST, &path, body).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.body
}

async fn delete(platform: &Platform, name: &str, version: u64) {
    let path = format!("{LAYERS}/{name}/versions/{version}");
    let reply = platform.delete(&path).await;
    assert_eq!((reply.status, reply.body), (204, Value::Null));
}

async fn configure(platform: &Platform, layers: &[String]) -> (u16, Value) {
    let path = format!("{FUNCTIONS}/f/configuration");
    let body = json!({ "Layers": layers });
    let reply = platform.call(Method::PUT, &path, body).await;
    if reply.status == 200 {
        platform.settled("f").await;
    }
    (reply.status, reply.body)
}

fn serving(platform: &Platform, qualifier: Option<&str>) -> Arc<FunctionSpec> {
    let caller = caller();
    let name = "f".parse().unwrap();
    platform
        .control
        .resolve(&caller.account, &caller.region, &name, qualifier)
        .unwrap()
        .spec
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_never_given_twice() {
    let platform = Platform::open().await;
    assert_eq!(publish(&platform, "l", "a").await["Version"], 1);
    assert_eq!(publish(&platform, "l", "a").await["Version"], 2);
    delete(&platform, "l", 1).await;
    delete(&platform, "l", 2).await;
    delete(&platform, "l", 2).await;
    let platform = platform.killed().await;
    let third = publish(&platform, "l", "a").await;
    assert_eq!(third["LayerVersionArn"], format!("{ARN}l:3"));
    assert_eq!(third["CreatedDate"], "2026-01-02T03:04:05.678+0000");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_page_and_show_what_matches() {
    let platform = Platform::open().await;
    let python = json!({ "CompatibleRuntimes": ["python3.11", "python3.12"] });
    let both =
        json!({ "CompatibleRuntimes": ["nodejs20.x"], "CompatibleArchitectures": ["x86_64"] });
    publish_with(&platform, "a", "1", python.clone()).await;
    publish_with(&platform, "a", "2", both.clone()).await;
    publish_with(&platform, "b", "3", both).await;
    publish_with(&platform, "c", "4", python).await;
    let mut seen = Vec::new();
    let mut marker = String::new();
    loop {
        let path = format!("{LAYERS}?MaxItems=2{marker}");
        let page = platform.get(&path).await.body;
        for layer in page["Layers"].as_array().unwrap() {
            let latest = &layer["LatestMatchingVersion"];
            seen.push((layer["LayerName"].clone(), latest["Version"].clone()));
        }
        match page["NextMarker"].as_str() {
            Some(next) => marker = format!("&Marker={next}"),
            None => break,
        }
    }
    assert_eq!(json!(seen), json!([["a", 2], ["b", 1], ["c", 1]]));

    let filtered = format!("{LAYERS}?CompatibleRuntime=python3.11");
    let found = platform.get(&filtered).await.body;
    let latest = &found["Layers"][0]["LatestMatchingVersion"];
    assert_eq!(found["Layers"].as_array().unwrap().len(), 2);
    assert_eq!(latest["LayerVersionArn"], format!("{ARN}a:1"));
    let filtered = format!("{LAYERS}?CompatibleArchitecture=arm64");
    assert_eq!(platform.get(&filtered).await.body, json!({ "Layers": [] }));

    let path = format!("{LAYERS}/a/versions?MaxItems=1");
    let first = platform.get(&path).await.body;
    assert_eq!(first["LayerVersions"][0]["Version"], 2);
    let next = first["NextMarker"].as_str().unwrap();
    let second = platform.get(&format!("{path}&Marker={next}")).await.body;
    assert_eq!(second["LayerVersions"][0]["Version"], 1);
    assert_eq!(second["NextMarker"], Value::Null);
    let bad = platform.get(&format!("{path}&Marker=%21")).await;
    assert_eq!(
        (bad.status, bad.kind.as_str()),
        (400, "InvalidParameterValueException")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_is_compiled_once_for_all_who_have_it() {
    let platform = Platform::open().await;
    let layer = publish(&platform, "l", "layer").await["LayerVersionArn"].clone();
    for name in ["f", "g"] {
        platform
            .create_with(name, |body| body["Layers"] = json!([layer]))
            .await;
        platform.settled(name).await;
    }
    let compiled = platform.node.compiled.lock().clone();
    let layers: Vec<_> = compiled
        .iter()
        .filter(|it| it.2 == Folder::Layers)
        .collect();
    assert_eq!(layers.len(), 1);
    let spec = serving(&platform, None);
    assert_ne!(
        spec.layers[0], layers[0].1,
        "the image has the byte code in it"
    );
    assert!(platform.store.contains(&spec.layers[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_have_byte_code_all_or_none() {
    let platform = Platform::open().await;
    let mut arns = Vec::new();
    for (name, whole) in [("whole", true), ("broken", false)] {
        *platform.node.compiles_whole.lock() = whole;
        let arn = publish(&platform, name, name).await["LayerVersionArn"].clone();
        arns.push(arn.as_str().unwrap().to_owned());
        platform
            .create_with(&format!("has-{name}"), |body| body["Layers"] = json!([arn]))
            .await;
        platform.settled(&format!("has-{name}")).await;
    }
    platform.active("f").await;
    assert_eq!(configure(&platform, &arns).await.0, 200);
    let drafts: Vec<Digest> = platform
        .node
        .compiled
        .lock()
        .iter()
        .filter(|it| it.2 == Folder::Layers)
        .map(|it| it.1.clone())
        .collect();
    assert_eq!(serving(&platform, None).layers, drafts);
    // Another runtime has no byte code, and no reason to go without.
    let path = format!("{FUNCTIONS}/f/configuration");
    let body = json!({ "Runtime": "provided.al2023" });
    *platform.node.compiles_whole.lock() = true;
    platform.call(Method::PUT, &path, body).await;
    platform.settled("f").await;
    let spec = serving(&platform, None);
    assert_eq!(
        (spec.runtime.image(), &spec.layers),
        (Runtime::ProvidedAl2023, &drafts)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_layer_stays_with_those_who_have_it_and_goes_after_the_last() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let arn = format!("{ARN}l:1");
    publish(&platform, "l", "layer").await;
    assert_eq!(
        configure(&platform, std::slice::from_ref(&arn)).await.0,
        200
    );
    let published = format!("{FUNCTIONS}/f/versions");
    let version = platform.call(Method::POST, &published, json!({})).await;
    assert_eq!(version.body["Layers"][0]["Arn"], arn);
    let draft = platform
        .node
        .compiled
        .lock()
        .iter()
        .find(|it| it.2 == Folder::Layers)
        .map(|it| it.1.clone())
        .unwrap();
    let image = serving(&platform, Some("1")).layers[0].clone();
    delete(&platform, "l", 1).await;
    // Not attached anew, and no longer to be had.
    let (status, body) = configure(&platform, std::slice::from_ref(&arn)).await;
    assert_eq!(
        (status, &body["message"]),
        (400, &json!(format!("Layer version {arn} does not exist.")))
    );
    let gone = platform.get(&format!("{LAYERS}/l/versions/1")).await;
    assert_eq!(gone.status, 404);

    // Collections while `$LATEST` and then only the version has it, over a restart.
    assert_eq!(configure(&platform, &[]).await.0, 200);
    assert_eq!(platform.configuration("f").await["Layers"], Value::Null);
    let platform = platform.killed().await;
    publish(&platform, "other", "unreferenced").await;
    delete(&platform, "other", 1).await;
    let extra = platform.store.put_blob(b"left over").unwrap();
    publish(&platform, "other", "more").await;
    delete(&platform, "other", 2).await;
    until(|| async { (!platform.store.blob_path(&extra).exists()).then_some(()) }).await;
    assert!(platform.store.contains(&image) && platform.store.contains(&draft));
    assert_eq!(
        serving(&platform, Some("1")).layers,
        std::slice::from_ref(&image)
    );

    let path = format!("{FUNCTIONS}/f");
    platform.delete(&path).await;
    until(|| async {
        (!platform.store.contains(&image) && !platform.store.contains(&draft)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_and_layers_have_one_limit_together() {
    let platform = Platform::open().await;
    let mut arns = Vec::new();
    // What is alike takes little room in a zip.
    for name in ["big-1", "big-2"] {
        let path = format!("{LAYERS}/{name}/versions");
        let zip = crate::harness::big_zip(140_000_000);
        let reply = platform
            .call(
                Method::POST,
                &path,
                json!({ "Content": { "ZipFile": zip } }),
            )
            .await;
        arns.push(reply.body["LayerVersionArn"].as_str().unwrap().to_owned());
    }
    platform.active("f").await;
    assert_eq!(configure(&platform, &arns[..1]).await.0, 200);
    let (status, body) = configure(&platform, &arns).await;
    let message = body["message"].as_str().unwrap();
    let begin = "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. \
                 The actual size is 280000";
    assert_eq!(status, 400);
    assert!(message.starts_with(begin), "{message}");
}
